//! What a worker says in batches: heartbeats, reports, steps and lines. A batch that is too large for one body goes in several.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use sprongus_core::rules::enqueue::MAX_BATCH;
use sprongus_core::rules::record::{MAX_OUTPUT_BYTES, MAX_RECORDS};
use sprongus_core::rules::{self, heartbeat::check_distinct};
use sprongus_core::run::lease::LeaseToken;
use sprongus_core::run::step::{LogLine, StepReport};
use sprongus_core::run::view::RunView;
use sprongus_core::run::{Beat, Hold, Outcome, Report};
use sprongus_core::values::names::WorkerId;
use sprongus_core::values::text::{MAX_ERROR_BYTES, storable};
use sprongus_core::{Error, ErrorCode, Result};

use super::RunsClient;
use super::call::Call;
use crate::problem::Problem;
use crate::wire::record::{NewLineBody, StepReportBody};
use crate::wire::report::{BeatBody, HeartbeatsBody, HeldBody, ReportBody};
use crate::wire::run::RunBody;
use crate::wire::{Answers, MAX_BATCH_BODY_BYTES, MAX_BODY_BYTES, millis};

/// The most bytes of the items of one body: there is something around them.
const MAX_ITEMS_BYTES: usize = MAX_BATCH_BODY_BYTES - 4_096;

/// Refuses what no server takes at once, before it is taken apart.
pub fn check_batch(items: usize) -> Result<()> {
    if items > MAX_BATCH {
        return Err(Error::validation(format!("at most {MAX_BATCH} items in one call: {items}")));
    }
    Ok(())
}

/// What the server should have answered.
pub fn missing() -> Error {
    Error::internal("a batch item had no answer")
}

/// The same error, for another item.
pub fn copy_of(error: &Error) -> Error {
    error.for_another()
}

/// An item, written once.
pub fn raw<T: Serialize>(item: &T) -> Result<Box<RawValue>> {
    to_raw_value(item).map_err(|error| Error::internal("a request cannot be written").with_source(error))
}

/// Items in chunks, none with more than `most`, none too large for one body; in order.
pub fn chunks<T>(items: Vec<(T, Box<RawValue>)>, most: usize) -> Vec<(Vec<T>, Vec<Box<RawValue>>)> {
    let mut chunks: Vec<(Vec<T>, Vec<Box<RawValue>>)> = Vec::new();
    let mut size = 0;
    for (item, body) in items {
        let bytes = body.get().len() + 1;
        size += bytes;
        match chunks.last_mut() {
            Some((items, bodies)) if size <= MAX_ITEMS_BYTES && items.len() < most => {
                items.push(item);
                bodies.push(body);
            }
            Some(_) | None => {
                size = bytes;
                chunks.push((vec![item], vec![body]));
            }
        }
    }
    chunks
}

/// What became of one heartbeat.
#[derive(Deserialize)]
struct BeatItem {
    #[serde(flatten)]
    beat: Option<BeatBody>,
    error: Option<Problem>,
}

/// Lengthens leases, with one call a worker.
pub async fn heartbeat(
    client: &RunsClient,
    holds: Vec<Hold>,
    lease: Option<Duration>,
) -> Result<Vec<Result<Beat>>> {
    check_batch(holds.len())?;
    lease.map_or(Ok(()), rules::claim::check_lease_duration)?;
    check_distinct(holds.iter().map(|hold| hold.id))?;
    let mut workers: Vec<&WorkerId> = holds.iter().map(|hold| &hold.worker_id).collect();
    workers.sort_unstable();
    workers.dedup();
    let mut answers: Vec<Option<Result<Beat>>> = holds.iter().map(|_| None).collect();
    for worker in workers {
        let (indexes, own): (Vec<usize>, Vec<&Hold>) =
            holds.iter().enumerate().filter(|(_, hold)| hold.worker_id == *worker).unzip();
        let held =
            |hold: &&Hold| HeldBody { id: hold.id, epoch: hold.epoch, lease_token: hold.token.clone() };
        let body = HeartbeatsBody {
            worker_id: worker.clone(),
            runs: own.iter().map(held).collect(),
            lease_ms: lease.map(millis),
        };
        let beats: Answers<BeatItem> = client.call(Call::post("/v1/runs:heartbeat", &body)?).await?;
        for (index, item) in indexes.into_iter().zip(beats.data) {
            answers[index] = Some(match (item.error, item.beat) {
                (Some(problem), _) => Err(problem.into_error()),
                (None, Some(beat)) => Ok(beat.into()),
                (None, None) => Err(missing()),
            });
        }
    }
    Ok(answers.into_iter().map(|answer| answer.unwrap_or_else(|| Err(missing()))).collect())
}

/// What became of one report.
#[derive(Deserialize)]
struct FinishItem {
    run: Option<RunBody>,
    error: Option<Problem>,
}

