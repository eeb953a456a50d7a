//! docs/api.md, executed; and the OpenAPI document, tried by public tools against the real server: schemathesis asks thousands of
//! things, good and bad, clients generated in three languages enqueue runs, and linters read it. `./test` installs the tools into
//! `target/tools`.

#![expect(clippy::expect_used, reason = "a test that cannot set itself up has failed")]

mod generated;
mod linted;
mod scene;

use serde_json::Value;

use scene::{Scene, printed, tool};

const PAGE: &str = include_str!("../../../../docs/api.md");

fn blocks(language: &str) -> Vec<&'static str> {
    let opening = format!("```{language}\n");
    PAGE.split(opening.as_str()).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

#[test]
fn a_runs_life_is_as_the_page_tells() {
    let scene = Scene::new();
    let shell: String = blocks("sh").into_iter().filter(|block| block.contains("curl")).collect();
    let shell = shell.replace("http://localhost:3000", &scene.url);
    let script = format!("token=$SPRONGUS_TOKEN\n{shell}");
    let out = printed(scene.command("/bin/sh").args(["-e", "-c", &script]).output().expect("a shell"));
    let (kept, part) = ("\"name\":\"out/report.md\",\"size\":14,", "All is well");
    let parts = ["retry: 1000", "event: event", "\"type\":\"run.enqueued\"", "\"state\":\"canceled\""];
    let schedule = ["\"id\":\"nightly\"", "\"state\":\"active\"", "T02:30:00\"", "\"dueAt\""];
    let all = parts.into_iter().chain(schedule).chain([kept, "\"contentType\":\"text/markdown\""]);
    for expected in all {
        assert!(out.contains(expected), "{expected} is not in {out}");
    }
    assert!(out.ends_with(part), "the part that was asked for, at the end of {out}");
    let run: Value =
        serde_json::from_str(&scene.sprongus("--json runs list --kind script.pull")).expect("JSON");
    assert_eq!(run["data"][0]["idempotencyKey"], "pull-2026-11-26");
    assert_eq!(run["data"][0]["state"], "canceled");
    // Those of the other block are executed as they stand.
    for line in
        blocks("sh").into_iter().flat_map(str::lines).filter(|line| line.starts_with("sprongus token"))
    {
        scene.sprongus(line.strip_prefix("sprongus ").expect("a command"));
    }
}

#[test]
fn a_worker_of_twenty_lines_works() {
    let scene = Scene::new();
    let good = scene.sprongus("-q runs enqueue greet --input {\"name\":\"Ada\"}");
    let bad = scene.sprongus("-q runs enqueue greet");
    let program = blocks("python").concat();
    assert!(program.lines().filter(|line| !line.trim().is_empty()).count() <= 22, "twenty lines, about");
    printed(scene.command("python3").args(["-c", &program]).output().expect("Python"));
    let status = |id: &str| -> Value {
        serde_json::from_str(&scene.sprongus(&format!("--json runs status {}", id.trim()))).expect("JSON")
    };
    assert_eq!(status(&good)["result"]["greeting"], "hello, Ada");
    assert_eq!(status(&bad)["error"], "no 'name' in the input");
    assert_eq!(status(&bad)["attempt"], 1, "it was given up for good");
}

/// What no schema says of a sound request: a key that is taken, a cursor of another list, a project that is not there, a secret in
/// the input, a number that no type holds. And a batch that need not be whole is answered item by item.
const CHECKS: &str = r#"
[checks]
positive_data_acceptance.expected-statuses = ["2xx", "3xx", 400, 401, 403, 404, 409, 422, 429]

[[operations]]
include-operation-id = "enqueueRuns"
checks.negative_data_rejection.expected-statuses = [201, 400, 401, 403, 404, 405, 409, 413, 415, 422]
"#;

/// A claim may wait for a minute, which a tool should not.
const HOOKS: &str = "
import schemathesis

@schemathesis.hook
def before_call(context, case, kwargs):
    for part in (case.body, case.query):
        if isinstance(part, dict) and isinstance(part.get('waitMs'), int) and 0 < part['waitMs'] <= 60000:
            part['waitMs'] = 20
";

/// Asks what the document says and what it does not; answers how many cases there were.
fn schemathesis(scene: &Scene, words: &[&str]) -> u32 {
    std::fs::write(scene.folder.path().join("schemathesis.toml"), CHECKS).expect("a file");
    std::fs::write(scene.folder.path().join("hooks.py"), HOOKS).expect("a file");
    let mut command = scene.command(tool("schemathesis"));
    command.env("SCHEMATHESIS_HOOKS", "hooks").env("PYTHONPATH", ".");
    command.args(["run", &format!("{}/openapi.json", scene.url), "--checks", "all", "--continue-on-failure"]);
    command.args(["--phases", "examples,coverage,fuzzing", "--request-timeout", "30", "--warnings", "off"]);
    // A stream has no end that a tool would wait for.
    command.args(["--exclude-path-regex", "stream$", "--no-color"]).args(words);
    let output = command.output().expect("schemathesis");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}");
    let cases = text.lines().find_map(|line| line.trim().split_once(" generated")).expect("a summary").0;
    cases.parse().expect("a number")
}

#[test]
fn thousands_of_calls_find_nothing_undocumented() {
    let scene = Scene::new();
    let bearer = format!("Authorization: Bearer {}", scene.token());
    // Found by itself, the token that asks would be revoked in the middle.
    let cases = schemathesis(
        &scene,
        &["-H", &bearer, "-n", "12", "--exclude-operation-id", "revokeToken", "--seed", "7"],
    );
    assert!(cases > 3_000, "{cases} cases");
    let others = schemathesis(
        &scene,
        &["-H", &bearer, "-n", "20", "--include-operation-id", "revokeToken", "--seed", "7"],
    );
    assert!(others > 0);
}

#[test]
fn without_a_token_nothing_is_told() {
    let scene = Scene::new();
    let cases =
        schemathesis(&scene, &["-n", "5", "--seed", "7", "--exclude-checks", "positive_data_acceptance"]);
    assert!(cases > 500, "{cases} cases");
    assert_eq!(scene.sprongus("-q runs list"), "");
}
