//! `schedules` and `apply`.

use crate::backing::{Backing, sessions};
use crate::sandbox::Sandbox;

fn a_schedule_is_created_shown_changed_and_deleted(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    assert!(sandbox.line("schedules list").exits(0).out.contains("No schedules"));
    let made = sandbox
        .run(&[
            "--json",
            "schedules",
            "create",
            "nightly",
            "--kind",
            "report",
            "--cron",
            "30 2 * * mon-fri",
            "--tz",
            "Europe/Berlin",
        ])
        .exits(0)
        .json();
    assert_eq!(
        (&made["cron"], &made["timeZone"], &made["state"]),
        (&"30 2 * * MON-FRI".into(), &"Europe/Berlin".into(), &"active".into())
    );
    let list = sandbox.line("schedules list").exits(0).out;
    assert!(list.contains("nightly") && list.contains("30 2 * * MON-FRI Europe/Berlin"), "{list}");
    let next = sandbox.line("--json schedules next nightly -n 3").exits(0).json();
    assert_eq!(next["data"].as_array().unwrap().len(), 3);
    assert!(next["data"][0]["local"].as_str().unwrap().ends_with("T02:30:00"), "{next}");
    let updated = sandbox.line("--json schedules update nightly --overlap allow").exits(0).json();
    assert_eq!(
        (&updated["overlap"], &updated["cron"], &updated["revision"]),
        (&"allow".into(), &made["cron"], &2.into())
    );
    assert!(sandbox.line("schedules pause nightly").exits(0).out.contains("nightly is paused"));
    assert!(sandbox.line("schedules resume nightly").exits(0).out.contains("nightly is active; next run"));
    let page = sandbox.line("schedules show nightly").exits(0).out;
    assert!(page.contains("overlap") && page.contains("there)"), "{page}");
    sandbox.line("schedules delete nightly --yes").exits(0);
    sandbox.line("schedules show nightly").exits(3);
}

fn a_bad_schedule_is_refused_with_its_column(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    for (options, says) in [
        (vec!["--kind", "k", "--cron", "61 * * * *"], "column 1"),
        (vec!["--kind", "k", "--cron", "0 0 31 2 *"], "never"),
        (vec!["--kind", "k"], "cron or every"),
        (vec!["--kind", "k", "--every", "1s", "--tz", "UTC"], "timeZone"),
        (vec!["--cron", "@daily"], "kind"),
        (vec!["--kind", "k", "--cron", "@daily", "--tz", "Mars/Olympus"], "Mars/Olympus"),
    ] {
        let all = [&["schedules", "create", "bad"], options.as_slice()].concat();
        let err = sandbox.run(&all).exits(2).err;
        assert!(err.contains(says), "{options:?}: {err}");
    }
    assert!(sandbox.line("schedules list").exits(0).out.contains("No schedules"));
}

fn a_preview_says_an_expression_in_words_and_what_a_clock_change_does(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    let seen = sandbox
        .run(&[
            "schedules",
            "preview",
            "30 2 * * *",
            "--tz",
            "America/New_York",
            "--from",
            "2026-03-01T00:00:00Z",
            "-n",
            "2",
        ])
        .exits(0)
        .out;
    assert!(seen.contains("2026-03-01 02:30:00") && seen.contains("New_York"), "{seen}");
    assert!(seen.contains("2026-03-08"), "the next clock change: {seen}");
}

