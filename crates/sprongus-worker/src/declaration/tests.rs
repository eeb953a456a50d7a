mod commands;
mod step_types;

use std::path::Path;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::template::{RunNames, TemplateContext};

fn parse(text: &str) -> Result<Declaration, DeclarationFault> {
    Declaration::parse(text, Path::new("sprongus.toml"))
}

fn fault(text: &str) -> String {
    parse(text).expect_err(text).to_string()
}

#[test]
fn reads_a_kind_with_a_command() {
    let declaration = parse(
        r#"
        [kinds."script.pull"]
        command = ["python3", "pull.py", "{{ input.path }}"]
        timeout = "5m"
        max_attempts = 5
        backoff = { base = "1s", factor = 1.5, max = "1m", jitter = false }

        [retention]
        succeeded = "30d"
        [retention.kinds."mail/out"]
        failed = "7d"

        [server]
        rate_limit = "off"
        [worker]
        anything = [1, 2]
        [providers.local]
        base_url = "http://localhost"
        "#,
    )
    .unwrap();
    let kind = &declaration.kinds["script.pull"];
    assert_eq!((kind.timeout, kind.max_attempts), (Some(Duration::from_secs(300)), Some(5)));
    let (base, max) = (Duration::from_secs(1), Duration::from_secs(60));
    assert_eq!(kind.backoff, BackoffDeclaration { base, factor: 1.5, max, jitter: false });
    let [step] = kind.steps.as_slice() else { panic!("one step") };
    assert_eq!((step.name.as_str(), step.phase, step.ordinal), ("command", Phase::Execution, 0));
    let StepAction::Command(command) = &step.action else { panic!("a command") };
    let run = RunNames { id: "1", kind: "script.pull", attempt: 1, epoch: 1, scheduled_for: None };
    let context = TemplateContext::new(run, &json!({"path": "a; b"}), Path::new("."), []);
    assert_eq!(command.render(&context).unwrap(), ["python3", "pull.py", "a; b"]);
    let context = TemplateContext::new(run, &json!({}), Path::new("."), []);
    assert!(command.render(&context).is_err());
    assert_eq!(declaration.retention.succeeded, Some(Duration::from_secs(30 * 86_400)));
    assert_eq!(declaration.retention.failed, None);
    let own = declaration.retention.kinds["mail/out"];
    assert_eq!((own.succeeded, own.failed), (None, Some(Duration::from_secs(7 * 86_400))));
    assert_eq!(declaration.project_dir, Path::new("."));
    assert!(declaration.providers.contains_key("local"));
    assert_eq!(declaration.server.rate_limit, Some(RateLimitDeclaration::Off));
}

#[test]
fn a_rate_is_two_numbers_or_off() {
    let read =
        |text: &str| Declaration::parse(text, Path::new("sprongus.toml")).map(|it| it.server.rate_limit);
    let on = |per_second, burst| Some(RateLimitDeclaration::On { per_second, burst });
    assert_eq!(read("").unwrap(), None);
    assert_eq!(read("[server]\nrate_limit = false").unwrap(), Some(RateLimitDeclaration::Off));
    assert_eq!(read("[server]\nrate_limit = { per_second = 5 }").unwrap(), on(5.0, 10.0));
    assert_eq!(read("[server]\nrate_limit = { per_second = 5, burst = 7 }").unwrap(), on(5.0, 7.0));
    for bad in ["\"fast\"", "true", "5", "{ per_second = 0 }", "{ burst = -1 }", "{ a = 1 }"] {
        let fault = read(&format!("[server]\nrate_limit = {bad}")).unwrap_err();
        assert_eq!(fault.position.map(|it| it.line), Some(2), "{bad}: {fault}");
    }
}

#[test]
fn orders_steps_by_phase() {
    let declaration = parse(
        r#"
        kinds.k.steps = [
            { phase = "CLEANUP", name = "tidy", type = "command", run = ["rm", "{{ steps.build.output }}"] },
            { phase = "Execution", name = "build", type = "COMMAND", run = ["make"], once = true, timeout = "1h" },
            { phase = "execution", name = "send", type = "command", run = ["send", "{{ steps.build.output }}"] },
            { phase = "setup", name = "clone", type = "command", run = ["git"], continue_on_error = true },
        ]
        "#,
    )
    .unwrap();
    let steps = &declaration.kinds["k"].steps;
    let order: Vec<_> = steps.iter().map(|step| (step.ordinal, step.name.as_str())).collect();
    assert_eq!(order, [(0, "clone"), (1, "build"), (2, "send"), (3, "tidy")]);
    assert!(steps[0].continue_on_error && steps[1].once && !steps[2].once);
}

