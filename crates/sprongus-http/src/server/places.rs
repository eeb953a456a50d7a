//! Places for those who keep the server busy while nothing happens: who follow a stream, wait for work or for news, or have a page kept
//! fresh. There are so many in all, and fewer for one token, so that one token cannot take them all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sprongus_core::values::ids::TokenId;
use sprongus_core::{Error, ErrorCode, Result};

/// The places of a server.
#[derive(Debug)]
pub struct Places {
    most: usize,
    most_of_one: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by: HashMap<TokenId, usize>,
}

/// A place that is taken until this is dropped.
#[derive(Debug)]
pub struct Place {
    places: Arc<Places>,
    token: TokenId,
}

impl Places {
    /// So many places, and so many of them for one token.
    pub fn new(most: usize, most_of_one: usize) -> Arc<Self> {
        Arc::new(Self { most, most_of_one, taken: Mutex::default() })
    }

    /// Takes one.
    ///
    /// # Errors
    /// `rate_limited` when the token has all it may have; `unavailable` when there is none.
    pub fn take(self: &Arc<Self>, token: TokenId) -> Result<Place> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let own = taken.by.get(&token).copied().unwrap_or_default();
        if own >= self.most_of_one {
            let message = format!("this token already has {own} waiting requests");
            return Err(Error::new(ErrorCode::RateLimited, message)
                .with_hint("close some of its streams or waiting requests, or use another token"));
        }
        if taken.all >= self.most {
            return Err(Error::new(ErrorCode::Unavailable, "too many waiting requests on this server"));
        }
        taken.all += 1;
        taken.by.insert(token, own + 1);
        Ok(Place { places: Arc::clone(self), token })
    }

    /// How many are taken.
    pub fn taken(&self) -> usize {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).all
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all = taken.all.saturating_sub(1);
        let left = taken.by.get(&self.token).copied().unwrap_or_default().saturating_sub(1);
        if left == 0 {
            taken.by.remove(&self.token);
        } else {
            taken.by.insert(self.token, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_token_leaves_places_for_others() {
        let places = Places::new(5, 2);
        let (one, other, third) = (TokenId::new(), TokenId::new(), TokenId::new());
        let own: Vec<_> = (0..2).map(|_| places.take(one).unwrap()).collect();
        assert_eq!(places.take(one).unwrap_err().code(), ErrorCode::RateLimited);
        let others = [other, other, third].map(|token| places.take(token).unwrap());
        assert_eq!((places.taken(), places.take(third).unwrap_err().code()), (5, ErrorCode::Unavailable));
        drop(own);
        assert_eq!(places.taken(), 3);
        drop(others);
        assert!(places.taken.lock().unwrap().by.is_empty());
    }
}
