//! The four types of steps, their conditions, and the providers they ask: every fault, with its line.

use serde_json::Value;

use super::*;
use crate::template::Template;

const PROVIDER: &str = "[providers.local]\nbase_url = 'http://localhost:11434/v1'\n";

/// One step of kind `k`; its keys begin in line 2.
fn step(kind: &str, phase: &str, rest: &str) -> String {
    format!("[[kinds.k.steps]]\ntype = '{kind}'\nphase = '{phase}'\nname = 'a'\n{rest}\n")
}

#[test]
fn reads_every_type() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("s.json"), r#"{"type": "object"}"#).unwrap();
    let text = r#"
        [providers.local]
        base_url = "https://models.example/v1"
        model = "small"
        api_key = "secret://env/MODEL_KEY"
        timeout = "5s"
        max_retries = 0
        [kinds.k]
        token_budget = 5000
        [[kinds.k.steps]]
        phase = "execution"
        name = "review"
        type = "ai_action"
        provider = "local"
        model = "large"
        system = "You are {{ input.role }}."
        prompt = "Review {{ input.diff }}"
        temperature = 0.5
        max_tokens = 100
        schema = "s.json"
        [[kinds.k.steps]]
        phase = "validation"
        name = "test"
        type = "gate"
        run = ["make", "{{ steps.review.output }}"]
        timeout = "1m"
        once = true
        [[kinds.k.steps]]
        phase = "validation"
        name = "sign-off"
        type = "GATE"
        approval = { timeout = "24h" }
        if = "steps.review.output != '' and input.ask"
        [[kinds.k.steps]]
        phase = "validation"
        name = "once-more"
        type = "gate"
        approval = {}
        [[kinds.k.steps]]
        phase = "cleanup"
        name = "keep"
        type = "artifact"
        paths = ["report.md", "{{ input.out }}/*.json", "{{ input.whole }}"]
    "#;
    let declaration = Declaration::parse(text, &folder.path().join(FILE_NAME)).unwrap();
    let kind = &declaration.kinds["k"];
    assert_eq!(kind.token_budget, Some(5000));
    let [review, test, sign_off, once_more, keep] = kind.steps.as_slice() else { panic!("five steps") };

    let StepAction::AiAction(action) = &review.action else { panic!("{review:?}") };
    assert_eq!((action.provider_name.as_str(), action.model.as_str()), ("local", "large"));
    assert_eq!((action.temperature, action.max_tokens), (Some(0.5), Some(100)));
    assert_eq!(action.schema.as_ref().unwrap().document(), &json!({"type": "object"}));
    assert_eq!(&action.provider, &declaration.providers["local"]);
    assert_eq!(action.provider.timeout, Duration::from_secs(5));
    assert_eq!((action.provider.max_retries, action.provider.model.as_deref()), (0, Some("small")));
    assert_eq!(action.provider.api_key.as_deref(), Some("secret://env/MODEL_KEY"));
    let sources: Vec<_> = review.action.templates().map(Template::source).collect();
    assert_eq!(sources, ["You are {{ input.role }}.", "Review {{ input.diff }}"]);

    assert!(
        matches!(&test.action, StepAction::Gate(GateDeclaration::Command(command)) if command.elements().len() == 2)
    );
    assert!(test.once && test.timeout == Some(Duration::from_secs(60)));
    let timeout = |step: &StepDeclaration| match step.action {
        StepAction::Gate(GateDeclaration::Approval { timeout }) => timeout,
        StepAction::Command(_) | StepAction::AiAction(_) | StepAction::Gate(_) | StepAction::Artifact(_) => {
            panic!("{step:?}")
        }
    };
    assert_eq!(timeout(sign_off), Some(Duration::from_secs(86_400)));
    assert_eq!(timeout(once_more), None);
    let asks = |input: &Value, output| {
        let run = RunNames { id: "1", kind: "k", attempt: 1, epoch: 1, scheduled_for: None };
        let context = TemplateContext::new(run, input, Path::new("."), [("review", output)]);
        sign_off.condition.as_ref().unwrap().holds(&context)
    };
    assert_eq!(asks(&json!({"ask": true}), Some("x")), Ok(true));
    assert_eq!(asks(&json!({"ask": null}), Some("x")), Ok(false));
    assert_eq!(asks(&json!({"ask": true}), Some("")), Ok(false));
    assert!(asks(&json!({}), Some("x")).unwrap_err().to_string().contains("input.ask"));
    assert!(asks(&json!({"ask": true}), None).unwrap_err().to_string().contains("steps.review.output"));
    assert!(matches!(&keep.action, StepAction::Artifact(artifact) if artifact.paths.len() == 3));
}

