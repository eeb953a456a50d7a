//! `approve` and `reject`.

use sprongus::RunsExt;
use sprongus::core::values::ids::StepId;

use crate::backing::{Backing, sessions};
use crate::sandbox::{Sandbox, block_on, worker};

/// A run that waits at a gate.
fn waiting(sandbox: &Sandbox) -> (String, StepId) {
    let id = sandbox.enqueue("a");
    let step = block_on(async {
        let runs = sandbox.runs().await;
        let claimed = runs.claim_next(&worker(), 1).await.unwrap().remove(0);
        let hold = claimed.hold();
        let step = StepId::of(hold.id, hold.epoch, 1);
        runs.wait(&hold, step, None).await.unwrap();
        step
    });
    (id, step)
}

fn approving_lets_it_pass_and_only_once(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    let (id, step) = waiting(&sandbox);
    let status = sandbox.run(&["runs", "status", &id]).exits(0).out;
    assert!(status.contains("approval, since") && status.contains("runs approve"), "{status}");
    let inbox = sandbox.line("--json gates list").exits(0).json();
    assert_eq!(
        (&inbox["data"][0]["runId"], &inbox["data"][1]),
        (&id.as_str().into(), &serde_json::Value::Null)
    );
    assert!(sandbox.line("gates list").exits(0).out.contains("WAITING SINCE"));
    let approved = sandbox.run(&["--json", "runs", "approve", &id]).exits(0).json();
    assert_eq!(approved["waitingFor"], serde_json::Value::Null);
    assert!(sandbox.line("gates list").exits(0).out.contains("No gates are waiting"));
    sandbox.run(&["runs", "approve", &id]).exits(4);
    let step = step.to_string();
    sandbox.run(&["runs", "approve", &id, "--step", &step]).exits(0);
    sandbox.run(&["runs", "reject", &id, "--step", &step, "--reason", "no"]).exits(4);
}

fn rejecting_needs_a_reason_and_fails_the_run(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    let (id, _) = waiting(&sandbox);
    sandbox.run(&["runs", "reject", &id]).exits(2);
    sandbox.run(&["runs", "reject", &id, "--reason", " "]).exits(2);
    let rejected = sandbox.run(&["--json", "runs", "reject", &id, "--reason", "too dark"]).exits(0).json();
    assert_eq!(rejected["state"], "failed");
    assert_eq!(rejected["error"], "rejected: too dark");
    let actor = sandbox.run(&["--json", "runs", "events", &id]).exits(0).lines();
    assert!(actor.iter().any(|event| event["type"] == "run.rejected" && event["actor"] == "ada"));
}

sessions! {
    approving_lets_it_pass_and_only_once,
    rejecting_needs_a_reason_and_fails_the_run,
}
