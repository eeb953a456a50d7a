//! `cancel` and `retry`: by id or by filter, and never unasked.

use crate::backing::{Backing, sessions};
use crate::sandbox::Sandbox;

fn without_a_terminal_yes_must_be_said(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    let id = sandbox.enqueue("a");
    assert!(sandbox.run(&["runs", "cancel", &id]).exits(2).error().contains("cannot ask for confirmation"));
    assert_eq!(sandbox.run(&["--json", "runs", "status", &id]).json()["state"], "queued");
    let canceled = sandbox.run(&["--json", "runs", "cancel", &id, "--yes"]).exits(0).json();
    assert_eq!(canceled["state"], "canceled");
    let again = sandbox.run(&["--json", "runs", "cancel", &id, "--yes"]).exits(0).json();
    assert_eq!(again, canceled, "already canceled is no error and changes nothing");
}

fn at_a_terminal_it_asks(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    let id = sandbox.enqueue("a");
    let no = sandbox.at_terminal(&["runs", "cancel", &id], "n\n").exits(0);
    assert!(no.err.contains(&format!("cancel run {id} (a, queued)? [y/N]")), "{}", no.err);
    assert!(no.err.contains("nothing changed") && no.out.is_empty());
    assert_eq!(sandbox.run(&["--json", "runs", "status", &id]).json()["state"], "queued");
    sandbox.at_terminal(&["runs", "cancel", &id], "\n").exits(0);
    assert_eq!(sandbox.run(&["--json", "runs", "status", &id]).json()["state"], "queued");
    sandbox.at_terminal(&["runs", "cancel", &id], "y\n").exits(0);
    assert_eq!(sandbox.run(&["--json", "runs", "status", &id]).json()["state"], "canceled");
}

fn retry_wants_a_run_that_has_ended(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    let id = sandbox.enqueue("a");
    let refused = sandbox.run(&["runs", "retry", &id, "--yes"]).exits(4);
    assert!(refused.error().contains("queued"), "{}", refused.err);
    sandbox.run(&["runs", "cancel", &id, "--yes"]).exits(0);
    let retried = sandbox.run(&["--json", "runs", "retry", &id, "--yes"]).exits(0).json();
    assert_eq!(retried["state"], "queued");
    assert_eq!(retried["finishedAt"], serde_json::Value::Null);
}

fn filters_find_and_a_dry_run_changes_nothing(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    let (one, two, other) = (sandbox.enqueue("a"), sandbox.enqueue("a"), sandbox.enqueue("b"));
    let dry = sandbox.line("-q runs cancel --kind a --dry-run").exits(0).out;
    assert_eq!(dry, format!("{two}\n{one}\n"));
    assert_eq!(sandbox.line("-q runs list --state queued").out.lines().count(), 3);
    sandbox.line("runs cancel --kind a --yes").exits(0);
    assert_eq!(sandbox.line("-q runs list --state queued").out.trim(), other);
    sandbox.line("runs retry --kind a --yes").exits(0);
    assert_eq!(sandbox.line("-q runs list --state queued").out.lines().count(), 3);
    assert!(sandbox.line("runs cancel --kind nothing --yes").exits(0).err.contains("no runs"));
}

fn naming_nothing_is_not_naming_everything(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    sandbox.enqueue("a");
    assert!(sandbox.line("runs cancel --yes").exits(2).error().contains("specify which runs to cancel"));
    let id = sandbox.enqueue("a");
    sandbox.run(&["runs", "cancel", &id, "--kind", "a", "--yes"]).exits(2);
    assert_eq!(sandbox.line("-q runs list --state queued").out.lines().count(), 2);
}

fn one_unknown_id_leaves_the_others_alone(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    let id = sandbox.enqueue("a");
    sandbox.run(&["runs", "cancel", &id, "01KAMXXXXXXXXXXXXXXXXXXXXX", "--yes"]).exits(3);
    assert_eq!(sandbox.run(&["--json", "runs", "status", &id]).json()["state"], "queued");
}

fn deleting_a_workspace_asks_for_its_name(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    sandbox.line("workspaces create lab").exits(0);
    sandbox.line("--workspace lab runs enqueue a").exits(0);
    assert_eq!(sandbox.line("-q runs list").out, "", "another workspace's runs are not seen");
    sandbox.line("workspaces delete lab").exits(2);
    let no = sandbox.at_terminal(&["workspaces", "delete", "lab"], "labor\n").exits(0);
    assert!(no.err.contains("Type lab"), "{}", no.err);
    assert_eq!(sandbox.line("-q workspaces list").out, "default\nlab\n");
    sandbox.at_terminal(&["workspaces", "delete", "lab"], "lab\n").exits(0);
    assert_eq!(sandbox.line("-q workspaces list").out, "default\n");
    sandbox.line("workspaces delete lab --yes").exits(3);
}

sessions! {
    without_a_terminal_yes_must_be_said,
    at_a_terminal_it_asks,
    retry_wants_a_run_that_has_ended,
    filters_find_and_a_dry_run_changes_nothing,
    naming_nothing_is_not_naming_everything,
    one_unknown_id_leaves_the_others_alone,
    deleting_a_workspace_asks_for_its_name,
}
