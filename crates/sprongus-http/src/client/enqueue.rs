//! Asking for runs. Each is sent under an id made here, so that a repeat finds what the first try made.

use serde::Deserialize;
use serde_json::value::RawValue;
use sprongus_core::rules::enqueue::{MAX_BATCH, not_made, prepare};
use sprongus_core::run::{Enqueue, Enqueued, NewRun};
use sprongus_core::store::Batch;
use sprongus_core::values::ids::RunId;
use sprongus_core::{Error, ErrorCode, Result};

use super::RunsClient;
use super::call::Call;
use super::failure::CallError;
use super::work::{check_batch, chunks, copy_of, missing, raw};
use crate::problem::{ItemProblem, Problem};
use crate::wire::enqueue::EnqueueBody;
use crate::wire::run::RunBody;
use crate::wire::{Answers, MAX_BATCH_BODY_BYTES, MAX_BODY_BYTES};

/// A request on its way.
struct Sent {
    id: RunId,
    /// The id was made here, for this call.
    is_fresh: bool,
    body: EnqueueBody,
}

/// What became of one item of a batch.
#[derive(Deserialize)]
struct Item {
    #[serde(flatten)]
    made: Option<Made>,
    error: Option<Problem>,
}

#[derive(Deserialize)]
struct Made {
    run: RunBody,
    replayed: bool,
}

impl Sent {
    fn new(run: NewRun) -> Self {
        let (id, is_fresh) = (run.id.unwrap_or_default(), run.id.is_none());
        Self { id, is_fresh, body: EnqueueBody::from(NewRun { id: Some(id), ..run }) }
    }

    /// A replay under an id that nobody else knows answers an earlier try of this very call.
    fn answered(&self, run: RunBody, is_replay: bool) -> Enqueued {
        let run = run.into_view();
        let is_ours = self.is_fresh && run.id == self.id;
        let outcome = if is_replay && !is_ours { Enqueue::Existing } else { Enqueue::Created };
        Enqueued { run, outcome }
    }

    fn read(&self, item: Item) -> Result<Enqueued> {
        match (item.made, item.error) {
            (Some(made), _) => Ok(self.answered(made.run, made.replayed)),
            (None, Some(problem)) => Err(problem.into_error()),
            (None, None) => Err(missing()),
        }
    }

    /// What the server would say of a request that is too large to be sent.
    fn checked(&self, size: usize) -> Result<()> {
        if size <= MAX_BODY_BYTES {
            return Ok(());
        }
        prepare(&self.body.clone().into_new()?, None).map(|_| ())
    }

    /// Whether a refusal of the only item speaks of it, and not of the call.
    fn is_refused_by(&self, error: &Error) -> bool {
        match error.code() {
            ErrorCode::Validation
            | ErrorCode::SecretInInput
            | ErrorCode::IdempotencyKeyReused
            | ErrorCode::Conflict
            | ErrorCode::Malformed
            | ErrorCode::PayloadTooLarge => true,
            ErrorCode::NotFound => self.body.project_id.is_some(),
            ErrorCode::Unauthenticated
            | ErrorCode::Forbidden
            | ErrorCode::MethodNotAllowed
            | ErrorCode::Misdirected
            | ErrorCode::IllegalTransition
            | ErrorCode::LeaseLost
            | ErrorCode::UnsupportedMediaType
            | ErrorCode::RateLimited
            | ErrorCode::TimedOut
            | ErrorCode::Unavailable
            | ErrorCode::SchemaMismatch
            | ErrorCode::Internal => false,
        }
    }
}

/// Makes runs, or finds those made before.
pub async fn enqueue(client: &RunsClient, runs: Vec<NewRun>, batch: Batch) -> Result<Vec<Result<Enqueued>>> {
    check_batch(runs.len())?;
    let mut sent: Vec<Sent> = runs.into_iter().map(Sent::new).collect();
    match (sent.pop(), batch) {
        (None, _) => Ok(Vec::new()),
        (Some(only), _) if sent.is_empty() => one(client, &only).await,
        (Some(last), batch) => {
            sent.push(last);
            match batch {
                Batch::AllOrNothing => whole(client, &sent).await,
                Batch::EachAlone => each(client, &sent).await,
            }
        }
    }
}

