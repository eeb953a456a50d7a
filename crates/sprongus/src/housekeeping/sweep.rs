//! Sweeping: the bytes of artifacts that are gone, and of uploads that came to nothing, are deleted now and then by whoever serves or
//! works beside the database.

use std::time::Duration;

use sprongus_core::{Error, Result, RunsService};

use super::figures::Figures;
use super::lasting_failures::LastingFailures;

/// How long between two sweeps, give or take a fifth, so that processes started together do not sweep together.
const PAUSE: Duration = Duration::from_secs(600);

/// Its name among the figures.
const CHORE: &str = "sweep";

/// Begins after a first pause.
pub(super) async fn forever(service: RunsService, figures: Figures) {
    let sweep = async || {
        let swept = service.sweep().await;
        figures.did(CHORE, *swept.as_ref().unwrap_or(&0));
        figures.round_over(CHORE, swept.is_ok());
        swept
    };
    let tell = |error: &Error| tracing::warn!("artifact sweep failed: {error:?}");
    sweeping(pause, sweep, tell).await;
}

fn pause() -> Duration {
    PAUSE.mul_f64(0.8 + 0.4 * fastrand::f64())
}

/// A place may be away for hours: a failure is failures once.
async fn sweeping<S: Future<Output = Result<u64>>>(
    pause: impl Fn() -> Duration,
    mut sweep: impl FnMut() -> S,
    mut tell: impl FnMut(&Error),
) {
    let mut failures = LastingFailures::default();
    loop {
        tokio::time::sleep(pause()).await;
        match sweep().await {
            Ok(_) => failures.forget(),
            Err(error) if failures.is_new(&error) => tell(&error),
            Err(_) => {}
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
        let failures = RefCell::new(Vec::new());
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
        let tell = |error: &Error| failures.borrow_mut().push(error.message().to_owned());
        let forever = sweeping(|| Duration::ZERO, sweep, tell);
        assert!(tokio::time::timeout(Duration::from_secs(5), forever).await.is_err(), "it never ends");
        assert_eq!(*failures.borrow(), ["full", "away", "away"]);
    }

    #[test]
    fn pauses_differ() {
        let pauses: Vec<_> = (0..100).map(|_| pause().as_secs()).collect();
        assert!(pauses.iter().all(|pause| (480..=720).contains(pause)), "{pauses:?}");
        assert!(pauses.iter().any(|pause| *pause != pauses[0]));
    }
}
