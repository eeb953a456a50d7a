//! Who is given a secret: what an input may refer to, what `sprongus.toml` hands out, and how it reaches a command.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sprongus_core::json::Json;
use sprongus_core::run::NewRun;
use sprongus_core::run::state::State;
use sprongus_worker::RunContext;

use crate::scene::Scene;

const SECRET: &str = "tr0ub4dor-and-3";

fn scene() -> Scene {
    let scene = Scene::new();
    let folder = scene.path().join(".sprongus/secrets");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("api"), SECRET).unwrap();
    scene
}

/// What the run came to: its only error, or its result.
async fn comes_to(scene: &Scene, kind: &str, input: Value) -> Result<Option<Value>, String> {
    let run = NewRun { max_attempts: Some(3), ..NewRun::new(kind, Json::from_value(input)) };
    let id = scene.enqueue_with(run).await;
    let run = scene.until(id, |run| run.state.is_final()).await;
    match run.state {
        State::Succeeded => Ok(run.result.map(|result| result.to_value())),
        State::Queued | State::Running | State::Failed | State::Canceled => {
            assert_eq!(run.attempt, 1, "it fails for good: {:?}", run.error);
            Err(run.error.unwrap())
        }
    }
}

/// Whether a file below holds the secret.
fn holds(folder: &Path) -> Option<PathBuf> {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let _ = std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700));
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let kind = std::fs::symlink_metadata(&path).unwrap().file_type();
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() {
                let text = std::fs::read(&path).unwrap();
                if text.windows(SECRET.len()).any(|part| part == SECRET.as_bytes()) {
                    return Some(path);
                }
            }
        }
    }
    None
}

