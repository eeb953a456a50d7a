//! The handle by which a worker is told to stop: first to drain, then at once.
//!
//! Draining means that nothing more is claimed, what has not been started goes back, and what runs may end by itself
//! within the worker's grace. "Now" is what comes after it, or at the second word: processes are stopped and their
//! runs go back, the attempt with them. What that takes is in [`crate::run_loop`].

use std::io;
use std::sync::{Arc, OnceLock};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// How far a worker is told to be with stopping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ShutdownState {
    /// No stop was asked for.
    #[default]
    Working,
    /// It claims nothing more and finishes what it has begun.
    Draining,
    /// It stops what it has begun.
    Stopping,
}

/// Tells a worker to stop. Clones are the same handle.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    stage: watch::Sender<ShutdownState>,
    signal: Arc<OnceLock<&'static str>>,
}

impl Shutdown {
    /// A handle that nobody has used yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A handle that SIGTERM, SIGINT, SIGHUP and SIGQUIT use: the first drains, the second stops. A SIGHUP that was ignored when the program
    /// started, as `nohup` has it, stays ignored. Needs a tokio runtime.
    ///
    /// # Errors
    /// When signals cannot be listened for.
    pub fn on_signals() -> io::Result<Self> {
        let shutdown = Self::new();
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let mut quit = signal(SignalKind::quit())?;
        let mut hang_up = if ignores_hang_up() { None } else { Some(signal(SignalKind::hangup())?) };
        let handle = shutdown.clone();
        tokio::spawn(async move {
            for ask in [Self::drain, Self::now] {
                let name = tokio::select! {
                    _ = terminate.recv() => "SIGTERM",
                    _ = interrupt.recv() => "SIGINT",
                    _ = quit.recv() => "SIGQUIT",
                    () = next(hang_up.as_mut()) => "SIGHUP",
                };
                tracing::info!(signal = name, "asked to stop");
                let _ = handle.signal.set(name);
                ask(&handle);
            }
        });
        Ok(shutdown)
    }

    /// The name of the first signal that used the handle, such as `SIGTERM`.
    #[must_use]
    pub fn signal(&self) -> Option<&'static str> {
        self.signal.get().copied()
    }

    /// Claim nothing more; finish what has begun, within the grace.
    pub fn drain(&self) {
        self.raise(ShutdownState::Draining);
    }

    /// Stop what has begun, and give it back.
    pub fn now(&self) {
        self.raise(ShutdownState::Stopping);
    }

    /// Waits until a drain or a stop was asked for; at once when it was before.
    pub async fn requested(&self) {
        // The handle itself keeps the channel open.
        let _ = self.listen().wait_for(|stage| *stage > ShutdownState::Working).await;
    }

    fn raise(&self, to: ShutdownState) {
        self.stage.send_if_modified(|stage| {
            let raised = *stage < to;
            *stage = to.max(*stage);
            raised
        });
    }

    pub(crate) fn listen(&self) -> watch::Receiver<ShutdownState> {
        self.stage.subscribe()
    }
}

async fn next(signal: Option<&mut Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// Whether SIGHUP was ignored by whoever started this program. Where there is no `/proc`, it was not.
fn ignores_hang_up() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}
