//! The handle by which a worker is told to stop: first to drain, then at once.
//!
//! Draining means that nothing more is claimed, what has not been started goes back, and what runs may end by itself
//! within the worker's grace. "Now" is what comes after it, or at the second word: processes are stopped and their
//! runs go back, the attempt with them. What that takes is in [`crate::work`].

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// How far a worker is told to be with stopping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// Not at all.
    #[default]
    Working,
    /// It claims nothing more and finishes what it has begun.
    Draining,
    /// It stops what it has begun.
    Stopping,
}

/// Tells a worker to stop. Clones are the same handle.
#[derive(Clone, Debug, Default)]
pub struct Shutdown(watch::Sender<Stage>);

impl Shutdown {
    /// A handle that nobody has used yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A handle that SIGTERM and SIGINT use: the first drains, the second stops. Needs a tokio runtime.
    ///
    /// # Errors
    /// When the signals cannot be listened for.
    pub fn on_signals() -> io::Result<Self> {
        let shutdown = Self::new();
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let told = shutdown.clone();
        tokio::spawn(async move {
            for tell in [Self::drain, Self::now] {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                tell(&told);
            }
        });
        Ok(shutdown)
    }

    /// Claim nothing more; finish what has begun, within the grace.
    pub fn drain(&self) {
        self.raise(Stage::Draining);
    }

    /// Stop what has begun, and give it back.
    pub fn now(&self) {
        self.raise(Stage::Stopping);
    }

    /// Waits until it is told to drain or to stop.
    pub async fn told(&self) {
        // The handle itself keeps the channel open.
        let _ = self.listen().wait_for(|stage| *stage > Stage::Working).await;
    }

    fn raise(&self, to: Stage) {
        self.0.send_if_modified(|stage| {
            let raised = *stage < to;
            *stage = to.max(*stage);
            raised
        });
    }

    pub(crate) fn listen(&self) -> watch::Receiver<Stage> {
        self.0.subscribe()
    }
}