#[tokio::test(flavor = "multi_thread")]
async fn an_input_reaches_only_what_its_kind_lists() {
    let mut scene = scene();
    let marker = scene.path().join("marker");
    scene.declare(&format!(
        "[kinds.open]\nsecrets = [\"file/api\"]\n\
         command = [\"sh\", \"-c\", '''echo \"result=$(cat)\" >> \"$SPRONGUS_OUTPUT\"''']\n\
         [kinds.shut]\ncommand = [\"touch\", \"{}\"]\n",
        marker.display()
    ));
    let given = comes_to(&scene, "open", json!({"a": ["secret://file/api"]})).await;
    assert_eq!(given, Ok(Some(json!({"a": ["[secret]"]}))), "the command was given the value");
    for (input, named) in [
        (json!({"a": ["secret://file/api"]}), "secret://file/api"),
        (json!("secret://env/PATH"), "secret://env/PATH"),
        (json!({"a": "secret://env/SPRONGUS_TOKEN"}), "secret://env/SPRONGUS_TOKEN"),
        (json!({"a": "secret://env/DATABASE_URL"}), "secret://env/DATABASE_URL"),
        (json!({"a": "secret://file/../../etc/passwd"}), "secret://file/../../etc/passwd"),
        (json!({"a": "secret://nope/x"}), "secret://nope/x"),
        (json!({"a": {"secret://file/api": 1}}), "secret://file/api"),
        (json!({"a": "key=secret://file/api"}), "secret://file/api"),
    ] {
        let seen = comes_to(&scene, "shut", input.clone()).await.unwrap_err();
        assert!(seen.contains(named), "{input}: {seen}");
    }
    assert!(!marker.exists(), "no process was started");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_is_given_only_what_was_listed_with_it() {
    let mut scene = scene();
    let echo = |_: RunContext, input: Value| async move { Ok(input["key"] == SECRET) };
    scene.options.secrets = Some(scene.path().join(".sprongus/secrets"));
    let worker = scene.worker().kind("shut", echo).kind_with_secrets("open", &["file/api"], echo);
    scene.start(worker);
    let input = json!({"key": "secret://file/api"});
    assert_eq!(comes_to(&scene, "open", input.clone()).await, Ok(Some(json!(true))));
    let seen = comes_to(&scene, "shut", input).await.unwrap_err();
    assert!(seen.contains("secret://file/api") && seen.contains("not allowed in an input"), "{seen}");
    scene.end().await;

    let scene = self::scene();
    let worker = scene.worker().kind_with_secrets("k", &["env/PGPASSWORD"], echo);
    let error = worker.run(sprongus_worker::Shutdown::new()).await.unwrap_err();
    assert!(error.message().contains("PGPASSWORD"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_declaration_hands_out_secrets_and_settings_and_a_step_goes_before_its_kind() {
    let mut scene = scene();
    std::fs::create_dir(scene.path().join("tools")).unwrap();
    std::fs::write(scene.path().join("tools/here"), "found").unwrap();
    let print =
        "printf '%s|%s|%s|%s|%s' \"$KEY\" \"$MODE\" \"$NAME\" \"$PYTHONUNBUFFERED\" \"$(cat here; wc -c)\"";
    scene.declare(&format!(
        "[kinds.k]\nenv = {{ KEY = \"secret://file/api\", MODE = \"fast\", NAME = \"{{{{ input.name }}}}\" }}\n\
         cwd = \"tools\"\nstdin = \"none\"\n\
         [[kinds.k.steps]]\nphase = \"setup\"\nname = \"a\"\ntype = \"command\"\nrun = [\"sh\", \"-c\", '''{print}''']\n\
         [[kinds.k.steps]]\nphase = \"execution\"\nname = \"b\"\ntype = \"gate\"\nrun = [\"sh\", \"-c\", '''{print}''']\n\
         env = {{ MODE = \"slow {{{{ steps.a.output | length }}}}\", PYTHONUNBUFFERED = \"\" }}\ncwd = \".\"\nstdin = \"input\"\n\
         [[kinds.k.steps]]\nphase = \"cleanup\"\nname = \"c\"\ntype = \"command\"\n\
         run = [\"sh\", \"-c\", '''test \"$PWD\" != \"$SPRONGUS_WORKDIR\" && cd \"$SPRONGUS_WORKDIR\" && test -d . && printf ok''']\n",
    ));
    std::fs::write(scene.path().join("here"), "above").unwrap();
    let id = scene.enqueue("k", json!({"name": "$(id); 'ü'"})).await;
    scene.until_state(id, State::Succeeded).await;
    let outputs: Vec<_> = scene.steps(id).await.into_iter().map(|step| step.output.unwrap()).collect();
    let input = json!({"name": "$(id); 'ü'"}).to_string().len();
    assert_eq!(
        outputs,
        [
            "[secret]|fast|$(id); 'ü'|1|found0".to_owned(),
            format!("[secret]|slow 40|$(id); 'ü'||above{input}"),
            "ok".to_owned()
        ]
    );
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_not_there_fails_before_a_process_starts() {
    let mut scene = scene();
    let marker = scene.path().join("marker");
    let step = |name: &str, rest: &str| {
        format!(
            "[[kinds.k.steps]]\nphase = \"execution\"\nname = \"{name}\"\ntype = \"command\"\nrun = [\"touch\", \"{}\"]\n{rest}\n",
            marker.display()
        )
    };
    scene.declare(&(step("a", "") + &step("b", "if = \"input.b\"\nenv = { K = \"secret://file/absent\" }")));
    let seen = comes_to(&scene, "k", json!({"b": true})).await.unwrap_err();
    assert!(seen.starts_with("secret reference secret://file/absent: "), "{seen}");
    assert!(!marker.exists());
    assert_eq!(
        comes_to(&scene, "k", json!({"b": false})).await,
        Ok(None),
        "a step that does not run needs none"
    );
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_no_argument_unless_the_kind_says_so() {
    let mut scene = scene();
    let marker = scene.path().join("marker");
    let touch = format!("command = [\"touch\", \"{}\", ", marker.display());
    let mut toml = String::new();
    let hidden = [
        "{{ input.key }}",
        "--key={{ input.key | upper }}",
        "{{ input | tojson }}",
        "{{ input.list | first }}",
        "{{ input.key | length }}",
    ];
    for (number, element) in hidden.iter().enumerate() {
        toml += &format!("[kinds.a{number}]\nsecrets = [\"file/api\"]\n{touch}\"{element}\"]\n");
    }
    toml += "[kinds.open]\nsecrets = [\"file/api\"]\nsecret_arguments = true\n\
             command = [\"sh\", \"-c\", 'test \"$1\" = tr0ub4dor-and-3', \"sh\", \"{{ input.key }}\"]\n";
    toml += &format!("[kinds.other]\nsecrets = [\"file/api\"]\n{touch}\"{{{{ input.plain }}}}\"]\n");
    // The secret comes by way of an earlier step's output.
    for (kind, env) in [("through", ""), ("given", "env = { OUT = \"{{ steps.say.output }}\" }")] {
        let use_it = if env.is_empty() { "\"{{ steps.say.output }}\"" } else { "\"$OUT\"" };
        toml += &format!(
            "[kinds.{kind}]\nenv = {{ KEY = \"secret://file/api\" }}\n\
             [[kinds.{kind}.steps]]\nphase = \"setup\"\nname = \"say\"\ntype = \"command\"\nrun = [\"sh\", \"-c\", 'echo Bearer $KEY']\n\
             [[kinds.{kind}.steps]]\nphase = \"execution\"\nname = \"use\"\ntype = \"command\"\nrun = [\"test\", \"x\", \"!=\", {use_it}]\n{env}\n"
        );
    }
    scene.declare(&toml);
    let input = json!({"key": "secret://file/api", "list": ["secret://file/api"], "plain": scene.path().join("plain")});
    for number in 0..hidden.len() {
        let seen = comes_to(&scene, &format!("a{number}"), input.clone()).await.unwrap_err();
        assert!(
            seen.contains("argument 2") && seen.contains("env = { NAME") && !seen.contains(SECRET),
            "{seen}"
        );
    }
    assert!(!marker.exists(), "no process was started");
    assert_eq!(comes_to(&scene, "open", input.clone()).await, Ok(None));
    assert_eq!(
        comes_to(&scene, "other", input.clone()).await,
        Ok(None),
        "what is no secret may be an argument"
    );
    let seen = comes_to(&scene, "through", json!({})).await.unwrap_err();
    assert!(seen.contains("argument 3") && !seen.contains(SECRET), "{seen}");
    assert_eq!(comes_to(&scene, "given", json!({})).await, Ok(None));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_resolved_stays_whatever_a_command_does_to_its_folders() {
    let mut scene = scene();
    let away = scene.path().join("away");
    std::fs::create_dir(&away).unwrap();
    let away = away.display();
    let scripts = [
        "mkdir -p m/d; echo x > m/d/f; chmod 555 m/d m".to_owned(),
        "chmod 000 .".to_owned(),
        "mkdir -p a/b/c; chmod 000 a/b/c a/b a; chmod 555 ..; chmod 500 ../..".to_owned(),
        format!("mv \"$SPRONGUS_INPUT\" {away}/taken"),
        format!("ln \"$SPRONGUS_INPUT\" {away}/linked; rm \"$SPRONGUS_INPUT\"; mkdir \"$SPRONGUS_INPUT\""),
        format!("mv \"${{PWD%/work}}\" {away}/moved-$$"),
        format!("mv \"${{PWD%/work}}\" {away}/swapped-$$; ln -s {away} \"${{PWD%/work}}\""),
        format!("mv \"${{PWD%/work}}\" {away}/again-$$; mkdir -p \"${{PWD%/work}}\"/x/y"),
        // Deeper than a path may be long, and than a process may have files open.
        "p=$(printf 'd/%.0s' $(seq 1000)); mkdir -p $p && cd $p && mkdir -p $p && echo x > $p/f".to_owned(),
    ];
    let mut toml = String::new();
    for (number, script) in scripts.iter().enumerate() {
        toml += &format!(
            "[kinds.k{number}]\nsecrets = [\"file/api\"]\nmax_attempts = 1\n\
             command = [\"sh\", \"-c\", '''grep -q tr0ub4dor \"$SPRONGUS_INPUT\" || exit 9; {script}''']\n"
        );
    }
    scene.options.concurrency = 1;
    scene.declare(&toml);
    for (number, script) in scripts.iter().enumerate() {
        let id = scene.enqueue(&format!("k{number}"), json!({"key": "secret://file/api"})).await;
        let run = scene.until(id, |run| run.state.is_final()).await;
        let step = &scene.steps(id).await[0];
        assert_ne!(run.error.as_deref(), Some("step \"command\" exited with 9"), "{script}");
        assert!(step.output.is_some(), "it ran: {script}");
    }
    scene.shutdown.drain();
    scene.ended().await;
    let scratch = scene.options.scratch.clone();
    assert!(holds(scene.path()).is_some(), "the secret itself is found");
    std::fs::remove_dir_all(scene.path().join(".sprongus")).unwrap();
    assert_eq!(holds(scene.path()), None);
    let left: Vec<_> =
        std::fs::read_dir(scratch.join("attempts")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(left, Vec::<PathBuf>::new());
}
