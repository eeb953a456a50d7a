//! How many enqueues, cancels and retries a token may ask for: a bucket each, in this process. A worker's reports are never limited.
//!
//! A batch is let in while the bucket is above zero and takes its items from it, below zero if need be: otherwise one that is
//! larger than the bucket could never be made.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use axum::http::{HeaderMap, HeaderValue, header};
use sprongus_core::values::ids::TokenId;

/// How fast a bucket fills, and how much it holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateLimit {
    /// Requests a second in the long run.
    pub per_second: f64,
    /// Requests at once after a rest.
    pub burst: f64,
}

impl Default for RateLimit {
    fn default() -> Self {
        Self { per_second: 50.0, burst: 100.0 }
    }
}

/// Buckets beyond this many make those that are full again be forgotten.
const KEPT: usize = 10_000;

/// What is left of a token's rate (draft-ietf-httpapi-ratelimit-headers-10).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Left {
    limit: RateLimit,
    tokens: f64,
}

impl Left {
    /// Whole requests that are left.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "never below 0, and capped by the burst"
    )]
    fn requests(self) -> u64 {
        self.tokens.max(0.0) as u64
    }

    /// Seconds until the next request is let in, or until the bucket is full.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "never below 0, and far from 2^64"
    )]
    fn seconds(self) -> u64 {
        let missing = if self.tokens > 0.0 { self.limit.burst - self.tokens } else { -self.tokens };
        ((missing / self.limit.per_second).ceil() as u64).max(1)
    }

    /// Writes `RateLimit-Policy` and `RateLimit`, and `Retry-After` where nothing is left.
    pub fn tell(self, headers: &mut HeaderMap) {
        let window = (self.limit.burst / self.limit.per_second).ceil();
        let policy = format!("\"default\";q={};w={window}", self.limit.burst);
        let state = format!("\"default\";r={};t={}", self.requests(), self.seconds());
        for (name, value) in [("ratelimit-policy", policy), ("ratelimit", state)] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
        if self.tokens <= 0.0 {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(self.seconds()));
        }
    }
}

struct Bucket {
    tokens: f64,
    filled: Instant,
}

/// The buckets of a server.
pub struct Rates {
    limit: Option<RateLimit>,
    buckets: Mutex<HashMap<TokenId, Bucket>>,
}

impl Rates {
    /// Buckets that fill as `limit` says; none lets everything in.
    pub fn new(limit: Option<RateLimit>) -> Self {
        Self { limit, buckets: Mutex::default() }
    }

    /// Takes `requests` from a token's bucket; with `admit`, only while there is something in it. Answers what is left then, and
    /// whether it was taken; nothing where there is no limit.
    pub fn take(&self, token: TokenId, requests: usize, admit: bool) -> Option<(bool, Left)> {
        self.take_at(token, requests, admit, Instant::now())
    }

    fn take_at(&self, token: TokenId, requests: usize, admit: bool, now: Instant) -> Option<(bool, Left)> {
        let limit = self.limit?;
        let filled = |bucket: &Bucket| {
            let since = now.saturating_duration_since(bucket.filled).as_secs_f64();
            (bucket.tokens + since * limit.per_second).min(limit.burst)
        };
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() > KEPT {
            buckets.retain(|_, bucket| filled(bucket) < limit.burst);
        }
        let bucket = buckets.entry(token).or_insert(Bucket { tokens: limit.burst, filled: now });
        bucket.tokens = filled(bucket);
        bucket.filled = now;
        // A request needs a whole one, so that the rate in the long run is the rate that was promised.
        let taken = !admit || bucket.tokens >= 1.0;
        if taken {
            #[expect(clippy::cast_precision_loss, reason = "a batch holds a thousand at most")]
            let requests = requests as f64;
            bucket.tokens -= requests;
        }
        let tokens = if taken { bucket.tokens } else { bucket.tokens.min(0.0) };
        Some((taken, Left { limit, tokens }))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_then_the_rate_then_a_rest() {
        let rates = Rates::new(Some(RateLimit { per_second: 10.0, burst: 20.0 }));
        let (token, start) = (TokenId::new(), Instant::now());
        let let_in = |after: u64, tries: usize| {
            let now = start + Duration::from_millis(after);
            (0..tries).filter(|_| rates.take_at(token, 1, true, now).unwrap().0).count()
        };
        assert_eq!(let_in(0, 30), 20);
        assert_eq!(let_in(1_000, 30), 10);
        assert_eq!(let_in(60_000, 30), 20);
        let other = rates.take_at(TokenId::new(), 1, true, start).unwrap();
        assert!(other.0, "another token has a bucket of its own");
    }

    #[test]
    fn a_batch_goes_below_zero_and_is_paid_back() {
        let rates = Rates::new(Some(RateLimit { per_second: 10.0, burst: 20.0 }));
        let (token, start) = (TokenId::new(), Instant::now());
        assert!(rates.take_at(token, 1, true, start).unwrap().0);
        let (_, left) = rates.take_at(token, 99, false, start).unwrap();
        assert_eq!((left.requests(), left.seconds()), (0, 8));
        let at = |seconds| rates.take_at(token, 1, true, start + Duration::from_secs(seconds)).unwrap().0;
        assert!(!at(8), "at zero there is nothing to take");
        assert!(at(9));
    }

    #[test]
    fn no_limit_lets_everything_in() {
        assert_eq!(Rates::new(None).take(TokenId::new(), 1_000_000, true), None);
    }
}
