//! How many requests may be held open while nothing happens: those that follow a stream, wait for work or for news, or keep a page fresh.
//! The limit for one token is lower than that for all, so that one token cannot use it up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sprongus_core::values::ids::TokenId;
use sprongus_core::{Error, ErrorCode, Result};

/// A limit on requests that wait, in all and for each token.
#[derive(Debug)]
pub struct WaitingLimit {
    total: usize,
    per_token: usize,
    in_use: Mutex<InUse>,
}

#[derive(Debug, Default)]
struct InUse {
    total: usize,
    by_token: HashMap<TokenId, usize>,
}

/// Counts as one waiting request until it is dropped.
#[derive(Debug)]
pub struct WaitingPermit {
    limit: Arc<WaitingLimit>,
    token: TokenId,
}

impl WaitingLimit {
    /// A limit of `total` requests, `per_token` of them for one token.
    pub fn new(total: usize, per_token: usize) -> Arc<Self> {
        Arc::new(Self { total, per_token, in_use: Mutex::default() })
    }

    /// Counts one more request of a token.
    ///
    /// # Errors
    /// `rate_limited` at the token's limit; `unavailable` at the limit for all.
    pub fn acquire(self: &Arc<Self>, token: TokenId) -> Result<WaitingPermit> {
        let mut in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        let own = in_use.by_token.get(&token).copied().unwrap_or_default();
        if own >= self.per_token {
            let message = format!("this token already has {own} waiting requests");
            return Err(Error::new(ErrorCode::RateLimited, message)
                .with_hint("close some of its streams or waiting requests, or use another token"));
        }
        if in_use.total >= self.total {
            return Err(Error::new(ErrorCode::Unavailable, "too many waiting requests on this server"));
        }
        in_use.total += 1;
        in_use.by_token.insert(token, own + 1);
        Ok(WaitingPermit { limit: Arc::clone(self), token })
    }

    /// Requests that wait now.
    pub fn in_use(&self) -> usize {
        self.in_use.lock().unwrap_or_else(PoisonError::into_inner).total
    }
}

impl Drop for WaitingPermit {
    fn drop(&mut self) {
        let mut in_use = self.limit.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        in_use.total = in_use.total.saturating_sub(1);
        let left = in_use.by_token.get(&self.token).copied().unwrap_or_default().saturating_sub(1);
        if left == 0 {
            in_use.by_token.remove(&self.token);
        } else {
            in_use.by_token.insert(self.token, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_token_cannot_use_up_the_limit() {
        let limit = WaitingLimit::new(5, 2);
        let (one, other, third) = (TokenId::new(), TokenId::new(), TokenId::new());
        let own: Vec<_> = (0..2).map(|_| limit.acquire(one).unwrap()).collect();
        assert_eq!(limit.acquire(one).unwrap_err().code(), ErrorCode::RateLimited);
        let others = [other, other, third].map(|token| limit.acquire(token).unwrap());
        assert_eq!((limit.in_use(), limit.acquire(third).unwrap_err().code()), (5, ErrorCode::Unavailable));
        drop(own);
        assert_eq!(limit.in_use(), 3);
        drop(others);
        assert!(limit.in_use.lock().unwrap().by_token.is_empty());
    }
}
