//! Waits for a command's end, or brings it about.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use tokio::process::Child;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::ending::{StartFault, Status};
use super::group::Group;
use super::spec::{CommandSpec, StopReason};

/// How long members of a group may outlive a leader that ended by itself: a `tee` behind a pipe is about to
/// end.
const AFTERWARDS: Duration = Duration::from_millis(500);

/// How long such members have from TERM to KILL.
const AFTERWARDS_GRACE: Duration = Duration::from_secs(1);

/// How long to wait for what was killed; only the kernel can hold it back any longer.
const AFTER_KILL: Duration = Duration::from_secs(10);

/// How a command ended, and when its group was gone.
pub(super) struct Verdict {
    pub(super) status: Status,
    pub(super) gone_at: Option<Instant>,
}

type Stop = watch::Receiver<Option<StopReason>>;

/// Sees the command to its end. Afterwards nothing of its group is alive, as far as a signal can bring that
/// about.
pub(super) async fn supervise(
    child: &mut Child,
    group: &mut Group,
    spec: &CommandSpec,
    stop: &mut Stop,
) -> Verdict {
    let time_is_up = async {
        match spec.timeout {
            Some(limit) => sleep(limit).await,
            None => std::future::pending().await,
        }
    };
    let status = tokio::select! {
        biased;
        exit = child.wait() => {
            let status = exit.map_or_else(|error| lost(&error), status_of);
            end_stragglers(group, spec, stop).await;
            status
        }
        reason = stopped(stop) => {
            end(child, group, spec.grace, reason, stop).await;
            Status::Stopped(reason)
        }
        () = time_is_up => {
            end(child, group, spec.grace, StopReason::Canceled, stop).await;
            Status::TimedOut
        }
    };
    let gone = wait_gone(group, AFTER_KILL).await;
    Verdict { status, gone_at: gone.then(Instant::now) }
}

/// TERM, the grace, KILL; with no grace when the lease is lost, then or meanwhile.
async fn end(child: &mut Child, group: &mut Group, grace: Duration, reason: StopReason, stop: &mut Stop) {
    if reason != StopReason::LeaseLost {
        group.terminate();
        let orderly = async {
            let _ = child.wait().await;
            wait_gone(group, Duration::MAX).await;
        };
        tokio::select! {
            _ = timeout(grace, orderly) => {}
            () = lease_lost(stop) => {}
        }
    }
    group.kill();
    // Reaps the leader, without which the group never looks gone.
    let _ = timeout(AFTER_KILL, child.wait()).await;
}

/// Ends what outlives a leader that ended by itself.
async fn end_stragglers(group: &mut Group, spec: &CommandSpec, stop: &mut Stop) {
    let orderly = async {
        if wait_gone(group, AFTERWARDS).await {
            return;
        }
        group.terminate();
        wait_gone(group, AFTERWARDS_GRACE.min(spec.grace)).await;
    };
    tokio::select! {
        () = orderly => {}
        () = lease_lost(stop) => {}
    }
    if !group.is_gone() {
        group.kill();
    }
}

/// Polls, for there is no event for the end of a group.
async fn wait_gone(group: &mut Group, limit: Duration) -> bool {
    let started = Instant::now();
    let mut pause = Duration::from_millis(1);
    while !group.is_gone() {
        if started.elapsed() >= limit {
            return false;
        }
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(20));
    }
    true
}

async fn stopped(stop: &mut Stop) -> StopReason {
    match stop.wait_for(Option::is_some).await.map(|reason| *reason) {
        Ok(Some(reason)) => reason,
        Ok(None) | Err(_) => std::future::pending().await,
    }
}

async fn lease_lost(stop: &mut Stop) {
    if stop.wait_for(|reason| *reason == Some(StopReason::LeaseLost)).await.is_err() {
        std::future::pending().await
    }
}

fn status_of(exit: ExitStatus) -> Status {
    match (exit.code(), exit.signal()) {
        (Some(code), _) => Status::Exited(code),
        (None, signal) => Status::Signaled(signal.unwrap_or_default()),
    }
}

fn lost(error: &std::io::Error) -> Status {
    let message = format!("the process started, but cannot wait for it: {error}");
    Status::CouldNotStart(StartFault { kind: error.kind(), message, retryable: true })
}
