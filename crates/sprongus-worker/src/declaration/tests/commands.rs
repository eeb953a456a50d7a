//! What a kind's commands are given: variables, folder, stdin, secrets.

use super::*;

fn kind(rest: &str) -> String {
    format!("[kinds.k]\ncommand = ['x']\n{rest}\n")
}

#[test]
fn a_step_goes_before_its_kind() {
    let declaration = parse(
        r#"
        [kinds.k]
        env = { A = "kind", B = "kind", KEY = "secret://file/deploy.key" }
        cwd = "tools"
        secrets = ["env/SMTP_PASSWORD", "file/deploy.key"]
        secret_arguments = true
        [[kinds.k.steps]]
        phase = "setup"
        name = "a"
        type = "command"
        run = ["x"]
        env = { B = "step", PATH = "/opt/tools" }
        cwd = "/srv"
        stdin = "none"
        [[kinds.k.steps]]
        phase = "execution"
        name = "b"
        type = "gate"
        run = ["x"]
        "#,
    )
    .unwrap();
    let kind = &declaration.kinds["k"];
    assert!(kind.secret_arguments);
    assert_eq!(kind.secrets.iter().collect::<Vec<_>>(), ["env/SMTP_PASSWORD", "file/deploy.key"]);
    let around = |at: usize| kind.steps[at].action.command().unwrap().environment();
    let environment = |at: usize| {
        let text = |value: &EnvValue| match value {
            EnvValue::Secret(reference) => reference.clone(),
            EnvValue::Text(template) => template.source().to_owned(),
        };
        around(at)
            .env
            .iter()
            .map(|(name, value)| format!("{name}={}", text(value)))
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(environment(0), "A=kind B=step KEY=secret://file/deploy.key PATH=/opt/tools");
    assert_eq!(environment(1), "A=kind B=kind KEY=secret://file/deploy.key");
    assert_eq!((around(0).cwd.as_deref(), around(0).stdin), (Some(Path::new("/srv")), Some(Stdin::Nothing)));
    assert_eq!((around(1).cwd.as_deref(), around(1).stdin), (Some(Path::new("tools")), None));
    assert!(!parse(&self::kind("")).unwrap().kinds["k"].secret_arguments);
}

#[test]
fn what_no_command_may_be_given_is_refused_with_its_line_and_without_its_value() {
    for (rest, expected) in [
        ("env = { 'A B' = 'hunter2' }", "expected a variable name"),
        ("env = { '1A' = 'hunter2' }", "expected a variable name"),
        ("env = { '' = 'hunter2' }", "expected a variable name"),
        ("env = { A = 22 }", "expected text"),
        ("env = 'hunter2'", "expected a table"),
        ("env = { SPRONGUS_TOKEN = 'hunter2' }", "set only by the worker"),
        ("env = { sprongus_x = 'hunter2' }", "set only by the worker"),
        ("env = { LD_PRELOAD = 'hunter2' }", "run other code before the command"),
        ("env = { BASH_ENV = 'hunter2' }", "run other code before the command"),
        ("env = { PATH = '{{ input.hunter2 }}' }", "cannot contain"),
        ("env = { LD_LIBRARY_PATH = '{{ input.hunter2 }}' }", "cannot contain"),
        ("env = { GIT_SSH_COMMAND = 'ssh {{ steps.a.output }}' }", "no step comes before"),
        ("env = { A = '{{ steps.a.output }}' }", "no step comes before"),
        ("env = { A = '{{ inptu.a }}' }", "did you mean `input`?"),
        ("env = { A = 'secret://env/SPRONGUS_TOKEN' }", "never passed to commands"),
        ("env = { A = 'secret://env/PGPASSWORD' }", "never passed to commands"),
        ("env = { A = 'secret://env/AWS_SECRET_ACCESS_KEY' }", "never passed to commands"),
        ("env = { A = 'hunter2 secret://env/A' }", "the whole value"),
        ("env = { A = 'secret://env/{{ input.hunter2 }}' }", "the whole value"),
        ("env = { A = 'secret://vault/hunter2' }", "the whole value"),
        ("env = { A = \"a\\u0000hunter2\" }", "NUL"),
        ("cwd = ''", "expected a folder"),
        ("cwd = '{{ input.hunter2 }}'", "cannot contain a template"),
        ("cwd = 22", "expected a folder"),
        ("stdin = 'hunter2'", "expected \"input\""),
        ("secrets = 'hunter2'", "expected an array"),
        ("secrets = ['hunter2']", "expected the name of a secret"),
        ("secrets = [22]", "expected the name of a secret"),
        ("secrets = ['secret://env/A']", "without secret://"),
        ("secrets = ['env/SPRONGUS_DATABASE_URL']", "never passed to commands"),
        ("secrets = ['env/OTEL_EXPORTER_OTLP_HEADERS']", "never passed to commands"),
        ("secret_arguments = 'yes'", "true or false"),
    ] {
        let fault = parse(&kind(rest)).expect_err(rest);
        assert_eq!(fault.position.map(|it| it.line), Some(3), "{rest}\n{fault}");
        assert!(fault.problem.contains(expected), "{rest}\n{fault}");
        // A number where a folder belongs is no secret.
        let message = fault.to_string();
        assert!(
            !message.contains("hunter2") && (rest == "cwd = 22" || !fault.problem.contains("22")),
            "{fault}"
        );
    }
    let step = |rest: &str| format!("[[kinds.k.steps]]\nname = 'a'\nphase = 'setup'\n{rest}");
    for (text, line, expected) in [
        (
            "[kinds.k]\ncommand = ['x', 'secret://env/A']".to_owned(),
            2,
            "a reference is not allowed in an argument",
        ),
        (step("type = 'gate'\napproval = {}\nenv = {}"), 6, "does not run a command"),
        (step("type = 'artifact'\npaths = ['a']\ncwd = '.'"), 6, "no such key"),
        (
            "[providers.p]\nbase_url = 'http://x'\napi_key = 'secret://env/SPRONGUS_TOKEN'".to_owned(),
            3,
            "never",
        ),
    ] {
        let fault = parse(&text).expect_err(&text);
        assert_eq!(fault.position.map(|it| it.line), Some(line), "{text}\n{fault}");
        assert!(fault.problem.contains(expected), "{text}\n{fault}");
    }
}

#[test]
fn a_template_in_a_script_is_warned_of() {
    let warned = |command: &str| {
        let declaration = parse(&format!("[kinds.k]\ncommand = {command}\n")).unwrap();
        declaration.warnings().map(|warning| warning.position.unwrap().column).collect::<Vec<_>>()
    };
    for (command, column) in [
        ("['sh', '-c', 'echo {{ input.a }}']", 24),
        ("['/bin/bash', '-euo', 'pipefail', '-c', 'echo {{ input }}']", 51),
        ("['bash', '-xec', 'echo {{ input.a }}']", 28),
        ("['env', 'A=b', 'sh', '-c', '{{ input.a }}', 'sh']", 38),
        ("['python3.12', '-c', 'print({{ input.a }})']", 32),
        ("['node', '-e', '{{ input.a }}']", 26),
    ] {
        assert_eq!(warned(command), [column], "{command}");
    }
    for command in [
        "['sh', '-c', 'echo \"$1\"', 'sh', '{{ input.a }}']",
        "['sh', '{{ project_dir }}/run.sh', '-c', '{{ input.a }}']",
        "['sh', '-c', 'echo {{ run.id }} {{ project_dir }}']",
        "['echo', '-c', '{{ input.a }}']",
        "['sh', '-c']",
        "['sh']",
    ] {
        assert_eq!(warned(command), [0; 0], "{command}");
    }
    let declaration = parse("[kinds.k]\ncommand = ['sh', '-c', 'echo {{ input.a }}']\n").unwrap();
    let warning = declaration.warnings().next().unwrap().to_string();
    assert!(warning.starts_with("sprongus.toml:2:24: kinds.k.command[2]: "), "{warning}");
}
