//! Runs that wait for a person: where their things are meanwhile, and how they go on.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use sprongus_core::json::Json;
use sprongus_core::run::state::State;
use sprongus_core::run::step::StepStatus::{Completed, Running};
use sprongus_core::run::{Answer, NewRun};
use sprongus_core::runs::Runs;

use crate::scene::{Scene, eventually};
use crate::tampered::{Call, Tampered};

/// A step of kind `k` that runs a script, with `rest` among its keys.
pub fn script(phase: &str, name: &str, script: &str, rest: &str) -> String {
    format!(
        "[[kinds.k.steps]]\nphase = \"{phase}\"\nname = \"{name}\"\ntype = \"command\"\n\
         run = [\"sh\", \"-c\", '''{script}''', \"sh\"]\n{rest}\n"
    )
}

pub fn approval(name: &str, approval: &str) -> String {
    format!(
        "[[kinds.k.steps]]\nphase = \"validation\"\nname = \"{name}\"\ntype = \"gate\"\napproval = {approval}\n"
    )
}

/// Appends a line to a file that outlives the attempt.
fn tell(file: &Path, what: &str) -> String {
    format!("{{ {what}; }} >> {}", file.display())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_waits_without_a_worker_and_goes_on_elsewhere_with_all_it_had() {
    let mut scene = Scene::on_disk();
    scene.options.concurrency = 1;
    let tidied = scene.path().join("tidied");
    let make = r#"
        echo made > a; chmod 751 a; ln -s a link; mkdir d; echo inner > d/f
        echo 'result={"n": 1}' >> "$SPRONGUS_OUTPUT"
        echo 'output_ref=s3://b/k' >> "$SPRONGUS_OUTPUT"
        echo printed
    "#;
    let look = r#"
        cat a link d/f; stat -c %a a d; readlink link; ls -A
        echo "$SPRONGUS_ATTEMPT $SPRONGUS_EPOCH"
    "#;
    let use_outputs = "[[kinds.k.steps]]\nphase = \"validation\"\nname = \"use\"\ntype = \"command\"\n\
        run = [\"echo\", \"{{ steps.make.output }}\", \"{{ steps['sign-off'].output }}\"]\n";
    let toml = script("setup", "make", make, "")
        + &approval("sign-off", "{ timeout = \"1h\" }")
        + &script("validation", "look", look, "")
        + use_outputs
        + &script("cleanup", "tidy", &tell(&tidied, "echo tidied"), "")
        + "[kinds.other]\ncommand = [\"true\"]\n";
    scene.declare(&toml);
    let id = scene.enqueue("k", json!({})).await;
    let gate = scene.until_waiting(id, "sign-off").await;
    assert_eq!((gate.status, gate.ordinal, gate.output), (Running, 1, None));
    let run = scene.get(id).await;
    assert_eq!((run.state, run.attempt, run.lease_expires_at), (State::Queued, 1, None));
    assert!(!tidied.exists(), "CLEANUP is for the end of the attempt");

    // Its one slot is free.
    let other = scene.enqueue("other", json!({})).await;
    scene.until_state(other, State::Succeeded).await;
    let attempts = scene.path().join("scratch/attempts");
    assert_eq!(std::fs::read_dir(attempts).unwrap().count(), 0, "nothing of it is left here");
    let summary = scene.change_worker().await;
    assert_eq!((summary.waiting, summary.succeeded, summary.lost), (1, 1, 0));

    scene.declare(&toml);
    // Enqueued after it, so a worker that could claim both claims this one last.
    let later = scene.enqueue("other", json!({})).await;
    scene.until_state(later, State::Succeeded).await;
    assert_eq!(scene.get(id).await.state, State::Queued, "only an answer makes it go on");
    scene.approve(id, "looks good").await;
    let run = scene.until_state(id, State::Succeeded).await;
    assert_eq!((run.attempt, run.epoch), (1, 2));
    assert_eq!(run.result, Some(Json::from_value(json!({"n": 1}))));
    assert_eq!(run.output_ref.as_deref(), Some("s3://b/k"));

    let steps = scene.steps(id).await;
    let seen: Vec<_> = steps.iter().map(|step| (step.ordinal, step.name.as_str(), step.status)).collect();
    let wanted = [(0, "make"), (1, "sign-off"), (2, "look"), (3, "use"), (4, "tidy")];
    assert_eq!(seen, wanted.map(|(ordinal, name)| (ordinal, name, Completed)));
    assert_eq!(steps[1].id, gate.id, "the step that was answered is the one that is completed");
    let look = steps[2].output.as_deref().unwrap();
    assert_eq!(look, "made\nmade\ninner\n751\n755\na\na\nd\nlink\n1 2");
    let answer = r#"{"by":"test","comment":"looks good"}"#;
    assert_eq!(steps[1].output.as_deref(), Some(answer));
    assert_eq!(steps[3].output.as_deref(), Some(format!("printed {answer}").as_str()));
    let started = scene.events(id).await.into_iter().filter(|event| event.kind.to_string() == "step.started");
    assert_eq!(started.count(), 5, "no step begins twice");
    assert_eq!(scene.file("tidied").await, "tidied", "CLEANUP runs once");
    assert_eq!(scene.end().await.succeeded, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_gate_waits_again_and_the_files_of_both_parts_are_there() {
    let mut scene = Scene::on_disk();
    scene.declare(
        &(script("execution", "first", "echo 1 > one", "")
            + &approval("a", "{}")
            + &script("validation", "second", "echo 2 > two; cat one", "")
            + &approval("b", "{}")
            + &script("validation", "third", "cat one two", "")),
    );
    let id = scene.enqueue("k", json!({})).await;
    let a = scene.until_waiting(id, "a").await;
    scene.approve(id, "first").await;
    let b = scene.until_waiting(id, "b").await;
    assert_ne!(a.id, b.id);
    // The first gate's answer does not pass the second one.
    let again = scene.runs.answer(id, Some(a.id), Answer::Approved, None).await;
    assert!(again.is_err());
    scene.approve(id, "second").await;
    let run = scene.until_state(id, State::Succeeded).await;
    assert_eq!((run.attempt, run.epoch), (1, 3));
    let outputs: Vec<_> = scene.steps(id).await.into_iter().map(|step| step.output.unwrap()).collect();
    let by = |comment: &str| json!({"by": "test", "comment": comment}).to_string();
    assert_eq!(outputs, ["".to_owned(), by("first"), "1".to_owned(), by("second"), "1\n2".to_owned()]);
    assert_eq!(scene.end().await.waiting, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn called_off_while_it_waits_a_run_is_put_back_for_its_cleanup() {
    let mut scene = Scene::on_disk();
    let (tidied, went_on) = (scene.path().join("tidied"), scene.path().join("went-on"));
    let cleanup = format!(
        "[[kinds.k.steps]]\nphase = \"cleanup\"\nname = \"tidy\"\ntype = \"command\"\n\
         run = [\"sh\", \"-c\", '''{}''', \"sh\", \"{{{{ steps.make.output }}}}\"]\n",
        tell(&tidied, "cat a; echo \"$1\""),
    );
    let toml = |limit: &str| {
        script("setup", "make", "echo \"file of $SPRONGUS_RUN_ID\" > a; echo printed", "")
            + &approval("sign-off", limit)
            + &script("validation", "after", &tell(&went_on, "echo after"), "")
            + &cleanup
    };
    scene.declare(&(toml("{}") + &toml("{ timeout = \"1500ms\" }").replace("kinds.k.", "kinds.brief.")));
    for (kind, error) in [("k", Some("rejected: not like this")), ("k", None), ("brief", Some("timed out"))] {
        let id = scene.enqueue(kind, json!({})).await;
        scene.until_waiting(id, "sign-off").await;
        let state = match error {
            Some("timed out") => State::Failed,
            Some(_) => {
                let reason = Some("not like this".to_owned());
                scene.runs.answer(id, None, Answer::Rejected, reason).await.unwrap();
                State::Failed
            }
            None => {
                scene.runs.cancel(id).await.unwrap();
                State::Canceled
            }
        };
        scene.until_event(id, "run.cleaned").await;
        let run = scene.get(id).await;
        let expected = format!("file of {id}\nprinted");
        assert_eq!(scene.file("tidied").await, expected, "{kind} {error:?}");
        assert_eq!((run.state, run.attempt), (state, 1));
        match error {
            Some("timed out") => assert!(run.error.is_some(), "an expired approval fails for good"),
            error => assert_eq!(run.error.as_deref(), error),
        }
        std::fs::remove_file(&tidied).unwrap();
        assert!(!went_on.exists());
    }
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_behind_the_gate_begins_afresh_and_repeats_no_once_step() {
    let mut scene = Scene::on_disk();
    scene.options.lease = Duration::from_secs(1);
    let count = scene.path().join("count");
    let toml = script("setup", "token", &tell(&count, "echo x"), "once = true")
        + &script("execution", "make", "test ! -e a; echo made > a", "")
        + &approval("sign-off", "{}")
        + &script(
            "validation",
            "after",
            "cat a; test $SPRONGUS_ATTEMPT = 2 || { echo $$ > \"$SPRONGUS_PROJECT_DIR/pid\"; sleep 60; }",
            "",
        );
    scene.declare(&toml);
    let id = scene.enqueue("k", json!({})).await;
    scene.until_waiting(id, "sign-off").await;
    scene.approve(id, "once").await;
    scene.file("pid").await;
    scene.kill_worker();
    scene.shutdown = sprongus_worker::Shutdown::new();
    scene.declare(&toml);
    let gate = scene.until_waiting(id, "sign-off").await;
    assert_eq!(gate.attempt, 2, "what was approved was another attempt's work");
    scene.approve(id, "twice").await;
    let run = scene.until_state(id, State::Succeeded).await;
    assert_eq!((run.attempt, run.crashes), (2, 1));
    assert_eq!(scene.file("count").await, "x");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_and_the_output_that_an_attempt_may_use_are_used_up_over_a_gate() {
    let mut scene = Scene::on_disk();
    let print = "yes $(printf %01000d 0) | head -c 6000000";
    let toml = "[kinds.k]\ntimeout = \"8s\"\nmax_attempts = 1\n".to_owned()
        + &script("execution", "before", &format!("sleep 4; {print}"), "")
        + &approval("sign-off", "{}")
        + &script("validation", "after", &format!("{print}; sleep 6"), "");
    scene.declare(&toml);
    let id = scene.enqueue_with(NewRun { max_attempts: Some(1), ..NewRun::new("k", Json::default()) }).await;
    scene.until_waiting(id, "sign-off").await;
    // Waiting is not working: if it were, nothing would be left for what comes after it.
    tokio::time::sleep(Duration::from_secs(5)).await;
    scene.approve(id, "").await;
    let run = scene.until_state(id, State::Failed).await;
    let error = run.error.unwrap();
    assert!(error.starts_with("timed out after 8s, in step \"after\"\n"), "{error}");
    let log = scene.log(id).await;
    assert!(log.iter().any(|line| line == "[more output is in the artifact log/after.txt]"), "{}", log.len());
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_lost_on_the_way_do_no_harm() {
    let mut scene = Scene::on_disk();
    scene.options.lease = Duration::from_secs(6);
    let line = Tampered::new(Arc::clone(&scene.runs));
    let toml = script("execution", "make", "echo made > a", "")
        + &approval("sign-off", "{}")
        + &script("validation", "after", "cat a", "");
    let worker = scene.worker_over(Arc::clone(&line) as Arc<dyn Runs>).declared(scene.declaration(&toml));
    line.lose(Call::KeepWorkdir, 1);
    line.lose(Call::DropWorkdir, 1);
    // Long enough for a heartbeat to be told that the run is not held any more, which is then no loss.
    line.lose(Call::Wait, 8);
    scene.start(worker);
    let id = scene.enqueue("k", json!({})).await;
    scene.until_waiting(id, "sign-off").await;
    let has_repeated = || line.waits.load(std::sync::atomic::Ordering::SeqCst) >= 9;
    eventually("the word that it waits is repeated", has_repeated).await;
    assert_eq!(line.keeps.load(std::sync::atomic::Ordering::SeqCst), 2, "brought anew");
    let waited = scene.events(id).await.into_iter().filter(|event| event.kind.to_string() == "run.waiting");
    assert_eq!(waited.count(), 1);
    scene.approve(id, "").await;
    let run = scene.until_state(id, State::Succeeded).await;
    assert_eq!((run.attempt, run.crashes), (1, 0));
    let summary = scene.end().await;
    assert_eq!((summary.waiting, summary.succeeded, summary.lost), (1, 1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_kept_beside_the_files_over_a_gate() {
    let mut scene = Scene::on_disk();
    let secrets = scene.path().join(".sprongus/secrets");
    std::fs::create_dir_all(&secrets).unwrap();
    std::fs::write(secrets.join("key"), "tr0ub4dor-and-3").unwrap();
    let toml = script(
        "execution",
        "make",
        "cat >/dev/null; echo \"result={\\\"got\\\": \\\"$KEY\\\"}\" >> \"$SPRONGUS_OUTPUT\"; echo \"output_ref=x://$KEY\" >> \"$SPRONGUS_OUTPUT\"",
        "env = { KEY = \"{{ input.key }}\" }",
    ) + &approval("sign-off", "{}")
        + "[kinds.k]\nsecrets = [\"file/key\"]\n";
    scene.options.secrets = Some(secrets);
    scene.declare(&toml);
    let id = scene.enqueue("k", json!({"key": "secret://file/key"})).await;
    scene.until_waiting(id, "sign-off").await;
    let database = std::fs::read(scene.path().join("runs.db")).unwrap();
    let kept = scene.kept(id).await.unwrap();
    for bytes in [&database, &kept] {
        assert!(!bytes.windows(9).any(|bytes| bytes == b"tr0ub4dor"));
    }
    assert!(kept.windows(8).any(|bytes| bytes == b"[secret]"), "the result is there, masked");
    scene.approve(id, "").await;
    let run = scene.until_state(id, State::Succeeded).await;
    assert_eq!(run.result, Some(Json::from_value(json!({"got": "[secret]"}))));
    assert_eq!(run.output_ref.as_deref(), Some("x://[secret]"));
    scene.end().await;
}
