//! Kinds declared in a `sprongus.toml`.

use std::time::Duration;

use serde_json::{Value, json};
use sprongus_core::json::Json;
use sprongus_core::run::NewRun;
use sprongus_core::run::state::State;
use sprongus_core::run::step::StepStatus::{Completed, Failed, Skipped};

use crate::scene::{Scene, lives};

fn sh(script: &str) -> String {
    format!("command = [\"sh\", \"-c\", '''{script}''']\n")
}

fn step(phase: &str, name: &str, script: &str, rest: &str) -> String {
    format!(
        "[[kinds.k.steps]]\nphase = \"{phase}\"\nname = \"{name}\"\ntype = \"command\"\n\
         run = [\"sh\", \"-c\", '''{script}''']\n{rest}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_given_what_the_contract_promises() {
    let mut scene = Scene::new();
    let script = r#"
        cat > stdin.json
        cmp -s stdin.json "$SPRONGUS_INPUT" && echo same
        echo "$SPRONGUS_ATTEMPT $SPRONGUS_EPOCH $SPRONGUS_STEP $SPRONGUS_RUN_ID"
        test "$SPRONGUS_PROJECT_DIR" = "$1" && echo project
        stat -c %a . ; pwd >&2
        echo 'result={"n": 1.0}' >> "$SPRONGUS_OUTPUT"
        echo 'output_ref=s3://b/k' >> "$SPRONGUS_OUTPUT"
        echo 'progress=40' >> "$SPRONGUS_OUTPUT"
        sleep 0.6
    "#;
    let toml =
        format!("[kinds.k]\ncommand = [\"sh\", \"-c\", '''{script}''', \"sh\", \"{{{{ project_dir }}}}\"]\n");
    scene.declare(&toml);
    let id = scene.enqueue("k", json!({"a": "ü; $(x)"})).await;
    let run = scene.until_state(id, State::Succeeded).await;
    assert_eq!(run.result, Some(Json::from_value(json!({"n": 1}))));
    assert_eq!(run.output_ref.as_deref(), Some("s3://b/k"));
    let output = scene.steps(id).await[0].output.clone().unwrap();
    assert_eq!(output, format!("same\n1 1 command {id}\nproject\n700"));
    assert_eq!(scene.attempt_steps(id).await, [(1, "command".to_owned(), Completed)]);
    assert_eq!(scene.event(id, "run.progressed").await.unwrap().payload.to_value()["progress"], 40);
    let workdir = scene.log(id).await.into_iter().find(|line| line.starts_with('/')).unwrap();
    assert!(!std::path::Path::new(&workdir).exists(), "{workdir} is removed with the attempt");
    assert_eq!(scene.end().await.succeeded, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_retried_with_the_kinds_backoff_and_says_why() {
    let mut scene = Scene::new();
    let toml = format!(
        "[kinds.k]\nbackoff = {{ base = \"50ms\", factor = 3, jitter = false }}\n{}[kinds.config]\n{}[kinds.gone]\ncommand = [\"no-such-program\"]\n[kinds.killed]\n{}",
        sh("echo working; echo first >&2; echo last >&2; exit 3"),
        sh("exit 78"),
        sh("kill -9 $$"),
    );
    scene.declare(&toml);
    let id = scene.enqueue("k", json!({})).await;
    let run = scene.until_state(id, State::Failed).await;
    assert_eq!(
        (run.attempt, run.error.as_deref()),
        (3, Some("step \"command\" exited with 3\nworking\nfirst\nlast"))
    );
    let waits: Vec<Value> =
        scene.events(id).await.iter().map(|event| event.payload.to_value()["retryInMs"].clone()).collect();
    let waits: Vec<_> = waits.into_iter().filter(|wait| !wait.is_null()).collect();
    assert_eq!(waits, [json!(50), json!(150)]);
    for (kind, error) in [("config", "step \"command\" exited with 78"), ("gone", "no such program")] {
        let id = scene.enqueue(kind, json!({})).await;
        let run = scene.until_state(id, State::Failed).await;
        assert_eq!(run.attempt, 1, "{kind} fails for good");
        assert!(run.error.as_deref().unwrap().contains(error), "{:?}", run.error);
    }
    let killed =
        scene.enqueue_with(NewRun { max_attempts: Some(1), ..NewRun::new("killed", Json::default()) }).await;
    let run = scene.until_state(killed, State::Failed).await;
    assert_eq!(run.error.as_deref(), Some("step \"command\" was killed by signal 9"));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_run_in_phase_order_and_cleanup_runs_after_a_failure() {
    let mut scene = Scene::new();
    let out = scene.path().join("order");
    let say = |word: &str| format!("echo {word} >> {}", out.display());
    let toml = step("cleanup", "tidy", &say("tidy"), "")
        + &step("cleanup", "tidy-too", "exit 5", "")
        + &step("validation", "check", &format!("{}; exit 1", say("check")), "")
        + &step("validation", "after", &say("after"), "")
        + &step("execution", "work", &format!("{}; echo made", say("work")), "")
        + &step("setup", "shaky", &format!("{}; exit 4", say("shaky")), "continue_on_error = true")
        + "[[kinds.k.steps]]\nphase = \"execution\"\nname = \"use\"\ntype = \"command\"\n\
           run = [\"sh\", \"-c\", 'echo \"$1\" >> \"$2\"', \"sh\", \"{{ steps.work.output }} {{ input.x }}\", \"ORDER\"]\n"
            .replace("ORDER", &out.display().to_string())
            .as_str();
    scene.declare(&toml);
    let run = NewRun { max_attempts: Some(1), ..NewRun::new("k", Json::from_value(json!({"x": "y; z"}))) };
    let id = scene.enqueue_with(run).await;
    let run = scene.until_state(id, State::Failed).await;
    assert_eq!(run.error.as_deref(), Some("step \"check\" exited with 1"));
    assert_eq!(std::fs::read_to_string(&out).unwrap(), "shaky\nwork\nmade y; z\ncheck\ntidy\n");
    let seen: Vec<_> =
        scene.attempt_steps(id).await.into_iter().map(|(_, name, status)| (name, status)).collect();
    let wanted = [
        ("shaky", Failed),
        ("work", Completed),
        ("use", Completed),
        ("check", Failed),
        ("after", Skipped),
        ("tidy", Completed),
        ("tidy-too", Failed),
    ];
    assert_eq!(seen, wanted.map(|(name, status)| (name.to_owned(), status)));
    assert!(scene.log(id).await.iter().any(|line| line == "CLEANUP failed: step \"tidy-too\" exited with 5"));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_once_step_is_not_repeated_and_its_output_is_reused() {
    let mut scene = Scene::new();
    let count = scene.path().join("count");
    let toml = "[kinds.k]\nbackoff = { base = \"10ms\", jitter = false }\n".to_owned()
        + &step("setup", "token", &format!("echo x >> {}; echo made-once", count.display()), "once = true")
        + "[[kinds.k.steps]]\nphase = \"execution\"\nname = \"work\"\ntype = \"command\"\n\
           run = [\"sh\", \"-c\", 'echo \"$1 $SPRONGUS_ATTEMPT\"; test $SPRONGUS_ATTEMPT = 3', \"sh\", \"{{ steps.token.output }}\"]\n";
    scene.declare(&toml);
    let id = scene.enqueue("k", json!({})).await;
    scene.until_state(id, State::Succeeded).await;
    assert_eq!(std::fs::read_to_string(&count).unwrap(), "x\n");
    let steps = scene.steps(id).await;
    let seen: Vec<_> =
        steps.iter().map(|step| (step.name.as_str(), step.status, step.output.as_deref().unwrap())).collect();
    let wanted = [
        ("token", Completed, "made-once"),
        ("work", Failed, "made-once 1"),
        ("token", Skipped, "made-once"),
        ("work", Failed, "made-once 2"),
        ("token", Skipped, "made-once"),
        ("work", Completed, "made-once 3"),
    ];
    assert_eq!(seen, wanted);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeout_ends_the_process_and_is_named() {
    let mut scene = Scene::new();
    let pid = scene.path().join("pid");
    let toml = format!(
        "[kinds.k]\ntimeout = \"300ms\"\nmax_attempts = 1\n{}[kinds.s]\n{}",
        sh(&format!("echo $$ > {}; sleep 60", pid.display())),
        step("execution", "slow", "sleep 60", "timeout = \"200ms\"").replace("kinds.k", "kinds.s"),
    );
    scene.declare(&toml);
    for (kind, error) in
        [("k", "timed out after 300ms, in step \"command\""), ("s", "step \"slow\" timed out after 200ms")]
    {
        let id =
            scene.enqueue_with(NewRun { max_attempts: Some(1), ..NewRun::new(kind, Json::default()) }).await;
        assert_eq!(scene.until_state(id, State::Failed).await.error.as_deref(), Some(error));
    }
    assert!(!lives(&scene.file("pid").await));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_kills_a_grandchild_that_ignores_term_and_cleanup_runs() {
    let mut scene = Scene::new();
    let (pid, tidied) = (scene.path().join("pid"), scene.path().join("tidied"));
    let stubborn =
        format!("trap \"\" TERM; echo $$ > {}; sleep 600 & wait; sleep 600; sleep 600", pid.display());
    let toml = step("execution", "work", &format!("sh -c '{}' & wait", stubborn.replace('\'', "")), "")
        .replace("'''", "\"\"\"")
        .replace("\"\" TERM", "\\\"\\\" TERM")
        + &step("cleanup", "tidy", &format!("echo done > {}", tidied.display()), "");
    scene.declare(&toml);
    let id = scene.enqueue("k", json!({})).await;
    let grandchild = scene.file("pid").await;
    let asked = std::time::Instant::now();
    scene.runs.cancel(id).await.unwrap();
    scene.until(id, |run| run.lease_expires_at.is_none()).await;
    let took = asked.elapsed();
    assert!(took > Duration::from_secs(5), "it has five seconds from TERM to KILL: {took:?}");
    assert!(!lives(&grandchild));
    assert_eq!(scene.file("tidied").await, "done");
    let cleaned = scene.event(id, "run.cleaned").await.unwrap();
    let canceled = scene.event(id, "run.canceled").await.unwrap();
    let gone_at = cleaned.payload.to_value()["goneAt"].as_str().unwrap().to_owned();
    assert!(gone_at > canceled.at.to_string() && gone_at <= cleaned.at.to_string());
    let seen: Vec<_> =
        scene.attempt_steps(id).await.into_iter().map(|(_, name, status)| (name, status)).collect();
    assert_eq!(seen, [("work".to_owned(), Failed), ("tidy".to_owned(), Completed)]);
    assert_eq!(scene.end().await.canceled, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_resolved_for_the_process_and_masked_in_all_it_prints() {
    let mut scene = Scene::new();
    let folder = scene.path().join(".sprongus/secrets");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("api"), "tr0ub4dor-and-3\n").unwrap();
    let script = r#"
        cat; echo; echo "var $KEY" >&2
        echo 'result={"got": "'"$KEY"'", "to": "a@example.org"}' >> "$SPRONGUS_OUTPUT"
        echo "output_ref=s3://$KEY/x" >> "$SPRONGUS_OUTPUT"
        test "$1" = ok
    "#;
    let toml = format!(
        "[kinds.k]\nsecrets = [\"file/api\", \"env/NO_SUCH_NAME_HERE\"]\nenv = {{ KEY = \"{{{{ input.key }}}}\" }}\n\
         command = [\"sh\", \"-c\", '''{script}''', \"sh\", \"{{{{ input.how }}}}\"]\n"
    );
    scene.declare(&toml);
    let id = scene.enqueue("k", json!({"key": "secret://file/api", "how": "ok"})).await;
    let run = scene.until_state(id, State::Succeeded).await;
    assert_eq!(run.result, Some(Json::from_value(json!({"got": "[secret]", "to": "a@example.org"}))));
    assert_eq!(run.output_ref.as_deref(), Some("s3://[secret]/x"));
    let fails = NewRun {
        max_attempts: Some(1),
        ..NewRun::new("k", json!({"key": "secret://file/api", "how": "no"}).into())
    };
    let failed = scene.enqueue_with(fails).await;
    let failed = scene.until_state(failed, State::Failed).await;
    let error = failed.error.as_deref().unwrap();
    assert!(
        error.starts_with("step \"command\" exited with 1\n") && error.ends_with("\nvar [secret]"),
        "{error}"
    );
    let everything = format!(
        "{:?} {:?} {:?} {:?}",
        scene.log(id).await,
        scene.log(failed.id).await,
        scene.steps(id).await,
        scene.events(id).await.iter().map(|event| event.payload.to_value()).collect::<Vec<_>>(),
    );
    assert!(!everything.contains("tr0ub4dor") && everything.contains("[secret]"), "{everything}");

    let missing = scene.enqueue("k", json!({"key": "secret://env/NO_SUCH_NAME_HERE", "how": "ok"})).await;
    let run = scene.until_state(missing, State::Failed).await;
    assert_eq!(run.attempt, 1);
    let error = run.error.unwrap();
    assert_eq!(
        error,
        "secret reference secret://env/NO_SUCH_NAME_HERE: the variable is not set in the worker"
    );
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unfit_input_fails_for_good_before_any_process_starts() {
    let mut scene = Scene::new();
    let marker = scene.path().join("marker");
    std::fs::write(scene.path().join("s.json"), r#"{"properties": {"n": {"type": "integer"}}}"#).unwrap();
    let toml = format!(
        "[kinds.k]\ninput_schema = \"s.json\"\n{}[kinds.t]\n{}[[kinds.t.steps]]\nphase = \"execution\"\nname = \"b\"\ntype = \"command\"\nrun = [\"echo\", \"{{{{ input.missing }}}}\"]\n",
        sh(&format!("touch {}", marker.display())),
        step("setup", "a", &format!("touch {}", marker.display()), "").replace("kinds.k", "kinds.t"),
    )
    .replace("[kinds.t]\n", "");
    scene.declare(&toml);
    let id = scene.enqueue("k", json!({"n": "x"})).await;
    let run = scene.until_state(id, State::Failed).await;
    assert!(
        run.error.as_deref().unwrap().contains("the input does not match its schema: /n:"),
        "{:?}",
        run.error
    );
    assert_eq!(run.attempt, 1);
    let id = scene.enqueue("t", json!({})).await;
    let run = scene.until_state(id, State::Failed).await;
    assert!(run.error.as_deref().unwrap().contains("`input.missing` does not exist"), "{:?}", run.error);
    assert!(!marker.exists() && run.attempt == 1);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_lines_are_kept_in_order() {
    let mut scene = Scene::new();
    scene.declare(&format!("[kinds.k]\n{}", sh("seq 100000")));
    let id = scene.enqueue("k", json!({})).await;
    scene.until_state(id, State::Succeeded).await;
    let lines = scene.log(id).await;
    assert_eq!(lines.len(), 100_000);
    assert!(lines.iter().enumerate().all(|(index, line)| *line == (index + 1).to_string()));
    scene.end().await;
}
