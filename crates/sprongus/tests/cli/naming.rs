//! How a run is named, what it waits for, and which part of its log is shown.

use crate::backing::{Backing, sessions};
use crate::sandbox::Sandbox;

const KINDS: &str = r#"
[kinds.report]
[[kinds.report.steps]]
phase = "execution"
name = "first"
type = "command"
run = ["sh", "-c", "echo one"]
[[kinds.report.steps]]
phase = "execution"
name = "second"
type = "command"
run = ["sh", "-c", "echo two; echo three"]
[kinds.fails]
command = ["sh", "-c", "echo reading; echo 'bad address' >&2; exit 78"]
"#;

fn declared(backing: Backing) -> Sandbox {
    let sandbox = Sandbox::on(backing);
    sandbox.write("sprongus.toml", KINDS);
    sandbox
}

fn a_run_is_named_by_a_part_of_its_id_or_as_the_last_one(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    sandbox.line("runs status @last").exits(2);
    let (first, last) = (sandbox.enqueue("a"), sandbox.enqueue("a"));
    let status = |name: &str| sandbox.run(&["-q", "runs", "status", name]);
    for part in [&first[20..], &first[18..], &first.to_lowercase()[20..]] {
        assert_eq!(status(part).exits(0).out.trim(), first, "{part}");
    }
    assert_eq!(status("@last").exits(0).out.trim(), last);
    let both = status(&first[..6]).exits(2);
    assert!(both.error().contains("matches several runs"), "{}", both.err);
    status(&first[21..]).exits(2);
    status("000000").exits(3);
    assert_eq!(
        sandbox.run(&["-q", "runs", "cancel", &first[19..], "@last", "--yes"]).exits(0).out.lines().count(),
        2
    );
    assert_eq!(sandbox.run(&["--json", "runs", "status", &last]).json()["state"], "canceled");
}

fn a_queued_run_says_what_it_waits_for_everywhere(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    let due = sandbox.enqueue("a");
    let words = ["-q", "runs", "enqueue", "a", "--delay", "1h"];
    let delayed = sandbox.run(&words).exits(0).out.trim().to_owned();
    let waiting =
        |id: &str| sandbox.run(&["--json", "runs", "status", id]).exits(0).json()["waiting"].clone();
    assert_eq!((&waiting(&due)["reason"], &waiting(&due)["workers"]), (&"worker".into(), &"none".into()));
    assert_eq!(
        (&waiting(&delayed)["reason"], &waiting(&delayed)["cause"]),
        (&"time".into(), &"delay".into())
    );
    let status = sandbox.run(&["runs", "status", &due]).exits(0).out;
    assert!(status.contains("a worker: no worker serves its kind"), "{status}");
    let listed = sandbox.line("runs list").exits(0).out;
    assert!(listed.contains("worker (none)") && listed.contains("delay, due in"), "{listed}");
    sandbox.line("kinds pause a").exits(0);
    assert_eq!((&waiting(&due)["reason"], &waiting(&due)["by"]), (&"kind_paused".into(), &"ada".into()));
    let status = sandbox.run(&["runs", "status", &due]).exits(0).out;
    assert!(status.contains("its kind, paused by ada"), "{status}");
    for (reason, id) in [("kind_paused", &due), ("time", &delayed)] {
        let listed = sandbox.run(&["-q", "runs", "list", "--waiting", reason]).exits(0).out;
        assert_eq!(listed.trim(), id, "{reason}");
    }
    sandbox.line("runs list --waiting nothing").exits(2);
    sandbox.line("runs list --waiting time --state failed").exits(2);
}

fn a_part_of_a_log_is_shown(backing: Backing) {
    let sandbox = declared(backing);
    let id = sandbox.run(&["-q", "runs", "enqueue", "report", "--work"]).exits(0).out.trim().to_owned();
    let logs = |more: &[&str]| {
        let words: Vec<&str> = ["runs", "logs", &id].into_iter().chain(more.iter().copied()).collect();
        sandbox.run(&words).exits(0).out
    };
    let all = logs(&[]);
    assert!(all.contains("── attempt 1, step first") && all.contains("── attempt 1, step second"), "{all}");
    let second = logs(&["--step", "second"]);
    assert!(!second.contains("one") && second.contains("two") && !second.contains("──"), "{second}");
    let tail = logs(&["--tail", "1"]);
    assert!(tail.contains("three") && !tail.contains("two"), "{tail}");
    assert_eq!(logs(&["--attempt", "2"]), "");
    assert_eq!(logs(&["--follow"]), all, "it has ended");
}

fn a_list_says_why_a_run_failed(backing: Backing) {
    let sandbox = declared(backing);
    sandbox.run(&["-q", "runs", "enqueue", "fails", "--work"]).exits(10);
    let listed = sandbox.line("runs list").exits(0).out;
    assert!(listed.contains("exited with 78") && listed.contains("bad address"), "{listed}");
}

fn what_is_misspelt_is_answered_with_what_was_meant(backing: Backing) {
    let sandbox = declared(backing);
    let done = sandbox.line("runs enqueue reprot").exits(0);
    assert!(done.err.contains("does not declare reprot; did you mean report?"), "{}", done.err);
    assert!(!done.err.contains("--work"), "no use: {}", done.err);
    for command in ["list", "status", "enqueue"] {
        let refused = sandbox.line(command).exits(2);
        assert!(refused.err.contains(&format!("did you mean `sprongus runs {command}`?")), "{}", refused.err);
    }
}

fn a_broken_kind_stops_no_other(backing: Backing) {
    let sandbox = declared(backing);
    let broken = format!("{KINDS}\n[kinds.broken]\ncommand = [\"true\"]\ninput_schema = \"nowhere.json\"\n");
    sandbox.write("sprongus.toml", broken);
    sandbox.run(&["-q", "runs", "enqueue", "report", "--work"]).exits(0);
    let refused = sandbox.line("runs enqueue broken").exits(2);
    assert!(refused.error().contains("nowhere.json"), "{}", refused.err);
    sandbox.line("worker").exits(2);
}

fn kinds_are_listed_whether_or_not_they_were_paused(backing: Backing) {
    let sandbox = declared(backing);
    sandbox.enqueue("elsewhere");
    let listed = sandbox.line("--json kinds list").exits(0).json()["data"].clone();
    let of =
        |name: &str| listed.as_array().unwrap().iter().find(|line| line["kind"] == name).unwrap().clone();
    assert_eq!((&of("report")["declared"], &of("report")["due"]), (&true.into(), &0.into()));
    assert_eq!((&of("elsewhere")["declared"], &of("elsewhere")["due"]), (&false.into(), &1.into()));
    let listed = sandbox.line("kinds list").exits(0).out;
    assert!(listed.contains("elsewhere  open") && listed.contains("none"), "{listed}");
}

sessions! {
    a_run_is_named_by_a_part_of_its_id_or_as_the_last_one,
    a_queued_run_says_what_it_waits_for_everywhere,
    a_part_of_a_log_is_shown,
    a_list_says_why_a_run_failed,
    what_is_misspelt_is_answered_with_what_was_meant,
    a_broken_kind_stops_no_other,
    kinds_are_listed_whether_or_not_they_were_paused,
}