#[test]
fn a_provider_has_defaults() {
    let provider = &parse(PROVIDER).unwrap().providers["local"];
    assert_eq!((provider.timeout, provider.max_retries), (Duration::from_secs(60), 4));
    assert_eq!((provider.model.as_deref(), provider.api_key.as_deref()), (None, None));
    assert_eq!(provider.base_url, "http://localhost:11434/v1");
}

#[test]
fn every_fault_of_a_step_has_its_line_and_key() {
    let ai = |rest: &str| step("ai_action", "execution", rest) + PROVIDER;
    let asks = "provider = 'local'\nmodel = 'm'\nprompt = 'p'\n";
    let command = |rest: &str| step("command", "execution", &format!("run = ['x']\n{rest}"));
    for (text, line, key, expected) in [
        (command("if = 'input.a +'"), 6, "if", "template:"),
        (command("if = ''"), 6, "if", "empty"),
        (command("if = 3"), 6, "if", "expected an expression"),
        (command("if = '{{ input.a }}'"), 6, "if", "without `{{ }}`"),
        (command("if = 'input.a }} {{ input.b'"), 6, "if", "without `{{ }}`"),
        (command("if = 'input.a }} b'"), 6, "if", "one expression"),
        (command("if = 'imput.a'"), 6, "if", "did you mean `input`?"),
        (command("if = 'steps.b.output'"), 6, "if", "no step comes before"),
        (command("if = 'steps.a.output'"), 6, "if", "no step comes before"),
        (command("if = '\"a\" * 3'"), 6, "if", "`*` is not supported"),
        (command("iff = 'input.a'"), 6, "iff", "did you mean `if`?"),
        (command("approval = {}"), 6, "approval", "a command step has no such key"),
        (command("paths = ['x']"), 6, "paths", "a command step has no such key"),
        (step("gate", "execution", ""), 1, "", "a gate needs `run ="),
        (step("gate", "execution", "run = ['x']\napproval = {}"), 6, "approval", "not both"),
        (step("gate", "execution", "run = []"), 5, "run", "expected the program"),
        (step("gate", "execution", "approval = true"), 5, "approval", "a table such as { timeout"),
        (step("gate", "execution", "approval = { tiemout = '1h' }"), 5, "tiemout", "did you mean `timeout`?"),
        (step("gate", "execution", "approval = { timeout = '0s' }"), 5, "timeout", "above zero"),
        (step("gate", "cleanup", "approval = {}"), 5, "approval", "not allowed in CLEANUP"),
        (step("gate", "setup", "approval = {}\nonce = true"), 6, "once", "each attempt asks again"),
        (
            step("gate", "setup", "approval = {}\ntimeout = '1h'"),
            6,
            "timeout",
            "set the timeout in the approval",
        ),
        (step("gate", "setup", "prompt = 'x'"), 5, "prompt", "a gate step has no such key"),
        (step("artifact", "cleanup", ""), 1, "", "an artifact step needs `paths ="),
        (step("artifact", "cleanup", "run = ['x']"), 5, "run", "an artifact step has no such key"),
        (step("artifact", "cleanup", "paths = 'x'"), 5, "paths", "expected an array"),
        (step("artifact", "cleanup", "paths = []"), 5, "paths", "1 to 100 paths, found 0"),
        (step("artifact", "cleanup", &format!("paths = [{}]", "'x',".repeat(101))), 5, "paths", "found 101"),
        (step("artifact", "cleanup", "paths = ['a',\n1]"), 6, "paths[1]", "expected text"),
        (step("artifact", "cleanup", "paths = ['']"), 5, "paths[0]", "expected a path"),
        (step("artifact", "cleanup", "paths = ['/etc/passwd']"), 5, "paths[0]", "found an absolute one"),
        (step("artifact", "cleanup", "paths = ['a/../b']"), 5, "paths[0]", "one with `..`"),
        (step("artifact", "cleanup", "paths = ['{{ input.a }}/..']"), 5, "paths[0]", "one with `..`"),
        (step("artifact", "cleanup", "paths = ['{{ inptu.a }}']"), 5, "paths[0]", "did you mean `input`?"),
        (ai(""), 1, "", "needs `provider ="),
        (ai("provider = 3"), 5, "provider", "expected a provider name"),
        (ai("provider = 'locale'\nprompt = 'p'"), 5, "provider", "did you mean \"local\"?"),
        (ai("provider = 'openai'\nprompt = 'p'"), 5, "provider", "there are local"),
        (step("ai_action", "setup", asks), 5, "provider", "none are declared"),
        (ai("provider = 'local'\nprompt = 'p'"), 1, "", "expected a model, here or in [providers.local]"),
        (ai("provider = 'local'\nmodel = ' '\nprompt = 'p'"), 6, "model", "expected a model name"),
        (ai("provider = 'local'\nmodel = 'm'"), 1, "", "needs `prompt ="),
        (ai("provider = 'local'\nmodel = 'm'\nprompt = ''"), 7, "prompt", "found an empty one"),
        (ai("provider = 'local'\nmodel = 'm'\nprompt = '{{ x }}'"), 7, "prompt", "no such name `x`"),
        (ai(&format!("{asks}system = '{{{{ steps.b.output }}}}'")), 8, "system", "no step comes before"),
        (ai(&format!("{asks}temperature = 2.5")), 8, "temperature", "a number from 0 to 2"),
        (ai(&format!("{asks}max_tokens = 0")), 8, "max_tokens", "a whole number from 1"),
        (ai(&format!("{asks}schema = '/x.json'")), 8, "schema", "relative to the folder"),
        (ai(&format!("{asks}schema = 'no.json'")), 8, "schema", "no.json cannot be read"),
        (ai(&format!("{asks}temprature = 1")), 8, "temprature", "did you mean `temperature`?"),
        ("[kinds.k]\ncommand = ['x']\ntoken_budget = 0".to_owned(), 3, "token_budget", "from 1 to"),
    ] {
        let fault = parse(&text).expect_err(&text);
        let found = (fault.position.map(|it| it.line), fault.key.as_deref().unwrap_or_default());
        assert_eq!(found.0, Some(line), "{text}\n{fault}");
        assert!(found.1.ends_with(key), "{text}\n{fault}");
        assert!(fault.problem.contains(expected), "{text}\n{fault}");
    }
}

