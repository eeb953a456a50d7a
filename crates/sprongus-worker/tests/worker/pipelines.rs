//! Steps that run only under a condition, gates that a command decides, failures that do not end a run.

use serde_json::json;
use sprongus_core::json::Json;
use sprongus_core::run::NewRun;
use sprongus_core::run::state::State;
use sprongus_core::run::step::StepStatus::{Completed, Failed, Skipped};
use sprongus_core::run::step::StepType;

use crate::gates::{approval, script};
use crate::scene::Scene;

async fn step_statuses(
    scene: &Scene,
    id: sprongus_core::values::ids::RunId,
) -> Vec<(String, sprongus_core::run::step::StepStatus)> {
    scene.attempt_steps(id).await.into_iter().map(|(_, name, status)| (name, status)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_runs_where_its_condition_holds() {
    let mut scene = Scene::new();
    let only = "[[kinds.k.steps]]\nphase = \"execution\"\nname = \"only\"\ntype = \"command\"\n\
        if = \"input.name is defined\"\nrun = [\"echo\", \"{{ input.name }}\"]\n";
    scene.declare(
        &(script("setup", "check", "echo $1", "").replace("\"sh\"]", "\"sh\", \"{{ input.say }}\"]")
            + only
            + &script("execution", "yes", "echo ran", "if = \"steps.check.output == 'yes'\"")
            + &approval("ask", "{}").replace("type", "if = \"input.ask | default(false)\"\ntype")
            + &script("validation", "uses", "echo \"got $1\"", "if = \"steps.yes.output is defined\"")
                .replace("\"sh\"]", "\"sh\", \"{{ steps.yes.output }}\"]")
            + &script("cleanup", "tidy", "true", "if = \"input.say == 'no'\"")),
    );
    for (input, statuses) in [
        (json!({"say": "yes"}), [Completed, Skipped, Completed, Skipped, Completed, Skipped]),
        (json!({"say": "no", "name": "x"}), [Completed, Completed, Skipped, Skipped, Skipped, Completed]),
    ] {
        let id = scene.enqueue("k", input).await;
        let run = scene.until_state(id, State::Succeeded).await;
        let names = ["check", "only", "yes", "ask", "uses", "tidy"].map(str::to_owned);
        let wanted: Vec<_> = names.into_iter().zip(statuses).collect();
        assert_eq!(step_statuses(&scene, id).await, wanted, "{:?}", run.input);
    }
    let id = scene.enqueue("k", json!({"say": "no", "ask": true})).await;
    scene.until_waiting(id, "ask").await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_that_does_not_resolve_fails_for_good() {
    let mut scene = Scene::new();
    let marker = scene.path().join("marker");
    let first = script("setup", "first", &format!("touch {}", marker.display()), "");
    let late = first.replace("kinds.k", "kinds.late").replace("touch", "true #")
        + &script("setup", "maybe", "true", "if = 'false'").replace("kinds.k", "kinds.late")
        + &script("execution", "second", "true", "if = \"steps.maybe.output == 'x'\"")
            .replace("kinds.k", "kinds.late");
    scene.declare(&(first + &script("execution", "second", "true", "if = \"input.deploy\"") + &late));
    let id = scene.enqueue("k", json!({})).await;
    let run = scene.until_state(id, State::Failed).await;
    assert!(run.error.as_deref().unwrap().contains("`input.deploy` does not exist"), "{:?}", run.error);
    assert!(!marker.exists() && run.attempt == 1, "before anything ran");

    // Of a step's output it is known late.
    let id = scene.enqueue("late", json!({})).await;
    let run = scene.until_state(id, State::Failed).await;
    let error = run.error.unwrap();
    assert!(
        error.starts_with("step \"second\": if: template: `steps.maybe.output` does not exist"),
        "{error}"
    );
    assert_eq!(run.attempt, 1);
    let wanted = [("first", Completed), ("maybe", Skipped), ("second", Failed)];
    assert_eq!(step_statuses(&scene, id).await, wanted.map(|(name, status)| (name.to_owned(), status)));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commands_exit_code_passes_a_gate_or_not() {
    let mut scene = Scene::new();
    let gate = |rest: &str| {
        script("validation", "test", "echo tested; echo why >&2; test \"$SPRONGUS_ATTEMPT\" = 2", rest)
            .replace("\"command\"", "\"gate\"")
    };
    let backoff = "[kinds.k]\nbackoff = { base = \"10ms\" }\n";
    let after = script("validation", "after", "true", "");
    let lenient = gate("continue_on_error = true") + &after;
    scene.declare(&(backoff.to_owned() + &gate("") + &after + &lenient.replace("kinds.k", "kinds.lenient")));
    let id = scene.enqueue("k", json!({})).await;
    let run = scene.until_state(id, State::Succeeded).await;
    assert_eq!(run.attempt, 2, "a failed gate is retried as any command");
    let steps = scene.steps(id).await;
    assert!(steps.iter().filter(|step| step.name == "test").all(|step| step.kind == StepType::Gate));
    assert_eq!(steps[0].output.as_deref(), Some("tested"));
    let wanted = [("test", Failed), ("after", Skipped), ("test", Completed), ("after", Completed)];
    assert_eq!(step_statuses(&scene, id).await, wanted.map(|(name, status)| (name.to_owned(), status)));

    let once = NewRun { max_attempts: Some(1), ..NewRun::new("k", Json::default()) };
    let id = scene.enqueue_with(once).await;
    let run = scene.until_state(id, State::Failed).await;
    assert_eq!(
        run.error.as_deref(),
        Some("gate \"test\" did not pass: its command exited with 1\ntested\nwhy")
    );

    let id = scene.enqueue("lenient", json!({})).await;
    scene.until_state(id, State::Succeeded).await;
    let wanted = [("test", Failed), ("after", Completed)];
    assert_eq!(step_statuses(&scene, id).await, wanted.map(|(name, status)| (name.to_owned(), status)));
    scene.end().await;
}
