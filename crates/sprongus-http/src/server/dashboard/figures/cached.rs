//! A value that is read once for all who ask, and that nobody waits for long for: where it is slow to read, as it is where a very deep
//! queue is counted, who asks gets the one before it, if that is not old, while the next one is being read.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sprongus_core::{Error, Result};
use tokio::time::{Instant, timeout};

/// How long a value is good.
pub const GOOD: Duration = Duration::from_secs(1);

/// How long is waited for the next one where there is one that is not [`OLD`].
pub const PATIENCE: Duration = Duration::from_millis(40);

/// What is older than this is not shown.
pub const OLD: Duration = Duration::from_secs(15);

/// A value that is read again when it is older than [`GOOD`].
pub struct Cached<T> {
    reading: tokio::sync::Mutex<()>,
    read: Mutex<Option<(Instant, Arc<T>)>>,
}

impl<T> Default for Cached<T> {
    fn default() -> Self {
        Self { reading: tokio::sync::Mutex::default(), read: Mutex::default() }
    }
}

impl<T: Send + Sync + 'static> Cached<T> {
    /// The last one that was read, if it is younger than `age`.
    pub fn younger_than(&self, age: Duration) -> Option<Arc<T>> {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.as_ref().filter(|(at, _)| at.elapsed() < age).map(|(_, value)| Arc::clone(value))
    }

    /// The value, read by `read` if need be.
    ///
    /// # Errors
    /// Those of `read`.
    pub async fn get(
        self: Arc<Self>,
        read: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<Arc<T>> {
        if let Some(good) = self.younger_than(GOOD) {
            return Ok(good);
        }
        let old = self.younger_than(OLD);
        // Read to its end whoever waits.
        let reading = tokio::spawn(self.next(read));
        let joined = |read: std::result::Result<_, _>| {
            read.unwrap_or_else(|error| Err(Error::internal("a read was interrupted").with_source(error)))
        };
        match old {
            None => joined(reading.await),
            Some(old) => match timeout(PATIENCE, reading).await {
                Ok(read) => joined(read),
                Err(_) => Ok(old),
            },
        }
    }

    async fn next(self: Arc<Self>, read: impl Future<Output = Result<T>> + Send) -> Result<Arc<T>> {
        // Whoever comes while somebody reads waits for what is read.
        let _reading = self.reading.lock().await;
        if let Some(good) = self.younger_than(GOOD) {
            return Ok(good);
        }
        let value = Arc::new(read.await?);
        let mut kept = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        *kept = Some((Instant::now(), Arc::clone(&value)));
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn slow(value: u32, took: Duration) -> Result<u32> {
        tokio::time::sleep(took).await;
        Ok(value)
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_a_slow_one_while_there_is_one_that_is_not_old() {
        let cached: Arc<Cached<u32>> = Arc::default();
        let get = async |value, took| *Arc::clone(&cached).get(slow(value, took)).await.unwrap();
        let long = Duration::from_secs(3);
        assert_eq!(get(1, long).await, 1, "the first one is waited for");
        assert_eq!(get(2, long).await, 1, "it is good");
        tokio::time::sleep(GOOD).await;
        let asked = Instant::now();
        assert_eq!(get(3, long).await, 1, "the next one is slow");
        assert!(asked.elapsed() <= PATIENCE + Duration::from_millis(1));
        tokio::time::sleep(long).await;
        assert_eq!(get(4, long).await, 3, "and was read meanwhile");
        tokio::time::sleep(OLD).await;
        assert_eq!(get(5, long).await, 5, "what is old is not shown");
        tokio::time::sleep(GOOD).await;
        assert_eq!(get(6, Duration::from_millis(5)).await, 6, "one that is quick is waited for");
    }

    #[tokio::test(start_paused = true)]
    async fn many_who_ask_at_once_read_once() {
        let cached: Arc<Cached<u32>> = Arc::default();
        let asked = (0..8).map(|number| Arc::clone(&cached).get(slow(number, Duration::from_millis(9))));
        let values = futures_util::future::join_all(asked).await;
        let values: Vec<u32> = values.into_iter().map(|value| *value.unwrap()).collect();
        assert_eq!(values, vec![values[0]; 8]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_returned_and_not_cached() {
        let cached: Arc<Cached<u32>> = Arc::default();
        let failed = Arc::clone(&cached).get(async { Err(Error::internal("no")) }).await;
        assert!(failed.is_err());
        assert_eq!(*cached.get(slow(1, Duration::ZERO)).await.unwrap(), 1);
    }
}
