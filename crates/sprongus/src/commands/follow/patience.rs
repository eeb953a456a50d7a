//! How a follower outlives the restart of a server.

use std::time::{Duration, Instant};

use sprongus_core::Error;

use crate::render::age::length;
use crate::render::screen::Screen;

/// How long it goes on asking unless `--patience` says otherwise.
pub const PATIENCE: Duration = Duration::from_secs(5 * 60);

/// The pause before it asks again.
const PAUSE: Duration = Duration::from_millis(500);

/// What is left of it.
#[derive(Debug)]
pub struct Patience {
    limit: Duration,
    /// Since when nobody has answered.
    since: Option<Instant>,
}

impl Patience {
    /// Whole.
    pub fn new(limit: Duration) -> Self {
        Self { limit, since: None }
    }

    /// Notes an answer.
    pub fn answered(&mut self, screen: &Screen) {
        if self.since.take().is_some() {
            screen.note_now("reconnected");
        }
    }

    /// How long to wait before asking again after this failure. The first of several is told.
    ///
    /// # Errors
    /// The failure itself, where a repeat cannot help or the time is over.
    pub fn spend(&mut self, error: Error, screen: &Screen) -> Result<Duration, Error> {
        let spent = self.since.map(|since| since.elapsed()).unwrap_or_default();
        if !error.retryable() || spent >= self.limit {
            return Err(error);
        }
        if self.since.is_none() {
            self.since = Some(Instant::now());
            screen.note_now(&format!("{}; retrying for up to {}", error.message(), length(self.limit)));
        }
        Ok(PAUSE.min(self.limit.saturating_sub(spent)))
    }
}