#[test]
fn a_fault_of_a_provider_has_its_line_and_shows_no_secret() {
    let base = "base_url = 'http://x'";
    for (rest, line, expected) in [
        (String::new(), 1, "expected `base_url ="),
        ("base_url = 'localhost:11434'".to_owned(), 2, "expected an http or https URL"),
        ("base_url = 'ftp://x/hunter2'".to_owned(), 2, "expected an http or https URL"),
        ("base_url = 'http://'".to_owned(), 2, "is not a URL"),
        ("base_url = 'hunter2'".to_owned(), 2, "is not a URL"),
        ("base_url = 22".to_owned(), 2, "in quotes"),
        ("base_url = 'https://me:hunter2@x/'".to_owned(), 2, "must not contain credentials"),
        ("base_url = 'https://hunter2@x/'".to_owned(), 2, "must not contain credentials"),
        ("base_url = 'https://x/?key=hunter2'".to_owned(), 2, "without `?`"),
        (format!("{base}\napi_key = 'hunter2'"), 3, "expected a reference"),
        (format!("{base}\napi_key = 'secret://vault/hunter2'"), 3, "expected a reference"),
        (format!("{base}\napi_key = 'secret://file/../hunter2'"), 3, "expected a reference"),
        (format!("{base}\napi_key = ['hunter2']"), 3, "expected a reference"),
        (format!("{base}\napi_key = 22"), 3, "expected a reference"),
        (format!("{base}\nmodel = 3"), 3, "expected a model name"),
        (format!("{base}\ntimeout = '0s'"), 3, "above zero"),
        (format!("{base}\nmax_retries = 101"), 3, "from 0 to 100"),
        (format!("{base}\nkey = 'hunter2'"), 3, "unknown key"),
    ] {
        let fault = parse(&format!("[providers.p]\n{rest}\n")).expect_err(&rest);
        assert_eq!(fault.position.map(|it| it.line), Some(line), "{rest}\n{fault}");
        assert!(fault.problem.contains(expected), "{rest}\n{fault}");
        let shown = fault.to_string();
        assert!(!shown.contains("hunter2") && !shown.contains("22"), "{shown}");
    }
}