fn a_schedule_is_shown_whole_and_a_secret_in_its_input_is_refused(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    let words = "schedules create all --kind report --every 1h --missed all --max-missed 7 --within 2h --priority 5 --max-attempts 4";
    let more = "--start-at 2026-01-01T00:00:00Z --end-at 2099-01-01T00:00:00Z --tag team=red";
    sandbox.line(&format!("{words} {more}")).exits(0);
    let page = sandbox.line("schedules show all").exits(0).out;
    for part in [
        "at most 7, within 2h",
        "2026-01-01T00:00:00.000Z",
        "2099-01-01T00:00:00.000Z",
        "team=red",
        "priority    5",
        "attempts    4",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let run = sandbox.line("-q schedules trigger all").exits(0).out;
    let status = sandbox.line(&format!("runs status {}", run.trim())).exits(0).out;
    assert!(status.contains("all, triggered, revision 1"), "{status}");
    let create = [
        "schedules",
        "create",
        "bad",
        "--kind",
        "report",
        "--every",
        "1h",
        "--input",
        r#"{"password": "no-real-one"}"#,
    ];
    let refused = sandbox.run(&create).exits(2).err;
    assert!(refused.contains("/input/password") && !refused.contains("no-real-one"), "{refused}");
}

fn a_triggered_run_and_a_backfill_are_runs_like_others(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    sandbox.line("schedules create hourly --kind report --every 1h --overlap allow").exits(0);
    let run = sandbox.line("--json schedules trigger hourly").exits(0).json();
    assert_eq!((&run["kind"], &run["state"]), (&"report".into(), &"queued".into()));
    let past = [
        "--json",
        "schedules",
        "backfill",
        "hourly",
        "--from",
        "2026-01-01T00:00:00Z",
        "--to",
        "2026-01-01T05:00:00Z",
    ];
    let dry = sandbox.run(&[&past[..], &["--dry-run"]].concat()).exits(0).json();
    assert_eq!(dry["ticks"].as_array().unwrap().len(), 5);
    assert_eq!(sandbox.run(&past).exits(0).json()["ticks"], dry["ticks"]);
    assert_eq!(sandbox.run(&past).exits(0).json()["kept"], dry["ticks"]);
    assert_eq!(sandbox.line("--json runs list").exits(0).json()["data"].as_array().unwrap().len(), 6);
}

const FILE: &str = r#"
[schedules."nightly"]
kind = "report"
cron = "0 2 * * *"

[kinds."report"]
command = ["true"]
"#;

fn a_file_is_applied_and_again_is_no_difference(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    sandbox.write("sprongus.toml", FILE);
    assert!(sandbox.line("apply --dry-run").exits(0).out.contains("+ schedule nightly"));
    assert!(sandbox.line("schedules list").exits(0).out.contains("No schedules"));
    assert_eq!(sandbox.line("apply").exits(0).out, "+ schedule nightly\n");
    assert_eq!(sandbox.line("apply").exits(0).out, "no differences\n");
    sandbox.write("sprongus.toml", FILE.replace("0 2 * * *", "0 3 * * *"));
    assert_eq!(sandbox.line("apply").exits(0).out, "~ schedule nightly: cron 0 2 * * * -> 0 3 * * *\n");
    sandbox.write("sprongus.toml", FILE.replace("cron = \"0 2 * * *\"", "cron = \"0 2 * *\""));
    let err = sandbox.line("apply").exits(2).err;
    assert!(err.contains("schedules.nightly.cron"), "{err}");
    sandbox.write(
        "sprongus.toml",
        FILE.replace("[schedules.\"nightly\"]\nkind = \"report\"\ncron = \"0 2 * * *\"\n", ""),
    );
    let left = sandbox.line("apply").exits(0);
    assert_eq!(left.out, "no differences\n");
    assert!(
        left.err.contains("1 schedule that a sprongus.toml created and this one does not have: nightly"),
        "{}",
        left.err
    );
    let paused = sandbox.line("schedules pause nightly").exits(0);
    assert!(paused.err.contains("brings it back"), "{}", paused.err);
    let pruned = sandbox.line("apply --prune").exits(0);
    assert_eq!((pruned.out.as_str(), pruned.err.contains("does not have")), ("- schedule nightly\n", false));
}

sessions! {
    a_schedule_is_created_shown_changed_and_deleted,
    a_bad_schedule_is_refused_with_its_column,
    a_preview_says_an_expression_in_words_and_what_a_clock_change_does,
    a_schedule_is_shown_whole_and_a_secret_in_its_input_is_refused,
    a_triggered_run_and_a_backfill_are_runs_like_others,
    a_file_is_applied_and_again_is_no_difference,
}

#[test]
fn a_worker_applies_what_lies_beside_its_file_and_executes_the_ticks() {
    let sandbox = Sandbox::on(Backing::File);
    sandbox.write("sprongus.toml", FILE.replace("cron = \"0 2 * * *\"", "every = \"1s\""));
    let mut worker = sandbox.command(&["worker"]).spawn().unwrap();
    let succeeded = || sandbox.line("--json runs list --state succeeded").exits(0).json();
    // However slow the machine is, the test's own time limit ends it.
    while succeeded()["data"].as_array().is_none_or(Vec::is_empty) {
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    worker.kill().unwrap();
    worker.wait().unwrap();
    let run = &succeeded()["data"][0];
    assert_eq!(run["scheduleId"], "nightly", "{run}");
    assert!(run["scheduledFor"].is_string(), "{run}");
}