#[test]
fn a_fault_is_one_line_with_its_place() {
    assert_eq!(
        fault("[kinds.\"script.pull\"]\ncommand = [\"x\"]\ntimeout = 5\n"),
        "sprongus.toml:3:11: kinds.\"script.pull\".timeout: expected a duration such as \"5m\", found 5"
    );
    assert_eq!(
        fault("[kinds.a]\ncomand = [\"x\"]\n"),
        "sprongus.toml:2:1: kinds.a.comand: unknown key, did you mean `command`?"
    );
    assert_eq!(
        fault("[kinds.a]\ncommand = [\"ü\", \"é\", \"{{ input.x \"]\n"),
        "sprongus.toml:2:22: kinds.a.command[2]: template: `{{` is not closed, expected `}}`; write a literal one as `{{ '{{' }}`"
    );
    let syntax = fault("[kinds.a]\ncommand = [\"x\"\ntimeout = 5\n");
    assert!(syntax.starts_with("sprongus.toml:") && !syntax.contains('\n'), "{syntax}");
}

#[test]
fn refuses_with_what_was_expected() {
    let kind = |rest: &str| format!("[kinds.k]\ncommand = [\"x\"]\n{rest}");
    let step = |rest: &str| format!("[[kinds.k.steps]]\n{rest}");
    let full = r#"phase = "setup", name = "a", type = "command", run = ["x"]"#;
    for (text, expected) in [
        ("[kind.k]".to_owned(), "did you mean `kinds`?"),
        ("[kinds.'-k']\ncommand = ['x']".to_owned(), "expected a kind name"),
        ("[kinds.'']\ncommand = ['x']".to_owned(), "expected a kind name"),
        (format!("[kinds.{}]\ncommand = ['x']", "k".repeat(129)), "expected a kind name"),
        ("[kinds.k]".to_owned(), "expected `command ="),
        ("kinds = 3".to_owned(), "expected tables"),
        ("[kinds.k]\ncommand = 'echo x'".to_owned(), "there is no shell"),
        ("[kinds.k]\ncommand = []".to_owned(), "expected the program"),
        ("[kinds.k]\ncommand = ['']".to_owned(), "expected a program"),
        ("[kinds.k]\ncommand = ['x', 1]".to_owned(), "expected text, found 1"),
        ("[kinds.k]\ncommand = ['x', '{{ steps.a.output }}']".to_owned(), "no step comes before"),
        ("[kinds.k]\ncommand = ['x', '{{ imput.a }}']".to_owned(), "did you mean `input`?"),
        (kind("max_attempts = 0"), "a whole number from 1 to 100, found 0"),
        (kind("max_attempts = 101"), "from 1 to 100"),
        (kind("max_attempts = '3'"), "found \"3\""),
        (kind("timeout = '5'"), "5 has no unit"),
        (kind("timeout = '0s'"), "above zero"),
        (kind("timeout = 1979-05-27"), "found the date"),
        (kind("backoff = { bse = '1s' }"), "did you mean `base`?"),
        (kind("backoff = { base = '1h', max = '1m' }"), "at least as much as base"),
        (kind("backoff = { factor = nan }"), "a number from 1 to 100"),
        (kind("backoff = { factor = 0 }"), "a number from 1 to 100"),
        (kind("backoff = { jitter = 1 }"), "true or false"),
        (kind("input_schema = 'no.json'"), "no.json cannot be read"),
        (kind("input_schema = '/etc/passwd'"), "relative"),
        (kind("input_schema = '.'"), "is a directory"),
        (kind("steps = []"), "either a command or steps"),
        ("[kinds.k]\nsteps = []".to_owned(), "expected 1 to 100 steps"),
        (step("type = 'shell'"), "expected one of command, ai_action, gate, artifact, found \"shell\""),
        (step("type = 'artefact'"), "did you mean artifact?"),
        (step("name = 'a'"), "expected a type"),
        (step("type = 'command'\nname = 'a'"), "expected a phase"),
        (step("type = 'command'\nphase = 'setpu'\nname = 'a'"), "did you mean setup?"),
        (step("type = 'command'\nphase = 'setup'"), "expected a name"),
        (step("type = 'command'\nphase = 'setup'\nname = ' a'"), "printable"),
        (step("type = 'command'\nphase = 'setup'\nname = 'a'"), "needs `run ="),
        (step("type = 'command'\nprompt = 'a'"), "a command step has no such key"),
        (format!("kinds.k.steps = [{{ {full} }}, {{ {full} }}]"), "duplicate step name in this kind: \"a\""),
        ("[retention]\nsuceeded = '1d'".to_owned(), "did you mean `succeeded`?"),
        (
            "retention.kinds = 3".to_owned(),
            "expected tables such as [retention.kinds.\"script.pull\"], found 3",
        ),
        ("[retention.kinds.'a b']\nfailed = '1d'".to_owned(), "expected a kind name"),
        ("[retention.kinds.'nightly.*']\nfailed = '1d'".to_owned(), "expected a kind name"),
        ("[retention.kinds.a]".to_owned(), "expected `succeeded = \"7d\"`, `failed = \"7d\"` or both"),
        ("[retention.kinds.a]\ncanceled = '1d'".to_owned(), "unknown key"),
        (
            "[retention.kinds.a]\nfailed = '0s'".to_owned(),
            "retention.kinds.a.failed: expected a duration above zero",
        ),
        ("worker = 3".to_owned(), "expected a table, found 3"),
        ("[providers]\nlocal = 3".to_owned(), "expected a table such as [providers.local]"),
        ("[kinds.k]\n[kinds.k]".to_owned(), "duplicate key"),
    ] {
        let fault = fault(&text);
        assert!(fault.contains(expected), "{text:?}\n{fault}");
    }
}

