//! One run in this worker's hands, and the one place where it is told to stop.
//!
//! Everything that works on the run shares this: the loop that beats for it, the execution, the recorder. A stop is
//! only ever raised: a cancel outranks a shutdown, and a lost lease outranks both, for then nothing may be done any
//! more.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sprongus_core::run::Hold;
use sprongus_core::run::view::ClaimedView;
use sprongus_core::values::names::Kind;
use sprongus_core::values::time::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::process::StopReason;

/// A run that this worker holds under one claim.
#[derive(Debug)]
pub(crate) struct ActiveRun {
    pub(crate) hold: Hold,
    pub(crate) kind: Kind,
    pub(crate) attempt: u32,
    pub(crate) scheduled_for: Option<Timestamp>,
    /// Only its CLEANUP is wanted.
    pub(crate) cleanup: bool,
    /// When it came, on the monotonic clock.
    pub(crate) since: Instant,
    stop: watch::Sender<Option<StopReason>>,
    /// Whether it is about to be let go, so that a heartbeat that is refused is no loss.
    leaving: AtomicBool,
}

impl ActiveRun {
    pub(crate) fn of(claimed: &ClaimedView) -> Self {
        Self {
            hold: claimed.hold(),
            kind: claimed.run.kind.clone(),
            attempt: claimed.run.attempt,
            scheduled_for: claimed.run.scheduled_for,
            cleanup: claimed.cleanup,
            since: Instant::now(),
            stop: watch::Sender::new(None),
            leaving: AtomicBool::new(false),
        }
    }

    /// Asks whatever works on the run to stop; a weaker reason than the one before changes nothing.
    pub(crate) fn stop(&self, reason: StopReason) {
        self.stop.send_if_modified(|known| {
            let raised = rank(*known) < rank(Some(reason));
            if raised {
                *known = Some(reason);
            }
            raised
        });
    }

    /// Says that it is about to be let go, or that it is not.
    pub(crate) fn leaves(&self, leaving: bool) {
        self.leaving.store(leaving, Ordering::SeqCst);
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::SeqCst)
    }

    /// Why it was asked to stop, if it was.
    pub(crate) fn stopped(&self) -> Option<StopReason> {
        *self.stop.borrow()
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Option<StopReason>> {
        self.stop.subscribe()
    }

    /// Ends when it is asked to stop, with the reason.
    pub(crate) async fn until_stopped(&self) -> StopReason {
        let mut watch = self.watch();
        match watch.wait_for(Option::is_some).await.map(|reason| *reason) {
            Ok(Some(reason)) => reason,
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }

    /// Ends when the lease is lost.
    pub(crate) async fn until_lost(&self) {
        let mut watch = self.watch();
        let lost = watch.wait_for(|reason| *reason == Some(StopReason::LeaseLost)).await.is_ok();
        if !lost {
            std::future::pending::<()>().await;
        }
    }

    /// Ends when the run was called off, or the lease is lost.
    pub(crate) async fn until_called_off(&self) {
        let mut watch = self.watch();
        let off = |reason: &Option<StopReason>| rank(*reason) >= rank(Some(StopReason::Canceled));
        if watch.wait_for(off).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Ends `patience` after it was asked to stop; at once when the lease is lost.
    pub(crate) async fn until_out_of_patience(&self, patience: Duration) {
        self.until_stopped().await;
        tokio::select! {
            () = self.until_lost() => {}
            () = tokio::time::sleep(patience) => {}
        }
    }
}

fn rank(reason: Option<StopReason>) -> u8 {
    match reason {
        None => 0,
        Some(StopReason::Shutdown) => 1,
        Some(StopReason::Canceled) => 2,
        Some(StopReason::LeaseLost) => 3,
    }
}
