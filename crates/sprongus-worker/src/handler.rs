//! Kinds that a Rust program executes itself: typed input, any output, and what becomes of errors and panics.

pub(crate) mod artifact_body;
pub(crate) mod context;
pub(crate) mod error;

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sprongus_core::json::{self, Json};
use sprongus_core::run::Outcome;

use crate::execution::{Execute, Executing, Execution, Work, caught};
use crate::handler::context::RunContext;
use crate::handler::error::HandlerError;
use crate::process::{GRACE, StopReason};
use crate::secrets::names::SecretNames;
use crate::secrets::{Masks, may_refer, resolve};

/// A function as the executor of a kind.
pub(crate) struct Handler<F, I> {
    function: Arc<F>,
    /// What an input may refer to.
    secrets: Arc<SecretNames>,
    input: PhantomData<fn(I)>,
}

impl<F, I> Handler<F, I> {
    pub(crate) fn new(function: F, secrets: SecretNames) -> Self {
        Self { function: Arc::new(function), secrets: Arc::new(secrets), input: PhantomData }
    }
}

impl<F, I, O, Fut> Execute for Handler<F, I>
where
    F: Fn(RunContext, I) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<O, HandlerError>> + Send + 'static,
    I: DeserializeOwned + Send + 'static,
    O: Serialize + 'static,
{
    fn execute(&self, work: Work) -> Executing {
        let function = Arc::clone(&self.function);
        let secrets = Arc::clone(&self.secrets);
        Box::pin(async move {
            // A handler puts its things away itself, before it ends; there is nothing left to do for a run that has.
            if work.active.cleanup {
                return Execution::of(Outcome::Release);
            }
            let (input, masks) = match read_input::<I>(&work, &secrets) {
                Ok(read) => read,
                Err(error) => return Execution::failed(error, false),
            };
            let context = RunContext::new(work, masks);
            let answer = tokio::select! {
                biased;
                answer = caught(call(function, context.clone(), input)) => Some(answer),
                () = context.active().until_out_of_patience(GRACE) => None,
                () = context.until_waited_out(GRACE) => None,
            };
            context.end().await;
            if context.waits() { Execution::waits() } else { Execution::of(outcome(&context, answer)) }
        })
    }
}

/// The call is inside the future, so that a panic before the handler's first await is caught like any other. The output
/// is spelt here too: a `Serialize` may panic as well, and need not be `Send`.
async fn call<F, I, O, Fut>(
    function: Arc<F>,
    context: RunContext,
    input: I,
) -> Result<Option<Json>, HandlerError>
where
    F: Fn(RunContext, I) -> Fut,
    Fut: Future<Output = Result<O, HandlerError>>,
    O: Serialize,
{
    let output = function(context.clone(), input).await?;
    spell(&output, context.masks())
}

fn read_input<I: DeserializeOwned>(work: &Work, secrets: &SecretNames) -> Result<(I, Masks), String> {
    let input = &work.run.input;
    let unfit = |error: &dyn fmt::Display| format!("the input does not match the handler: {error}");
    if may_refer(input) {
        let resolved = resolve(input, work.run.kind.as_str(), secrets, work.tools.secrets.as_deref())?;
        let masks = resolved.masks;
        // The reason may quote the value, which is a secret now.
        let read = serde_json::from_value(resolved.input).map_err(|error| masks.text(&unfit(&error)))?;
        return Ok((read, masks));
    }
    let read = serde_json::from_str(input.as_str()).map_err(|error| Masks::default().text(&unfit(&error)))?;
    Ok((read, Masks::default()))
}

fn spell<O: Serialize>(output: &O, masks: &Masks) -> Result<Option<Json>, HandlerError> {
    let unfit = |why: String| HandlerError::permanent(format!("cannot store the output as JSON: {why}"));
    let text = serde_json::to_vec(output).map_err(|error| unfit(error.to_string()))?;
    if text == b"null" {
        return Ok(None);
    }
    let mut value = json::parse_value(&text).map_err(|fault| unfit(fault.detail().to_owned()))?;
    masks.json(&mut value);
    Ok(Some(Json::from_value(value)))
}

type Ended = Result<Result<Option<Json>, HandlerError>, String>;

fn outcome(context: &RunContext, answer: Option<Ended>) -> Outcome {
    let going_down = context.active().stopped() == Some(StopReason::Shutdown);
    let masks = context.masks();
    match answer {
        Some(Ok(Ok(result))) => {
            let output_ref = context.take_output_ref();
            let output_ref = output_ref.map(|reference| masks.data(&reference).unwrap_or(reference));
            Outcome::Succeed { result, output_ref }
        }
        // It ended because it was told to, or had to be ended: no fault of its own, so the attempt is given back.
        Some(Ok(Err(_))) | None if going_down => Outcome::Release,
        Some(Ok(Err(HandlerError { message, retryable, retry_in }))) => {
            Outcome::Fail { error: masks.text(&message), retryable, retry_in }
        }
        Some(Err(panic)) => {
            let error = masks.text(&format!("the handler panicked: {panic}"));
            Outcome::Fail { error, retryable: true, retry_in: None }
        }
        None => Outcome::Release,
    }
}