async fn one(client: &RunsClient, sent: &Sent) -> Result<Vec<Result<Enqueued>>> {
    let call = Call::post("/v1/runs", &sent.body)?.expecting(1);
    if let Err(error) = sent.checked(call.size()) {
        return Ok(vec![Err(error)]);
    }
    match client.send(&call).await {
        Ok(reply) => Ok(vec![Ok(sent.answered(reply.read()?, reply.is_replay))]),
        Err(refused) if sent.is_refused_by(&refused.error) => Ok(vec![Err(refused.error)]),
        Err(refused) => Err(refused.error),
    }
}

fn batch(runs: &[Box<RawValue>], atomic: bool) -> Result<Call> {
    #[derive(serde::Serialize)]
    struct Body<'a> {
        runs: &'a [Box<RawValue>],
        atomic: bool,
    }
    Ok(Call::post("/v1/runs:batch", &Body { runs, atomic })?.expecting(runs.len()))
}

async fn whole(client: &RunsClient, sent: &[Sent]) -> Result<Vec<Result<Enqueued>>> {
    let bodies = sent.iter().map(|one| raw(&one.body)).collect::<Result<Vec<_>>>()?;
    let faults: Vec<_> =
        sent.iter().zip(&bodies).map(|(one, body)| one.checked(body.get().len()).err()).collect();
    if faults.iter().any(Option::is_some) {
        return Ok(faults.into_iter().map(|fault| Err(fault.unwrap_or_else(not_made))).collect());
    }
    let call = batch(&bodies, true)?;
    if call.size() > MAX_BATCH_BODY_BYTES {
        let message = format!("a batch over HTTP must be at most {} MiB", MAX_BATCH_BODY_BYTES >> 20);
        return Err(Error::new(ErrorCode::PayloadTooLarge, message).with_hint("enqueue it in parts"));
    }
    match client.send(&call).await {
        Ok(reply) => answers(sent.iter(), reply.read::<Answers<Item>>()?),
        Err(CallError { items, .. }) if !items.is_empty() => Ok(refusals(sent.len(), items)),
        Err(refused) => Err(refused.error),
    }
}

/// The bad items with what is wrong with them, the sound ones with why they were not made.
fn refusals(count: usize, items: Vec<ItemProblem>) -> Vec<Result<Enqueued>> {
    let mut answers: Vec<Result<Enqueued>> = (0..count).map(|_| Err(not_made())).collect();
    for item in items {
        if let Some(answer) = answers.get_mut(item.index) {
            *answer = Err(item.problem.into_error());
        }
    }
    answers
}

fn answers<'a>(
    sent: impl ExactSizeIterator<Item = &'a Sent>,
    items: Answers<Item>,
) -> Result<Vec<Result<Enqueued>>> {
    if sent.len() != items.data.len() {
        return Err(missing());
    }
    Ok(sent.zip(items.data).map(|(one, item)| one.read(item)).collect())
}

/// Each on its own, in as many calls as their size takes.
async fn each(client: &RunsClient, sent: &[Sent]) -> Result<Vec<Result<Enqueued>>> {
    let mut answered: Vec<Option<Result<Enqueued>>> = Vec::with_capacity(sent.len());
    let mut bodies = Vec::with_capacity(sent.len());
    for one in sent {
        let body = raw(&one.body)?;
        let fault = one.checked(body.get().len()).err();
        if fault.is_none() {
            bodies.push((one, body));
        }
        answered.push(fault.map(Err));
    }
    let mut made: Vec<Result<Enqueued>> = Vec::with_capacity(bodies.len());
    for (sent, bodies) in chunks(bodies, MAX_BATCH) {
        let answer = match client.send(&batch(&bodies, false)?).await {
            Ok(reply) => reply.read::<Answers<Item>>().and_then(|items| answers(sent.iter().copied(), items)),
            Err(refused) => Err(refused.error),
        };
        match answer {
            Ok(answer) => made.extend(answer),
            // What an earlier call made is made: the others are answered one by one.
            Err(error) if !made.is_empty() => made.extend(sent.iter().map(|_| Err(copy_of(&error)))),
            Err(error) => return Err(error),
        }
    }
    let mut made = made.into_iter();
    let answers =
        answered.into_iter().map(|answer| answer.or_else(|| made.next()).unwrap_or_else(|| Err(missing())));
    Ok(answers.collect())
}
