//! Failures that last: each is logged once, and again after it went well in between.

use sprongus_core::{Error, ErrorCode};

/// Failures remembered; more than these at a time do not last, so logging them again is right.
const MOST: usize = 16;

/// The failures that were logged, while they last.
#[derive(Default)]
pub(super) struct LastingFailures(Vec<(ErrorCode, String)>);

impl LastingFailures {
    /// Whether the failure is to be logged: it was not yet, or it went well in between.
    pub(super) fn is_new(&mut self, error: &Error) -> bool {
        let what = (error.code(), error.message().to_owned());
        if self.0.contains(&what) {
            return false;
        }
        if self.0.len() == MOST {
            self.0.clear();
        }
        self.0.push(what);
        true
    }

    /// It went well again.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}
