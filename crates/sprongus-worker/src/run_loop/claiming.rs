//! One claim at a time: when to ask again, under which name, and what to do with a claim that waits when the worker is to
//! stop.
//!
//! A claim has a name of its own and is repeated under it until it is answered, so an answer that was lost on the way
//! costs no lease. The leases it gives are measured from when it was first sent; one that was not answered for too long is
//! therefore begun anew, under another name.
//!
//! What refuses a claim of a worker that has claimed before (a right that was taken away, a token that was revoked, a fault of the
//! server's) may pass: the claim is repeated, and the log has each cause once.

use std::sync::Arc;
use std::time::Duration;

use sprongus_core::error::{Error, ErrorCode, Result};
use sprongus_core::run::ClaimRequest;
use sprongus_core::run::view::ClaimedView;
use sprongus_core::runs::Runs;
use sprongus_core::values::names::ClaimId;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::execution::transient::{may_pass, pause};
use crate::run_loop::shutdown::ShutdownState;

/// How long a claim waits for work at most.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Pauses before a claim is repeated: while the store cannot be reached, and while it refuses.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE_REFUSED: Duration = Duration::from_secs(5);

/// What a claim came to.
pub(crate) struct Claims {
    pub(crate) asked: Instant,
    pub(crate) runs: Result<Vec<ClaimedView>>,
}

/// Claims until there is an answer: some runs, none within the wait, or a refusal for good. `settled` says that this worker has claimed
/// before.
///
/// # Errors
/// In the answer: what a repeat cannot mend, or the worker is stopping and the store cannot be reached.
pub(crate) async fn claim(
    runs: Arc<dyn Runs>,
    request: ClaimRequest,
    mut stage: watch::Receiver<ShutdownState>,
    settled: bool,
) -> Claims {
    // Waiting counts against the lease, which is measured from here.
    let wait = LONGEST_WAIT.min(request.lease / 6);
    let mut request = ClaimRequest { wait, claim_id: Some(ClaimId::fresh()), ..request };
    let mut asked = Instant::now();
    let (mut tries, mut logged_code) = (0, None);
    loop {
        let stopping = *stage.borrow() != ShutdownState::Working;
        let answer = if stopping {
            runs.claim(ClaimRequest { wait: Duration::ZERO, ..request.clone() }).await
        } else {
            tokio::select! {
                biased;
                answer = runs.claim(request.clone()) => answer,
                // Given up while it waits, it may have been answered all the same: it is asked again under its name, and
                // what it gives goes back.
                stopped = stage.wait_for(|stage| *stage != ShutdownState::Working) => match stopped {
                    Ok(_) => continue,
                    // The worker itself was dropped.
                    Err(_) => return Claims { asked, runs: Ok(Vec::new()) },
                },
            }
        };
        match answer {
            Err(error) if is_worth_repeating(&error, settled) && !stopping => {
                tries += 1;
                log_once(&error, &mut logged_code);
                let longest = if error.retryable() { LONGEST_PAUSE } else { LONGEST_PAUSE_REFUSED };
                let pause = pause(tries, FIRST_PAUSE, longest);
                if let Ok(Err(_)) =
                    timeout(pause, stage.wait_for(|stage| *stage != ShutdownState::Working)).await
                {
                    return Claims { asked, runs: Ok(Vec::new()) };
                }
                if asked.elapsed() > request.lease / 2 {
                    // What it may have been given has only the rest of its lease, or none any more.
                    (asked, request.claim_id) = (Instant::now(), Some(ClaimId::fresh()));
                }
            }
            runs => {
                if logged_code.is_some() && runs.is_ok() {
                    tracing::info!("claims succeed again");
                }
                return Claims { asked, runs };
            }
        }
    }
}

fn is_worth_repeating(error: &Error, settled: bool) -> bool {
    error.retryable() || error.code() == ErrorCode::Internal || (settled && may_pass(error.code()))
}

/// Says why, once for each change of cause.
fn log_once(error: &Error, logged: &mut Option<ErrorCode>) {
    if logged.replace(error.code()) == Some(error.code()) {
        return;
    }
    let (code, message) = (error.code(), error.message());
    if error.retryable() {
        tracing::warn!(%code, error = message, "a claim failed; retrying");
    } else {
        tracing::error!(%code, error = message, hint = error.hint(), "claims are refused; retrying");
    }
}
