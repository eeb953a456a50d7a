//! One claim at a time: when to ask again, under which name, and what to do with a claim that waits when the worker is to
//! stop.
//!
//! A claim has a name of its own and is repeated under it until it is answered, so an answer that was lost on the way
//! costs no lease. The leases it gives are measured from when it was first sent.

use std::sync::Arc;
use std::time::Duration;

use sprongus_core::error::{ErrorCode, Result};
use sprongus_core::names::ClaimId;
use sprongus_core::run::{ClaimRequest, Claimed};
use sprongus_core::runs::Runs;
use tokio::time::{Instant, sleep, timeout};

use crate::shutdown::Stage;

/// How long a claim waits for work at most.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// How long a claim that waits is let be when the worker is to stop.
const PATIENCE: Duration = Duration::from_millis(250);

/// Pauses before a claim is repeated.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// What a claim came to.
pub(crate) struct Claims {
    pub(crate) asked: Instant,
    pub(crate) runs: Result<Vec<Claimed>>,
}

/// Claims until there is an answer: some runs, none within the wait, or a refusal for good.
///
/// # Errors
/// In the answer: what a repeat cannot mend, or the worker is stopping and the store cannot be reached.
pub(crate) async fn claim(
    runs: Arc<dyn Runs>,
    request: ClaimRequest,
    mut stage: tokio::sync::watch::Receiver<Stage>,
) -> Claims {
    // Waiting counts against the lease, which is measured from here.
    let wait = LONGEST_WAIT.min(request.lease / 6);
    let request = ClaimRequest { wait, claim_id: Some(ClaimId::fresh()), ..request };
    let at_once = ClaimRequest { wait: Duration::ZERO, ..request.clone() };
    let asked = Instant::now();
    let mut pause = PAUSES.0;
    loop {
        let stopping = *stage.borrow() != Stage::Working;
        let answer = if stopping {
            runs.claim(at_once.clone()).await
        } else {
            tokio::select! {
                answer = runs.claim(request.clone()) => answer,
                // Given up while it waits, it may have been answered all the same: it is asked again under its name, and
                // what it gives goes back.
                () = impatient(&mut stage) => continue,
            }
        };
        match answer {
            Err(error) if (error.retryable() || error.code() == ErrorCode::Internal) && !stopping => {
                tracing::warn!(code = %error.code(), "a claim failed, it is repeated");
                let _ = timeout(pause, stage.wait_for(|stage| *stage != Stage::Working)).await;
                pause = (pause * 2).min(PAUSES.1);
            }
            runs => return Claims { asked, runs },
        }
    }
}

async fn impatient(stage: &mut tokio::sync::watch::Receiver<Stage>) {
    if stage.wait_for(|stage| *stage != Stage::Working).await.is_err() {
        std::future::pending::<()>().await;
    }
    sleep(PATIENCE).await;
}
