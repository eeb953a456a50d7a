//! Carrying out a transaction again, where that is safe: after a conflict or a spoiled session, which rolled it back, and after a
//! connection that broke, when nobody knows whether it was committed.

use std::time::Duration;

use sprongus_core::Result;

use crate::connection::session::in_time;
use crate::error::{self, Again, Fault};

/// How often a transaction that was rolled back for its neighbours' sake is tried, and one whose session broke or was spoiled.
const TRIES: (u32, u32) = (8, 3);

/// Whether a verb may be carried out once more when nobody knows whether it was.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Repeatable {
    /// It changes nothing the second time, or knows that it is one.
    Yes,
    /// It does not.
    No,
}

/// Carries out a transaction, once more where that is safe. Told whether it is a repeat.
pub async fn repeat<T, Made>(repeatable: Repeatable, make: impl Fn(bool) -> Made) -> Result<T>
where
    Made: Future<Output = error::Result<T>>,
{
    let (mut conflicts, mut spoiled, mut breaks) = (0, 0, 0);
    loop {
        let Fault { error, again } = match in_time(make(breaks > 0)).await {
            Ok(done) => return Ok(done),
            Err(fault) => fault,
        };
        let tries = match again {
            Again::RolledBack if conflicts < TRIES.0 => &mut conflicts,
            Again::Elsewhere if spoiled < TRIES.1 => &mut spoiled,
            Again::Unknown if repeatable == Repeatable::Yes && breaks < TRIES.1 => &mut breaks,
            Again::No | Again::RolledBack | Again::Elsewhere | Again::Unknown => return Err(error),
        };
        *tries += 1;
        let pause = Duration::from_millis(10) * 4_u32.pow((*tries).min(4));
        tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
    }
}

/// A read; it may always be made again.
pub async fn look<T, Made>(make: impl Fn() -> Made) -> Result<T>
where
    Made: Future<Output = error::Result<T>>,
{
    repeat(Repeatable::Yes, |_| make()).await
}