#[test]
fn loads_and_checks_schemas() {
    let folder = tempfile::tempdir().unwrap();
    let toml = folder.path().join("sprongus.toml");
    std::fs::write(&toml, "[kinds.k]\ncommand = ['x']\ninput_schema = 's.json'\n").unwrap();
    let schema = |text: &str| std::fs::write(folder.path().join("s.json"), text).unwrap();

    schema(
        r#"{"type": "object", "required": ["path"], "properties": {"path": {"type": "string", "pattern": "^a"}}}"#,
    );
    let declaration = Declaration::load(&toml).unwrap();
    let check = declaration.kinds["k"].input_schema.as_ref().unwrap();
    assert_eq!(check.check(&json!({"path": "abc"})), Ok(()));
    assert_eq!(check.check(&json!({})).unwrap_err()[0].pointer, "");
    let violations = check.check(&json!({"path": "hunter2"})).unwrap_err();
    assert_eq!(violations[0].pointer, "/path");
    assert!(!violations[0].to_string().contains("hunter2"), "{}", violations[0]);

    for (text, expected) in [
        ("{", "is not JSON"),
        (r#"{"type": 5}"#, "is not a usable JSON Schema"),
        (r#"{"$ref": "http://127.0.0.1:1/x.json"}"#, "is not a usable JSON Schema"),
        (r#"{"$ref": "file:///etc/passwd"}"#, "is not a usable JSON Schema"),
        (r#"{"pattern": "(?=a)b"}"#, "is not a usable JSON Schema"),
    ] {
        schema(text);
        let fault = Declaration::load(&toml).unwrap_err().to_string();
        assert!(
            fault.contains(":3:16: kinds.k.input_schema: s.json ") && fault.contains(expected),
            "{fault}"
        );
    }
}

#[test]
fn says_why_a_file_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sprongus.toml");
    let load = || Declaration::load(&path).unwrap_err().to_string();
    assert!(load().contains("sprongus.toml: cannot be read"), "{}", load());
    std::fs::create_dir(&path).unwrap();
    assert!(load().ends_with("is a directory, expected a file"), "{}", load());
    std::fs::remove_dir(&path).unwrap();
    std::fs::write(&path, b"a = 1\n# \xff").unwrap();
    assert!(load().ends_with("the first invalid byte is in line 2"), "{}", load());
    std::fs::write(&path, vec![b'#'; 1024 * 1024 + 1]).unwrap();
    assert!(load().ends_with("larger than 1 MiB"), "{}", load());
}

#[test]
fn finds_the_nearest_file_upward() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("a/b");
    std::fs::create_dir_all(&inner).unwrap();
    std::fs::create_dir(inner.join(FILE_NAME)).unwrap();
    assert_eq!(find_upward(&inner), None);
    std::fs::write(folder.path().join(FILE_NAME), "").unwrap();
    assert_eq!(find_upward(&inner), Some(folder.path().join(FILE_NAME)));
    assert_eq!(find_upward(folder.path()), Some(folder.path().join(FILE_NAME)));
}

proptest! {
    #[test]
    fn any_text_ends_without_a_panic(text in "\\PC{0,200}") {
        let _ = parse(&text).map_err(|fault| fault.to_string());
    }

    #[test]
    fn any_likely_text_ends_without_a_panic(
        text in "(\\[\\[?|\\]\\]?|kinds|\\.|k|command|steps|timeout|backoff|retention|providers| = |\"[a-z{} é]{0,6}\"|[0-9]{1,20}|\\{|\\}|,|\n|'5m'|true|nan){0,30}"
    ) {
        if let Err(fault) = parse(&text) {
            prop_assert!(!fault.to_string().contains('\n'));
        }
    }
}
