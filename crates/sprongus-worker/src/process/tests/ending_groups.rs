//! Whatever happens, nothing of the group is left.

use rustix::process::{Pid, test_kill_process};

use super::*;
use crate::orphans::OrphanSpec;

/// Whether a process runs; the dead whom nobody has reaped do not.
fn lives(id: &str) -> bool {
    let Some(pid) = id.trim().parse().ok().and_then(Pid::from_raw) else { return false };
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_pid())).unwrap_or_default();
    test_kill_process(pid).is_ok() && stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// Much longer than anything here takes, and much shorter than what is to be ended would take by itself.
const HANG: Duration = Duration::from_secs(30);

/// Waits until a process runs no more.
pub(super) async fn until_gone(id: &str) {
    let started = Instant::now();
    while lives(id) {
        assert!(started.elapsed() < HANG, "{id} lives");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Runs, stops with the reasons once it has printed a line, and tells how long the end took from then on.
async fn stop_after_its_first_line(
    spec: CommandSpec,
    reasons: &[StopReason],
) -> (Ending, Vec<OutputLine>, Duration) {
    let (stop, stopped) = watch::channel(None);
    let (sender, mut receiver) = mpsc::channel(16);
    let stopping = async {
        let mut lines: Vec<OutputLine> = vec![receiver.recv().await.unwrap()];
        let since = Instant::now();
        for reason in reasons {
            stop.send_replace(Some(*reason));
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        while let Some(line) = receiver.recv().await {
            lines.push(line);
        }
        (lines, since)
    };
    let (ending, (lines, since)) = tokio::join!(run(spec, sender, stopped), stopping);
    let took = ending.gone_at.expect("gone") - since;
    (ending, lines, took)
}

const STUBBORN: &str = "trap '' TERM; (trap '' TERM; echo $(exec sh -c 'echo $PPID'); while :; do sleep 1; done) & \
                        while :; do sleep 1; done";

#[tokio::test]
async fn a_grandchild_that_ignores_term_is_killed_after_the_grace() {
    let mut spec = shell(STUBBORN);
    spec.grace = Duration::from_millis(500);
    let (ending, lines, took) = stop_after_its_first_line(spec, &[StopReason::Canceled]).await;
    assert_eq!(ending.status, Status::Stopped(StopReason::Canceled));
    assert!(took >= Duration::from_millis(500) && took < HANG, "{took:?}");
    assert!(!lines[0].text.is_empty() && !lives(&lines[0].text), "{lines:?}");
}

#[tokio::test]
async fn a_command_may_tidy_up_within_the_grace() {
    let mut spec = shell("trap 'echo tidied; exit 9' TERM; echo ready; while :; do sleep 0.05; done");
    spec.grace = HANG * 2;
    let (ending, lines, took) = stop_after_its_first_line(spec, &[StopReason::Shutdown]).await;
    assert_eq!(ending.status, Status::Stopped(StopReason::Shutdown));
    assert!(texts(&lines).contains(&"tidied"), "{lines:?}");
    assert!(took < HANG, "{took:?}");
}

#[tokio::test]
async fn a_lost_lease_kills_at_once_even_within_the_grace() {
    let mut spec = shell("trap 'echo tidied' TERM; echo ready; while :; do sleep 0.05; done");
    spec.grace = HANG * 2;
    let (ending, lines, took) = stop_after_its_first_line(spec, &[StopReason::LeaseLost]).await;
    assert_eq!(ending.status, Status::Stopped(StopReason::LeaseLost));
    assert_eq!(texts(&lines), ["ready"]);
    assert!(took < HANG, "{took:?}");

    let reasons = [StopReason::Canceled, StopReason::LeaseLost];
    let mut spec = shell(STUBBORN);
    spec.grace = HANG * 2;
    let (ending, _, took) = stop_after_its_first_line(spec, &reasons).await;
    assert_eq!(ending.status, Status::Stopped(StopReason::Canceled));
    assert!(took < HANG, "{took:?}");
}

#[tokio::test]
async fn a_timeout_ends_it() {
    let mut spec = shell("sleep 1000 & sleep 1000");
    spec.timeout = Some(Duration::from_millis(200));
    let started = Instant::now();
    let (ending, _) = to_the_end(spec).await;
    assert_eq!(ending.status, Status::TimedOut);
    assert!(started.elapsed() < HANG, "{:?}", started.elapsed());
}

#[tokio::test]
async fn what_outlives_the_leader_is_ended() {
    let started = Instant::now();
    let (ending, lines) = to_the_end(shell("sleep 1000 & echo $!")).await;
    assert!(ending.status.is_success());
    assert!(!lives(&lines[0].text) && ending.gone_at.is_some());
    assert!(started.elapsed() < HANG, "{:?}", started.elapsed());

    let (ending, lines) = to_the_end(shell("(trap '' TERM; while :; do sleep 1; done) & echo $!")).await;
    assert!(ending.status.is_success());
    assert!(!lives(&lines[0].text) && ending.gone_at.is_some());
}

#[tokio::test]
async fn what_is_about_to_end_may_print_its_last_lines() {
    let (_, lines) = to_the_end(shell("(sleep 0.2; echo last) & echo first")).await;
    assert_eq!(texts(&lines), ["first", "last"]);
}

#[tokio::test]
async fn a_process_that_left_the_group_does_not_hold_the_run_open() {
    let started = Instant::now();
    let (ending, lines) = to_the_end(shell("setsid sh -c 'echo $$; exec sleep 1000' & sleep 0.3")).await;
    assert!(ending.status.is_success());
    assert!(started.elapsed() < HANG, "{:?}", started.elapsed());
    let escaped = lines[0].text.trim().parse().ok().and_then(Pid::from_raw).unwrap();
    rustix::process::kill_process(escaped, rustix::process::Signal::KILL).unwrap();
}

#[tokio::test]
async fn dropping_the_future_kills_the_group() {
    let (sender, mut receiver) = mpsc::channel(16);
    let (_stop, stopped) = watch::channel(None);
    let line = tokio::select! {
        ending = run(shell("trap '' TERM; sleep 1000 & echo $!; wait"), sender, stopped) => {
            panic!("{:?}", ending.status)
        }
        line = receiver.recv() => line.unwrap(),
    };
    until_gone(&line.text).await;
}

#[tokio::test]
async fn a_note_is_there_while_the_command_runs() {
    let folder = tempfile::tempdir().unwrap();
    let notes = folder.path().join("notes");
    let mut spec = shell(&format!("sleep 0.3; ls {}", notes.display()));
    spec.orphan = Some(OrphanSpec { folder: notes.clone(), run_id: "01RUN".to_owned(), epoch: 1 });
    let (ending, _) = to_the_end(spec).await;
    assert!(ending.output.text.ends_with(".json"), "{}", ending.output.text);
    assert_eq!(std::fs::read_dir(notes).unwrap().count(), 0);
}
