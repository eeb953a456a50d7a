//! How long the other end may make us wait.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// Time that runs while something is waited for, and only then.
pub struct Pause {
    longest: Duration,
    waiting: Pin<Box<Sleep>>,
    is_waiting: bool,
}

impl Pause {
    /// One that may last for `longest`.
    pub fn new(longest: Duration) -> Self {
        Self { longest, waiting: Box::pin(sleep(longest)), is_waiting: false }
    }

    /// How long it may last.
    #[cfg(feature = "client")]
    pub fn longest(&self) -> Duration {
        self.longest
    }

    /// What was waited for is there.
    pub fn end(&mut self) {
        self.is_waiting = false;
    }

    /// Is ready when it has lasted too long. It begins with the first look since it ended.
    pub fn poll_over(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if !self.is_waiting {
            self.waiting.as_mut().reset(Instant::now() + self.longest);
            self.is_waiting = true;
        }
        self.waiting.as_mut().poll(context)
    }
}
