//! Room for work directories: a worker that cannot make one stops claiming, until it can again. A full disk, or a folder that somebody else
//! has made in its place, is no fault of the runs, and must not use up their attempts.

use std::time::Duration;

use tokio::time::Instant;

use super::{LoopEvent, RunLoop};
use crate::workdir::{self, NoRoom};

/// Pauses before it is tried again.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// After so long without trouble the pauses begin anew.
const FORGET: Duration = Duration::from_secs(60);

/// Whether there is room.
#[derive(Debug, Default)]
pub(super) struct Room {
    /// Why there is none, and when to try again; none while there is some.
    lacking: Option<(String, Instant)>,
    trying: bool,
    pause: Option<Duration>,
    last: Option<Instant>,
}

impl Room {
    pub(super) fn is_lacking(&self) -> bool {
        self.lacking.is_some()
    }
}

impl RunLoop {
    /// Stops claiming, and gives back what is not begun.
    pub(super) fn lacks_room(&mut self, why: &NoRoom) {
        let (now, why) = (Instant::now(), why.to_string());
        // Several executions may meet the same trouble, and one that began before may come to its end after it has passed.
        if let Some((known, _)) = &self.room.lacking
            && *known == why
            && !self.room.trying
        {
            return;
        }
        let is_new = self.room.lacking.as_ref().is_none_or(|(known, _)| *known != why);
        if is_new {
            tracing::error!(error = why, hint = workdir::HINT, "not claiming until there is room");
        }
        let recent = self.room.last.is_some_and(|last| now.duration_since(last) < FORGET);
        let pause = self.room.pause.filter(|_| recent).map_or(PAUSES.0, |pause| (pause * 2).min(PAUSES.1));
        (self.room.pause, self.room.last) = (Some(pause), Some(now));
        self.room.lacking = Some((why, now + pause));
        self.release_waiting();
    }

    /// Tries whether there is room again, when it is time to.
    pub(super) fn look_for_room(&mut self, now: Instant) {
        let due = self.room.lacking.as_ref().is_some_and(|(_, next)| now >= *next);
        if !due || self.room.trying {
            return;
        }
        self.room.trying = true;
        let scratch = self.slots.tools.scratch.clone();
        self.spawn(async move { LoopEvent::Tried(workdir::try_out(&scratch).await) });
    }

    pub(super) fn tried(&mut self, tried: Result<(), NoRoom>) {
        match tried {
            Ok(()) => {
                self.room.lacking = None;
                tracing::info!("work directories can be created again");
            }
            Err(why) => self.lacks_room(&why),
        }
        self.room.trying = false;
    }
}
