//! `/runner-jobs`: runs in the words of the runner jobs' design.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use sprongus_core::RunsExt;
use sprongus_core::error::Error;
use sprongus_core::run::follow::MAX_NEWS;
use sprongus_core::run::list::ListFilter;
use sprongus_core::run::view::RunView;

use super::runs::cancel::Nothing;
use super::runs::enqueue::key;
use super::runs::read::page_body;
use crate::server::Shared;
use crate::server::access::auth::{Reader, Writer};
use crate::server::request::body::{Optional, Strict};
use crate::server::request::path::RunOf;
use crate::server::request::query::Query;
use crate::server::response::{ApiResult, enqueued, json};
use crate::wire::List;
use crate::wire::runner_job::{JobBody, JobDetailBody, JobStatus, NewJobBody};

page_body! {
    /// A page of jobs. It may have fewer items than `limit`; only a `nextCursor` of null ends the list.
    JobPage, RunnerJobPage, JobBody;
}

/// Create a job and queue it
///
/// Both in one transaction.
#[utoipa::path(
    post, path = "/runner-jobs", tag = "runner jobs", operation_id = "createRunnerJob", request_body = NewJobBody,
    params(("Idempotency-Key" = Option<String>, Header, description = "The same request with the same key returns the existing job")),
    responses(
        (status = 201, description = "Created; its URL is in `Location`", body = JobBody),
        (status = 200, description = "Already created; `Idempotency-Replayed: true`", body = JobBody),
    ),
    security(("token" = ["runs:write"]))
)]
pub async fn create(
    Writer(principal): Writer,
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Strict(body): Strict<NewJobBody>,
) -> ApiResult {
    let answer = principal.runs().enqueue_one(body.into_new(key(&headers, None)?)).await?;
    let job = JobBody::of(&answer.run, shared.service.store().now().await?);
    Ok(enqueued(&job, &answer, "/runner-jobs"))
}

/// Reads a status.
fn status(text: &str) -> Result<JobStatus, Error> {
    let known = JobStatus::ALL.into_iter().find(|status| status.as_str() == text);
    known.ok_or_else(|| {
        Error::validation("not a status")
            .with_hint(format!("use one of: {}", JobStatus::ALL.map(JobStatus::as_str).join(", ")))
    })
}

/// List jobs, newest first
#[utoipa::path(
    get, path = "/runner-jobs", tag = "runner jobs", operation_id = "listRunnerJobs",
    params(
        ("status" = Option<JobStatus>, Query, description = "Only this status"),
        ("type" = Option<String>, Query, description = "Only this type"),
        ("agentTaskId" = Option<String>, Query, description = "Only this agent task"),
        ("limit" = Option<u32>, Query, description = "1 to 100; default: 50", minimum = 1, maximum = 100),
        ("cursor" = Option<String>, Query, description = "`nextCursor` of the previous page, with the same filters"),
    ),
    responses((status = 200, description = "A page", body = JobPage)),
    security(("token" = ["runs:read"]))
)]
pub async fn list(Reader(principal): Reader, State(shared): State<Arc<Shared>>, uri: Uri) -> ApiResult {
    let mut query = Query::read(&uri, &["status", "type", "agentTaskId", "limit", "cursor"])?;
    let wanted = match query.text("status").map(status) {
        None => None,
        Some(Ok(status)) => Some(status),
        Some(Err(error)) => {
            query.fault("status", format!("{}; {}", error.message(), error.hint()));
            None
        }
    };
    let mut filter = ListFilter {
        states: wanted.map(JobStatus::state).into_iter().collect(),
        kinds: query.all("type"),
        agent_task_id: query.one("agentTaskId"),
        cursor: query.text("cursor").map(str::to_owned),
        ..ListFilter::default()
    };
    if let Some(limit) = query.number("limit") {
        filter.limit = u32::try_from(limit).unwrap_or(u32::MAX);
    }
    query.end()?;
    let now = shared.service.store().now().await?;
    let page = principal.runs().list(&filter).await?;
    let jobs = page.data.iter().map(|run| JobBody::of(run, now));
    // Whether a queued run is due is no state of its own, so a page is sifted here and may come short.
    let data: Vec<JobBody> = jobs.filter(|job| wanted.is_none_or(|status| job.status == status)).collect();
    Ok(json(&List { data, next_cursor: page.next_cursor }))
}

/// Get a job, its steps and its events
#[utoipa::path(
    get, path = "/runner-jobs/{id}", tag = "runner jobs", operation_id = "getRunnerJob",
    params(("id" = String, Path, description = "The job: a UUID, or the ULID of the same 128 bits")),
    responses((status = 200, description = "The job", body = JobDetailBody)),
    security(("token" = ["runs:read"]))
)]
pub async fn get(
    Reader(principal): Reader,
    RunOf(id): RunOf,
    State(shared): State<Arc<Shared>>,
    uri: Uri,
) -> ApiResult {
    Query::read(&uri, &[])?.end()?;
    let runs = principal.runs();
    let run = runs.get(id).await?;
    let (steps, events) = (runs.steps(id).await?, runs.events(id, 0, MAX_NEWS).await?);
    let now = shared.service.store().now().await?;
    Ok(json(&JobDetailBody {
        job: JobBody::of(&run, now),
        steps: steps.iter().map(Into::into).collect(),
        events: events.iter().map(Into::into).collect(),
    }))
}

async fn job(shared: &Shared, run: &RunView) -> ApiResult {
    Ok(json(&JobBody::of(run, shared.service.store().now().await?)))
}

/// Cancel a job
#[utoipa::path(
    post, path = "/runner-jobs/{id}/cancel", tag = "runner jobs", operation_id = "cancelRunnerJob",
    params(("id" = String, Path, description = "The job")),
    responses((status = 200, description = "The job", body = JobBody)),
    security(("token" = ["runs:write"]))
)]
pub async fn cancel(
    Writer(principal): Writer,
    RunOf(id): RunOf,
    State(shared): State<Arc<Shared>>,
    Optional(_): Optional<Nothing>,
) -> ApiResult {
    job(&shared, &principal.runs().cancel(id).await?).await
}

/// Retry a failed or canceled job, with all its attempts again
#[utoipa::path(
    post, path = "/runner-jobs/{id}/retry", tag = "runner jobs", operation_id = "retryRunnerJob",
    params(("id" = String, Path, description = "The job")),
    responses((status = 200, description = "The job", body = JobBody)),
    security(("token" = ["runs:write"]))
)]
pub async fn retry(
    Writer(principal): Writer,
    RunOf(id): RunOf,
    State(shared): State<Arc<Shared>>,
    Optional(_): Optional<Nothing>,
) -> ApiResult {
    job(&shared, &principal.runs().retry(id, None).await?).await
}
