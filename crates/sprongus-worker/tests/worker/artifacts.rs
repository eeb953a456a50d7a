//! Steps that keep files of the work directory.

use std::time::Duration;

use serde_json::{Value, json};
use sprongus_core::json::Json;
use sprongus_core::run::NewRun;
use sprongus_core::run::state::State;
use sprongus_core::run::step::{Step, StepStatus};
use sprongus_core::run::view::RunView;
use sprongus_core::values::ids::RunId;
use sprongus_worker::RunContext;

use crate::content::{artifact_bytes, artifact_text};
use crate::scene::Scene;

fn command(name: &str, script: &str) -> String {
    format!(
        "[[kinds.k.steps]]\nphase = \"execution\"\nname = \"{name}\"\ntype = \"command\"\n\
         run = [\"sh\", \"-c\", '''{script}''']\n"
    )
}

fn artifact(phase: &str, name: &str, paths: &str) -> String {
    format!(
        "[[kinds.k.steps]]\nphase = \"{phase}\"\nname = \"{name}\"\ntype = \"artifact\"\npaths = {paths}\n"
    )
}

fn once(input: Value) -> NewRun {
    NewRun { max_attempts: Some(1), ..NewRun::new("k", Json::from_value(input)) }
}

/// Makes files with `script` and keeps those of `paths`, in one attempt.
async fn keep(script: &str, paths: &str, input: Value) -> (Scene, RunView) {
    let mut scene = Scene::new();
    scene.declare(&(command("make", script) + &artifact("validation", "keep", paths)));
    let id = scene.enqueue_with(once(input)).await;
    let run = scene.until(id, |run| run.state.is_final()).await;
    (scene, run)
}

async fn names(scene: &Scene, id: RunId) -> Vec<String> {
    scene.runs.artifacts(id).await.unwrap().into_iter().map(|artifact| artifact.name.to_string()).collect()
}

