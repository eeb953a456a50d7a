//! `POST /v1/runs`, `POST /v1/runs:batch`.

use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Serialize;
use sprongus_core::Error;
use sprongus_core::ErrorCode;
use sprongus_core::Result;
use sprongus_core::RunsExt;
use sprongus_core::rules;
use sprongus_core::run::view::RunView;
use sprongus_core::run::{Enqueue, Enqueued, NewRun};
use sprongus_core::store::Batch;

use crate::problem::Problem;
use crate::server::access::auth::Writer;
use crate::server::request::body::Strict;
use crate::server::response::{ApiResult, bad_field, batch_refused, enqueued, json_of};
use crate::wire::enqueue::{BatchBody, EnqueueBody};
use crate::wire::run::RunBody;
use crate::wire::{Answers, IDEMPOTENCY_KEY_HEADER, MAX_BATCH_BODY_BYTES};

/// Enqueue a run
///
/// The run is on disk before the response is sent. Repeating the request with the same key, or the same `id`, returns the existing
/// run.
#[utoipa::path(
    post, path = "/v1/runs", tag = "runs", operation_id = "enqueueRun", request_body = EnqueueBody,
    params(("Idempotency-Key" = Option<String>, Header, description = "The same request with the same key returns the existing run")),
    responses(
        (status = 201, description = "Created; its URL is in `Location`", body = RunBody),
        (status = 200, description = "Already created; `Idempotency-Replayed: true`", body = RunBody),
    ),
    security(("token" = ["runs:write"]))
)]
pub async fn enqueue(
    Writer(principal): Writer,
    headers: HeaderMap,
    Strict(body): Strict<EnqueueBody>,
) -> ApiResult {
    let body = EnqueueBody { idempotency_key: key(&headers, body.idempotency_key.clone())?, ..body };
    let answer = principal.runs().enqueue_one(body.into_new()?).await?;
    Ok(enqueued(&answer.run, &answer, "/v1/runs"))
}

/// The key of the header or of the body, which must not contradict one another.
pub fn key(headers: &HeaderMap, in_body: Option<String>) -> Result<Option<String>> {
    let mut given = headers.get_all(IDEMPOTENCY_KEY_HEADER).iter();
    let Some(value) = given.next() else { return Ok(in_body) };
    let malformed = |message| {
        Err(Error::new(ErrorCode::Malformed, message).with_hint("send one Idempotency-Key of text"))
    };
    if given.next().is_some() {
        return malformed("two Idempotency-Key headers");
    }
    let Ok(text) = std::str::from_utf8(value.as_bytes()) else {
        return malformed("the Idempotency-Key is not valid text");
    };
    // The header's draft writes the key as a quoted string; most clients do not.
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    if !rules::enqueue::is_key(text) {
        return malformed("the Idempotency-Key is not 1 to 255 printable characters");
    }
    match in_body {
        Some(other) if other != text => {
            Err(bad_field("/idempotencyKey", "the Idempotency-Key header and idempotencyKey differ"))
        }
        Some(_) | None => Ok(Some(text.to_owned())),
    }
}

/// What became of one item.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Item<'a> {
    /// The run, and whether it had been made before.
    #[serde(untagged)]
    Made { run: &'a RunView, replayed: bool },
    /// Why it was not enqueued.
    #[serde(untagged)]
    ApiError { error: Problem },
}

/// The result of one item of a batch: a run, or an error.
#[derive(utoipa::ToSchema)]
#[schema(as = BatchItem)]
#[expect(dead_code, reason = "describes what `Item` prints")]
pub struct ItemBody {
    /// The run.
    run: Option<RunBody>,
    /// Whether it already existed.
    replayed: Option<bool>,
    /// Why it was not enqueued.
    error: Option<Problem>,
}

/// Results of a batch, one per item, in order.
#[derive(utoipa::ToSchema)]
#[schema(as = BatchAnswer)]
#[expect(dead_code, reason = "describes what is printed")]
pub struct BatchAnswerBody {
    /// The answers.
    data: Vec<ItemBody>,
}

/// Enqueue up to 1,000 runs
///
/// All or nothing, unless `atomic` is `false`. Each item is a request as for one run, keys included.
#[utoipa::path(
    post, path = "/v1/runs:batch", tag = "runs", operation_id = "enqueueRuns", request_body = BatchBody,
    responses((status = 201, description = "One result per item, in order", body = BatchAnswerBody)),
    security(("token" = ["runs:write"]))
)]
pub async fn batch(
    Writer(principal): Writer,
    Strict(body): Strict<BatchBody, MAX_BATCH_BODY_BYTES>,
) -> ApiResult {
    if body.runs.len() > rules::enqueue::MAX_BATCH {
        let message = format!("at most {} runs in one call: {}", rules::enqueue::MAX_BATCH, body.runs.len());
        return Err(bad_field("/runs", message).into());
    }
    principal.charge(body.runs.len().saturating_sub(1));
    let batch = if body.atomic { Batch::AllOrNothing } else { Batch::EachAlone };
    let requests: Vec<_> = body.runs.into_iter().map(EnqueueBody::into_new).collect();
    if body.atomic && requests.iter().any(Result::is_err) {
        // What the core would refuse is named along with it.
        let fault =
            |request: Result<NewRun>| request.and_then(|new| rules::enqueue::prepare(&new, None)).err();
        let bad =
            requests.into_iter().enumerate().filter_map(|(index, request)| Some((index, fault(request)?)));
        return Ok(batch_refused(bad.collect()));
    }
    let (mut sound, mut answers) = (Vec::new(), Vec::new());
    for request in requests {
        match request {
            Ok(request) => {
                sound.push(request);
                answers.push(None);
            }
            Err(error) => answers.push(Some(Err(error))),
        }
    }
    let mut made = principal.runs().enqueue(sound, batch).await?.into_iter();
    let missing = || Err(Error::internal("a batch item had no answer"));
    let answers: Vec<Result<Enqueued>> =
        answers.into_iter().map(|answer| answer.or_else(|| made.next()).unwrap_or_else(missing)).collect();
    if body.atomic && answers.iter().any(Result::is_err) {
        let own = |error: &Error| *error != rules::enqueue::not_made();
        let bad = answers
            .into_iter()
            .enumerate()
            .filter_map(|(index, answer)| Some((index, answer.err().filter(own)?)));
        return Ok(batch_refused(bad.collect()));
    }
    Ok(printed(&answers))
}

fn printed(answers: &[Result<Enqueued>]) -> Response {
    let items = answers.iter().map(|answer| match answer {
        Ok(enqueued) => Item::Made { run: &enqueued.run, replayed: enqueued.outcome == Enqueue::Existing },
        Err(error) => Item::ApiError { error: Problem::new(error, "") },
    });
    json_of(StatusCode::CREATED, &Answers { data: items.collect::<Vec<_>>() })
}
