//! `POST /v1/runs/{id}:succeed`, `:fail`, `:release`, and `POST /v1/runs:finish`.

use std::time::Duration;

use serde::Serialize;
use sprongus_core::RunsExt;
use sprongus_core::json::Json;
use sprongus_core::run::view::RunView;
use sprongus_core::run::{Hold, Outcome};
use sprongus_core::values::ids::RunId;

use crate::problem::Problem;
use crate::server::access::auth::Worker;
use crate::server::request::body::Strict;
use crate::server::request::path::RunOf;
use crate::server::response::{ApiResult, bad_field, json};
use crate::wire::report::{FailBody, FinishBody, ReleaseBody, SucceedBody};
use crate::wire::run::RunBody;
use crate::wire::{Answers, MAX_BATCH_BODY_BYTES};

/// End an execution with a result
///
/// Repeating the same result under the same epoch returns the same response.
#[utoipa::path(
    post, path = "/v1/runs/{id}:succeed", tag = "work", operation_id = "succeedRun", request_body = SucceedBody,
    params(("id" = String, Path, description = "The run")),
    responses((status = 200, description = "The run", body = RunBody)),
    security(("token" = ["runs:work"]))
)]
pub async fn succeed(
    Worker(principal): Worker,
    RunOf(id): RunOf,
    Strict(body): Strict<SucceedBody>,
) -> ApiResult {
    let hold = Hold { id, worker_id: body.worker_id, epoch: body.epoch, token: body.lease_token };
    Ok(json(&principal.runs().succeed(&hold, body.result.map(Json::from_value), body.output_ref).await?))
}

/// End an execution with an error
///
/// The run is retried after a backoff if it is retryable and attempts are left; otherwise it fails.
#[utoipa::path(
    post, path = "/v1/runs/{id}:fail", tag = "work", operation_id = "failRun", request_body = FailBody,
    params(("id" = String, Path, description = "The run")),
    responses((status = 200, description = "The run", body = RunBody)),
    security(("token" = ["runs:work"]))
)]
pub async fn fail(Worker(principal): Worker, RunOf(id): RunOf, Strict(body): Strict<FailBody>) -> ApiResult {
    let hold = Hold { id, worker_id: body.worker_id, epoch: body.epoch, token: body.lease_token };
    let retry_in = body.retry_in_ms.map(Duration::from_millis);
    let outcome = Outcome::Fail { error: body.error, retryable: body.retryable, retry_in };
    Ok(json(&principal.runs().finish_one(&hold, outcome).await?))
}

/// Release a run without using up its attempt
#[utoipa::path(
    post, path = "/v1/runs/{id}:release", tag = "work", operation_id = "releaseRun", request_body = ReleaseBody,
    params(("id" = String, Path, description = "The run")),
    responses((status = 200, description = "The run", body = RunBody)),
    security(("token" = ["runs:work"]))
)]
pub async fn release(
    Worker(principal): Worker,
    RunOf(id): RunOf,
    Strict(body): Strict<ReleaseBody>,
) -> ApiResult {
    let hold = Hold { id, worker_id: body.worker_id, epoch: body.epoch, token: body.lease_token };
    Ok(json(&principal.runs().release(&hold).await?))
}

/// What became of one report.
#[derive(Serialize)]
struct Item {
    id: RunId,
    #[serde(flatten)]
    answer: ItemAnswer,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ItemAnswer {
    Run { run: Box<RunView> },
    ApiError { error: Problem },
}

/// The result of one report: the run, or an error.
#[derive(utoipa::ToSchema)]
#[schema(as = FinishItem)]
#[expect(dead_code, reason = "describes what `Item` prints")]
pub struct ItemBody {
    /// The run's id.
    id: String,
    /// The run.
    run: Option<RunBody>,
    /// Why the report was refused.
    error: Option<Problem>,
}

/// Results of many reports, one per item, in order.
#[derive(utoipa::ToSchema)]
#[schema(as = FinishAnswer)]
#[expect(dead_code, reason = "describes what is printed")]
pub struct FinishAnswerBody {
    /// The answers.
    data: Vec<ItemBody>,
}

/// End many executions
#[utoipa::path(
    post, path = "/v1/runs:finish", tag = "work", operation_id = "finishRuns", request_body = FinishBody,
    responses((status = 200, description = "One result per item, in order", body = FinishAnswerBody)),
    security(("token" = ["runs:work"]))
)]
pub async fn many(
    Worker(principal): Worker,
    Strict(body): Strict<FinishBody, MAX_BATCH_BODY_BYTES>,
) -> ApiResult {
    let mut reports = Vec::with_capacity(body.reports.len());
    for (index, report) in body.reports.into_iter().enumerate() {
        let report = report.into_report().ok_or_else(|| {
            let message =
                "succeed allows result and outputRef; fail requires error and allows retryable and retryInMs";
            bad_field(format!("/reports/{index}"), message)
        })?;
        reports.push(report);
    }
    let ids: Vec<RunId> = reports.iter().map(|report| report.id).collect();
    let answers = principal.runs().finish(&body.worker_id, reports).await?;
    let items = ids.into_iter().zip(answers).map(|(id, answer)| {
        let answer = match answer {
            Ok(run) => ItemAnswer::Run { run: Box::new(run) },
            Err(error) => ItemAnswer::ApiError { error: Problem::new(&error, "") },
        };
        Item { id, answer }
    });
    Ok(json(&Answers { data: items.collect::<Vec<_>>() }))
}
