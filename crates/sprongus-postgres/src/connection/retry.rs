//! Carrying out a transaction again, where that is safe: after a conflict or a spoiled session, which rolled it back, and after a
//! connection that broke, when nobody knows whether it was committed.

use std::time::Duration;

use sprongus_core::{Error, ErrorCode, Result};

use crate::error::{self, DbError, Retry};

/// The longest a transaction may take, from the first byte sent to the last one read.
const DEADLINE: Duration = Duration::from_secs(30);

/// How often a transaction that was rolled back for its neighbours' sake is tried, and one whose session broke or was spoiled.
const TRIES: (u32, u32) = (8, 3);

/// Whether a verb may be carried out once more when nobody knows whether it was.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Idempotent {
    /// It changes nothing the second time, or knows that it is one.
    Yes,
    /// It does not.
    No,
}

/// Carries out a transaction, once more where that is safe. `make` hears whether it is carried out once more because a connection broke.
pub async fn retry<T, Made>(idempotent: Idempotent, make: impl Fn(bool) -> Made) -> Result<T>
where
    Made: Future<Output = error::Result<T>>,
{
    let (mut conflicts, mut spoiled, mut breaks) = (0, 0, 0);
    loop {
        let DbError { error, retry } = match with_deadline(make(breaks > 0)).await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        let tries = match retry {
            Retry::RolledBack if conflicts < TRIES.0 => &mut conflicts,
            Retry::NewSession if spoiled < TRIES.1 => &mut spoiled,
            Retry::Unknown if idempotent == Idempotent::Yes && breaks < TRIES.1 => &mut breaks,
            Retry::Never | Retry::RolledBack | Retry::NewSession | Retry::Unknown => return Err(error),
        };
        *tries += 1;
        let pause = Duration::from_millis(10) * 4_u32.pow((*tries).min(4));
        tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
    }
}

/// The same for what changes nothing the second time, reads among it.
pub async fn retry_idempotent<T, Made>(make: impl Fn() -> Made) -> Result<T>
where
    Made: Future<Output = error::Result<T>>,
{
    retry(Idempotent::Yes, |_| make()).await
}

/// Gives up on what takes longer than any transaction of ours should; the connection is closed with it.
pub async fn with_deadline<T>(work: impl Future<Output = error::Result<T>>) -> error::Result<T> {
    match tokio::time::timeout(DEADLINE, work).await {
        Ok(done) => done,
        Err(elapsed) => Err(DbError {
            error: Error::new(ErrorCode::Unavailable, "the database took too long").with_source(elapsed),
            retry: Retry::Unknown,
        }),
    }
}
