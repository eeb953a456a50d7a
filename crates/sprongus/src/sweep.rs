//! Sweeping: the bytes of artifacts that are gone, and of uploads that came to nothing, are deleted now and then by whoever serves or
//! works beside the database. Any number of processes may; what one of them leaves the next one takes.

use std::time::Duration;

use sprongus_core::{Error, Result, RunsService};
use tokio::task::JoinHandle;

/// How long between two sweeps, give or take a fifth, so that processes started together do not sweep together.
const PAUSE: Duration = Duration::from_secs(600);

/// Sweeps until it is dropped.
pub struct Sweeper(JoinHandle<()>);

impl Sweeper {
    /// Begins after a first pause.
    pub fn start(service: RunsService) -> Self {
        let sweep = move || {
            let service = service.clone();
            async move { service.sweep().await }
        };
        let tell = |error: &Error| tracing::warn!("artifacts were not swept: {error:?}");
        Self(tokio::spawn(forever(pause, sweep, tell)))
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn pause() -> Duration {
    PAUSE.mul_f64(0.8 + 0.4 * fastrand::f64())
}

/// A place may be away for hours: a failure is told once, and again when it is another one or comes back.
async fn forever<S: Future<Output = Result<u64>>>(
    pause: impl Fn() -> Duration,
    mut sweep: impl FnMut() -> S,
    mut tell: impl FnMut(&Error),
) {
    let mut told = None;
    loop {
        tokio::time::sleep(pause()).await;
        match sweep().await {
            Ok(_) => told = None,
            Err(error) => {
                let what = (error.code(), error.message().to_owned());
                if told.as_ref() != Some(&what) {
                    tell(&error);
                    told = Some(what);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use sprongus_core::ErrorCode;

    use super::*;

    #[tokio::test]
    async fn a_failure_is_told_once_and_sweeping_goes_on() {
        let mut answers = vec!["full", "full", "away", "", "away", "away"].into_iter();
        let told = RefCell::new(Vec::new());
        let sweep = || {
            let answer = answers.next();
            async move {
                match answer {
                    Some("") => Ok(1),
                    Some(text) => Err(Error::new(ErrorCode::Unavailable, text)),
                    None => std::future::pending().await,
                }
            }
        };
        let tell = |error: &Error| told.borrow_mut().push(error.message().to_owned());
        let sweeping = forever(|| Duration::ZERO, sweep, tell);
        assert!(tokio::time::timeout(Duration::from_secs(5), sweeping).await.is_err(), "it never ends");
        assert_eq!(*told.borrow(), ["full", "away", "away"]);
    }

    #[test]
    fn pauses_differ() {
        let pauses: Vec<_> = (0..100).map(|_| pause().as_secs()).collect();
        assert!(pauses.iter().all(|pause| (480..=720).contains(pause)), "{pauses:?}");
        assert!(pauses.iter().any(|pause| *pause != pauses[0]));
    }
}
