//! `POST /v1/runs:claim`.
//!
//! The claim is a task of its own, so a client that hangs up does not cancel it in the middle of a statement: it ends while it waits, and
//! runs that reach nobody are released at once. Those of a claim with a claim id are kept for its repeat instead.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use sprongus_core::Error;
use sprongus_core::Result;
use sprongus_core::Runs;
use sprongus_core::rules;
use sprongus_core::run::view::ClaimedView;
use sprongus_core::run::{ClaimRequest, Outcome, Report};
use tokio::sync::oneshot;

use crate::server::Shared;
use crate::server::access::auth::{Principal, Worker};
use crate::server::request::body::Strict;
use crate::server::response::{ApiResult, json};
use crate::wire::Answers;
use crate::wire::report::ClaimBody;
use crate::wire::run::ClaimedBody;

/// The claimed runs.
#[derive(utoipa::ToSchema)]
#[schema(as = ClaimedRuns)]
#[expect(dead_code, reason = "describes what is printed")]
pub struct ClaimedRunsBody {
    /// The runs; none when no runs are due.
    data: Vec<ClaimedBody>,
}

/// Claim due runs
///
/// Waits up to `waitMs` for due runs. Repeating a `claimId`, by the same worker with the same API token, returns the same runs, as long as
/// they are held, under a new lease token; the previous one is void.
#[utoipa::path(
    post, path = "/v1/runs:claim", tag = "work", operation_id = "claimRuns", request_body = ClaimBody,
    responses((status = 200, description = "The runs, each with its lease", body = ClaimedRunsBody)),
    security(("token" = ["runs:work"]))
)]
pub async fn claim(
    Worker(principal): Worker,
    State(shared): State<Arc<Shared>>,
    Strict(body): Strict<ClaimBody>,
) -> ApiResult {
    let request = ClaimRequest::from(body);
    rules::claim::check(&request)?;
    let permit = if request.wait.is_zero() { None } else { Some(principal.waiting_permit()?) };
    let (mut answer, asked) = oneshot::channel();
    tokio::spawn(async move {
        let _permit = permit;
        let mut claimed = wait_for_work(&shared, &principal, &request, &mut answer).await;
        if !request.wait.is_zero()
            && let Err(refused) = principal.recheck_token().await
        {
            // The token was revoked or has expired while it waited.
            if let Ok(undelivered) = std::mem::replace(&mut claimed, Err(refused)) {
                release(principal.runs().as_ref(), &request, &undelivered).await;
            }
        }
        if let Err(Ok(undelivered)) = answer.send(claimed)
            && request.claim_id.is_none()
        {
            release(principal.runs().as_ref(), &request, &undelivered).await;
        }
    });
    let claimed = asked.await.map_err(|_| Error::internal("a claim was interrupted"))??;
    Ok(json(&Answers { data: claimed }))
}

async fn wait_for_work(
    shared: &Shared,
    principal: &Principal,
    request: &ClaimRequest,
    answer: &mut oneshot::Sender<Result<Vec<ClaimedView>>>,
) -> Result<Vec<ClaimedView>> {
    let runs = principal.runs();
    let deadline = Instant::now() + request.wait;
    let mut turn = shared.claim_queues.turn(&principal.caller, request).await;
    let superseded = async {
        match &mut turn {
            Some(turn) => turn.superseded().await,
            None => std::future::pending().await,
        }
    };
    let with_wait = |wait| ClaimRequest { wait, ..request.clone() };
    let claimed = runs.claim(with_wait(Duration::ZERO)).await?;
    if !claimed.is_empty() || request.wait.is_zero() {
        return Ok(claimed);
    }
    let queue = shared.claim_queues.queue(&principal.caller, request);
    let mut stopping = shared.stopping.clone();
    let waiting = async {
        let Ok(_first) = tokio::time::timeout_at(deadline.into(), queue.lock()).await else {
            return Ok(Vec::new());
        };
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let claimed = runs.claim(with_wait(left)).await?;
            if !claimed.is_empty() || left.is_zero() {
                return Ok(claimed);
            }
        }
    };
    tokio::select! {
        // What was claimed in the same instant is not lost.
        biased;
        claimed = waiting => claimed,
        () = answer.closed() => Ok(Vec::new()),
        () = superseded => Ok(Vec::new()),
        _ = stopping.wait_for(|is_stopping| *is_stopping) => Ok(Vec::new()),
    }
}

/// Releases claimed runs that reached nobody.
async fn release(runs: &dyn Runs, request: &ClaimRequest, undelivered: &[ClaimedView]) {
    let held = undelivered.iter().filter(|claimed| !claimed.cleanup);
    let reports: Vec<Report> = held.map(|claimed| claimed.hold().report(Outcome::Release)).collect();
    if reports.is_empty() {
        return;
    }
    // A run that cannot be released is claimed by another worker when its lease expires.
    if let Err(error) = runs.finish(&request.worker_id, reports).await {
        tracing::debug!(?error, "claimed runs that did not reach their worker were not released");
    }
}