async fn step(scene: &Scene, id: RunId, name: &str) -> Step {
    scene.steps(id).await.into_iter().rfind(|step| step.name == name).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_whose_name_holds_a_secret_is_refused_without_saying_it() {
    // Put together here, so that no scanner takes this file for a leak.
    let secret = format!("ghp_{}", "a1B2c3D4e5F6".repeat(3));
    let script = format!(
        "echo x > fine.txt; echo x > report-$(echo {} | sed s/_X_/_/).txt",
        secret.replacen('_', "_X_", 1)
    );
    let (scene, run) = keep(&script, r#"["*.txt"]"#, json!({})).await;
    assert_eq!(
        run.error.as_deref(),
        Some("step \"keep\": cannot be stored: the name of a file contains a secret; rename it")
    );
    assert!(names(&scene, run.id).await.is_empty());
    let seen = format!("{:?} {run:?} {:?}", scene.log(run.id).await, scene.steps(run.id).await);
    assert!(!seen.contains(&secret), "{seen}");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_kept_under_their_relative_paths() {
    let script = "mkdir -p out/deep .dot; echo report > report.md; echo '{}' > out/b.json; printf 12345 > out/a.json; \
                  echo x > out/deep/c.json; echo no > out/no.txt; echo d > .dot/d.json; : > empty";
    let paths = r#"["./report.md", "out/*.json", "**/c.*", "{{ input.name }}", "report.md"]"#;
    let (scene, run) = keep(script, paths, json!({"name": "empty"})).await;
    assert_eq!(run.state, State::Succeeded, "{:?}", run.error);
    let kept = ["empty", "out/a.json", "out/b.json", "out/deep/c.json", "report.md"];
    assert_eq!(names(&scene, run.id).await, kept);
    let output = step(&scene, run.id, "keep").await.output.unwrap();
    assert_eq!(output, "empty 0\nout/a.json 5\nout/b.json 3\nout/deep/c.json 2\nreport.md 7");
    assert_eq!(run.output_ref, Some(format!("artifact://{}/empty", run.id)));
    assert_eq!(artifact_text(&scene, run.id, "report.md").await, "report\n");
    let kinds: Vec<_> = scene.runs.artifacts(run.id).await.unwrap();
    let kinds: Vec<_> = kinds.into_iter().map(|artifact| artifact.content_type).collect();
    assert_eq!(
        kinds,
        [
            "application/octet-stream",
            "application/json",
            "application/json",
            "application/json",
            "text/markdown"
        ]
    );
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pattern_without_a_file_fails_the_step_and_says_what_is_there_instead() {
    for (paths, why) in [
        (r#"["nothing.md"]"#, "no file matches nothing.md"),
        (r#"["*.pdf", "a.md"]"#, "no file matches *.pdf; nothing is kept, not even the 1 file that matches"),
        (
            r#"["*.md", "b.txt", "*.pdf"]"#,
            "no file matches *.pdf; nothing is kept, not even the 2 files that match",
        ),
        (r#"["no/such/*.md"]"#, "no file matches no/such/*.md"),
        (r#"["out"]"#, "no file matches out: it is a folder; use out/** for the files in it"),
        (r#"["a.md/*"]"#, "no file matches a.md/*: a.md is not a folder"),
        (r#"["link.md"]"#, "no file matches link.md: link.md is left out, a symlink"),
    ] {
        let (scene, run) =
            keep("mkdir out; echo a > a.md; echo b > b.txt; ln -s a.md link.md", paths, json!({})).await;
        assert_eq!(run.error, Some(format!("step \"keep\": {why}")), "{paths}");
        let output = step(&scene, run.id, "keep").await.output;
        assert_eq!(output.unwrap().lines().last(), Some(why), "where people look: {paths}");
        assert_eq!(
            names(&scene, run.id).await,
            Vec::<String>::new(),
            "nothing is kept of a step that cannot keep all"
        );
        assert_eq!(run.output_ref, None);
        scene.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_path_leads_out_of_the_work_directory() {
    for (path, why) in [
        ("/etc/passwd", "an absolute path"),
        ("../input.json", "a path with `..`"),
        ("out/../../input.json", "a path with `..`"),
        ("**/../../input.json", "a path with `..`"),
        ("", "an empty path"),
    ] {
        let mut scene = Scene::new();
        scene.declare(
            &(command("make", "mkdir out; : > x")
                + &artifact("validation", "keep", r#"["{{ input.path }}"]"#)),
        );
        let id = scene.enqueue("k", json!({"path": path})).await;
        let run = scene.until_state(id, State::Failed).await;
        assert!(run.error.as_deref().unwrap().contains(why), "{path}: {:?}", run.error);
        assert_eq!(run.attempt, 1, "it would meet the same end again");
        scene.end().await;
    }
    // Links out of it, of files and of folders, one of them in the place of a part of the path.
    let script = "mkdir in; echo good > in/good.md; ln -s /etc/passwd in/passwd.md; ln -s .. up; ln -s /etc etc; ln -s in alias";
    let (scene, run) = keep(script, r#"["**"]"#, json!({})).await;
    assert_eq!(run.state, State::Succeeded, "{:?}", run.error);
    assert_eq!(names(&scene, run.id).await, ["in/good.md"]);
    let log = scene.log(run.id).await;
    for left in ["alias", "etc", "in/passwd.md", "up"] {
        assert!(log.contains(&format!("[left out: {left}, a symlink]")), "{log:?}");
    }
    scene.end().await;
    for path in ["etc/passwd", "alias/good.md", "up/input.json", "etc/*", "etc/**/passwd"] {
        let (scene, run) = keep(script, &format!("[\"{path}\"]"), json!({})).await;
        assert!(run.error.unwrap().contains("is not a folder"), "{path}");
        assert_eq!(names(&scene, run.id).await, Vec::<String>::new());
        scene.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_regular_files_are_read() {
    let script = "mkfifo pipe.md; ln -s /dev/zero zero.md; echo a > a.md; \
                  python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"socket.md\")'; printf x > \"$(printf 'b\\nc.md')\"";
    let (scene, run) = keep(script, r#"["*.md"]"#, json!({})).await;
    assert_eq!(run.state, State::Succeeded, "{:?}", run.error);
    assert_eq!(names(&scene, run.id).await, ["a.md"]);
    let log = scene.log(run.id).await;
    for left in [
        "pipe.md, a FIFO",
        "zero.md, a symlink",
        "socket.md, a socket",
        "b\\u{a}c.md, whose name is not a valid artifact name",
    ] {
        assert!(log.contains(&format!("[left out: {left}]")), "{left} in {log:?}");
    }
    let output = step(&scene, run.id, "keep").await.output.unwrap();
    let (kept, left_out) = output.split_once('\n').unwrap();
    assert_eq!(kept, "a.md 2");
    assert!(
        left_out.starts_with("left out: b\\u{a}c.md, ") && left_out.contains("; pipe.md, a FIFO; "),
        "{left_out}"
    );
    scene.end().await;
    let (scene, run) = keep("mkfifo pipe.md", r#"["pipe.md"]"#, json!({})).await;
    assert_eq!(
        run.error.as_deref(),
        Some("step \"keep\": no file matches pipe.md: pipe.md is left out, a FIFO")
    );
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_files_end_in_an_error_soon() {
    let mut scene = Scene::new();
    let tolerant =
        |name: &str, paths: &str| artifact("execution", name, paths) + "continue_on_error = true\n";
    scene.declare(
        &(command("make", "mkdir many; cd many; seq 100000 | xargs touch; : > ../a.md")
            + &tolerant("all", r#"["many/*"]"#)
            + &tolerant("any", r#"["**/no.md"]"#)
            + &artifact("execution", "some", r#"["a.md", "*.md", "many/7"]"#)),
    );
    let id = scene.enqueue_with(once(json!({}))).await;
    scene.until_state(id, State::Succeeded).await;
    for (name, status) in
        [("all", StepStatus::Failed), ("any", StepStatus::Failed), ("some", StepStatus::Completed)]
    {
        let step = step(&scene, id, name).await;
        assert_eq!(step.status, status, "{name}: {:?}", scene.log(id).await);
        assert!(step.duration().unwrap() < Duration::from_secs(5), "{name} took {:?}", step.duration());
    }
    assert_eq!(names(&scene, id).await, ["a.md", "many/7"], "what is beside the many costs nothing of them");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_attempt_replaces_what_an_earlier_one_kept() {
    let mut scene = Scene::new();
    let toml = "[kinds.k]\nbackoff = { base = \"10ms\" }\n".to_owned()
        + &command("make", "echo $SPRONGUS_ATTEMPT > report.md")
        + &artifact("execution", "keep", r#"["report.md"]"#)
        + &command("fail", "test $SPRONGUS_ATTEMPT = 2");
    scene.declare(&toml);
    let id = scene.enqueue("k", json!({})).await;
    let run = scene.until_state(id, State::Succeeded).await;
    assert_eq!(artifact_text(&scene, id, "report.md").await, "2\n");
    assert_eq!(run.output_ref, Some(format!("artifact://{id}/report.md")));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cleanup_keeps_files_too_and_a_commands_own_reference_comes_first() {
    let mut scene = Scene::new();
    let keep = artifact("cleanup", "keep", r#"["report.md"]"#);
    scene.declare(
        &(command("make", "echo r > report.md; test \"$(cat \"$SPRONGUS_INPUT\")\" != '{\"fail\":true}'")
            + &keep),
    );
    let id = scene.enqueue_with(once(json!({}))).await;
    let run = scene.until_state(id, State::Succeeded).await;
    assert_eq!(run.output_ref, Some(format!("artifact://{id}/report.md")));
    let id = scene.enqueue_with(once(json!({"fail": true}))).await;
    let run = scene.until_state(id, State::Failed).await;
    assert_eq!(run.output_ref, None);
    assert_eq!(names(&scene, id).await, ["report.md"], "what a failed attempt made is worth a look");
    scene.end().await;

    let mut scene = Scene::new();
    scene.declare(
        &(command("make", "echo r > report.md; echo output_ref=s3://b/k >> $SPRONGUS_OUTPUT") + &keep),
    );
    let id = scene.enqueue("k", json!({})).await;
    let run = scene.until_state(id, State::Succeeded).await;
    assert_eq!(run.output_ref.as_deref(), Some("s3://b/k"));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_written_meanwhile_is_kept_as_it_was_read() {
    let script =
        "head -c 3000000 /dev/zero > f.bin; (while :; do printf x >> f.bin; done) & echo $! > pid; sleep 0.2";
    let (scene, run) = keep(script, r#"["f.bin"]"#, json!({})).await;
    assert_eq!(run.state, State::Succeeded, "{:?}", run.error);
    let artifact = &scene.runs.artifacts(run.id).await.unwrap()[0];
    assert!(artifact.size >= 3_000_000, "{}", artifact.size);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_over_the_limit_fails_for_good_and_a_store_that_is_away_is_waited_for() {
    let mut scene = Scene::new();
    scene.limit_artifacts(1_000);
    scene.declare(
        &(command("make", "head -c 1001 /dev/zero > f.bin")
            + &artifact("validation", "keep", r#"["f.bin"]"#)),
    );
    let id = scene.enqueue("k", json!({})).await;
    let run = scene.until_state(id, State::Failed).await;
    let error = run.error.unwrap();
    assert!(
        error.starts_with("step \"keep\": cannot be stored: f.bin: an artifact can have at most 1000 bytes"),
        "{error}"
    );
    assert_eq!(run.attempt, 1);
    scene.end().await;

    let mut scene = Scene::new();
    let tampered = crate::tampered::Tampered::new(scene.runs.clone());
    tampered.cut(crate::tampered::Call::PutArtifact);
    let declaration = scene
        .declaration(&(command("make", "echo a > a.md") + &artifact("validation", "keep", r#"["a.md"]"#)));
    let worker = scene.worker_over(tampered.clone()).declared(declaration);
    scene.start(worker);
    let id = scene.enqueue("k", json!({})).await;
    tampered.until_refused(crate::tampered::Call::PutArtifact, 2).await;
    tampered.mend(crate::tampered::Call::PutArtifact);
    scene.until_state(id, State::Succeeded).await;
    assert_eq!(artifact_text(&scene, id, "a.md").await, "a\n", "read again for each try");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_keeps_bytes_and_files() {
    let mut scene = Scene::new();
    let big = scene.path().join("big.bin");
    std::fs::write(&big, vec![7; 700_000]).unwrap();
    let worker = scene.worker().kind("k", move |ctx: RunContext, _: Value| {
        let big = big.clone();
        async move {
            let report = ctx.artifact("out/report.md", "# Done\n").await?;
            assert_eq!((report.size, report.content_type.as_str()), (7, "text/markdown"));
            ctx.artifact("big.bin", big.as_path()).await?;
            let refused = ctx.artifact("../up", "x").await.unwrap_err();
            assert!(format!("{refused:?}").starts_with("permanent: not an artifact name"), "{refused:?}");
            let absent = ctx.artifact("fifo", big.with_file_name("absent")).await.unwrap_err();
            assert!(format!("{absent:?}").starts_with("retryable: "), "{absent:?}");
            Ok(())
        }
    });
    scene.start(worker);
    let id = scene.enqueue("k", json!({})).await;
    let run = scene.until(id, |run| run.state.is_final()).await;
    assert_eq!((run.state, run.error), (State::Succeeded, None));
    assert_eq!(run.output_ref, Some(format!("artifact://{id}/out/report.md")));
    assert_eq!(names(&scene, id).await, ["big.bin", "out/report.md"]);
    assert_eq!(artifact_bytes(&scene, id, "big.bin").await, vec![7; 700_000]);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_in_a_pattern_names_a_file_and_widens_nothing() {
    let script = "echo a > 'report [v2].txt'; echo b > 'report 2.txt'; echo c > private.txt";
    let paths = r#"["{{ input.file }}"]"#;
    let (scene, run) = keep(script, paths, json!({"file": "report [v2].txt"})).await;
    assert_eq!(run.state, State::Succeeded, "{:?}", run.error);
    assert_eq!(names(&scene, run.id).await, ["report [v2].txt"]);
    scene.end().await;
    for file in ["*", "**", "{private,report 2}.txt", "../work/private.txt", "r?port 2.txt"] {
        let (scene, run) = keep(script, paths, json!({"file": file})).await;
        assert_eq!(run.state, State::Failed, "{file}");
        assert!(names(&scene, run.id).await.is_empty(), "{file}");
        scene.end().await;
    }
}