/// Ends executions, in as many calls as their size takes. The same report again is answered as it was the first time.
pub async fn finish(
    client: &RunsClient,
    worker: &WorkerId,
    reports: Vec<Report>,
) -> Result<Vec<Result<RunView>>> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Body<'a> {
        worker_id: &'a WorkerId,
        reports: Vec<Box<RawValue>>,
    }
    check_batch(reports.len())?;
    let mut answered: Vec<Option<Result<RunView>>> = Vec::with_capacity(reports.len());
    let mut bodies = Vec::with_capacity(reports.len());
    for mut report in reports {
        if let Outcome::Fail { error, .. } = &mut report.outcome {
            *error = storable(error, MAX_ERROR_BYTES).into_owned();
        }
        let body = raw(&ReportBody::from(report.clone()))?;
        let fault = if body.get().len() > MAX_BODY_BYTES {
            rules::finish::check(&report.outcome).err()
        } else {
            None
        };
        if fault.is_none() {
            bodies.push(((), body));
        }
        answered.push(fault.map(Err));
    }
    let mut ended: Vec<Result<RunView>> = Vec::with_capacity(bodies.len());
    for (items, reports) in chunks(bodies, MAX_BATCH) {
        let call =
            Call::post("/v1/runs:finish", &Body { worker_id: worker, reports })?.expecting(items.len());
        let answer: Result<Answers<FinishItem>> = client.call(call).await;
        match answer {
            Ok(answer) if answer.data.len() != items.len() => return Err(missing()),
            Ok(answer) => ended.extend(answer.data.into_iter().map(|item| match (item.run, item.error) {
                (Some(run), _) => Ok(run.into_view()),
                (None, Some(problem)) => Err(problem.into_error()),
                (None, None) => Err(missing()),
            })),
            // What an earlier call ended has ended: the others are answered one by one.
            Err(error) if !ended.is_empty() => ended.extend(items.iter().map(|()| Err(copy_of(&error)))),
            Err(error) => return Err(error),
        }
    }
    let mut ended = ended.into_iter();
    let answers =
        answered.into_iter().map(|answer| answer.or_else(|| ended.next()).unwrap_or_else(|| Err(missing())));
    Ok(answers.collect())
}

/// Records steps and lines: together, unless they are too large for one body. Then lines go ahead, and the steps come with the last
/// of them.
///
/// The same steps again change nothing, but the same lines would stand in the log twice. So a call with lines whose outcome is not
/// known is `unavailable`, and may have been done: nothing in a log tells a repeated line from one that was printed twice.
pub async fn record(
    client: &RunsClient,
    hold: &Hold,
    steps: Vec<StepReport>,
    lines: Vec<LogLine>,
) -> Result<()> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Body<'a> {
        worker_id: &'a WorkerId,
        epoch: u64,
        lease_token: &'a LeaseToken,
        steps: Vec<Box<RawValue>>,
        lines: Vec<Box<RawValue>>,
    }
    rules::record::check(&steps, &lines)?;
    let lines = rules::record::kept(lines).into_iter().map(|line| Ok(((), raw(&NewLineBody::from(line))?)));
    let steps = steps.into_iter().map(|mut step| {
        step.output = step.output.map(|text| storable(&text, MAX_OUTPUT_BYTES).into_owned());
        raw(&StepReportBody::from(step))
    });
    let mut steps = steps.collect::<Result<Vec<_>>>()?;
    let size_of_steps: usize = steps.iter().map(|step| step.get().len() + 1).sum();
    if size_of_steps > MAX_ITEMS_BYTES {
        let message = format!("steps are at most {} MiB in one call over HTTP", MAX_BATCH_BODY_BYTES >> 20);
        return Err(Error::new(ErrorCode::PayloadTooLarge, message).with_hint("send fewer steps at once"));
    }
    let mut chunks: Vec<Vec<Box<RawValue>>> =
        chunks(lines.collect::<Result<Vec<_>>>()?, MAX_RECORDS).into_iter().map(|(_, lines)| lines).collect();
    let size_of_last: usize =
        chunks.last().map_or(0, |lines| lines.iter().map(|line| line.get().len() + 1).sum());
    if chunks.is_empty() || size_of_last + size_of_steps > MAX_ITEMS_BYTES {
        chunks.push(Vec::new());
    }
    let count = chunks.len();
    for (index, lines) in chunks.into_iter().enumerate() {
        let steps = if index + 1 == count { std::mem::take(&mut steps) } else { Vec::new() };
        let is_repeatable = lines.is_empty();
        let (worker_id, epoch, lease_token) = (&hold.worker_id, hold.epoch, &hold.token);
        let body = Body { worker_id, epoch, lease_token, steps, lines };
        let call = Call::post(format!("/v1/runs/{}:record", hold.id), &body)?;
        client.tell(if is_repeatable { call } else { call.once() }).await?;
    }
    Ok(())
}
