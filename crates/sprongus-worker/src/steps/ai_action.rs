//! Asks a model: a step of type `ai_action`. What is asked is rendered here, and what comes of it judged; the asking itself is in
//! [`crate::ai`].

use sprongus_core::step::Step;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::ai::{Connection, Conversation, Fault, Question};
use crate::declaration::{AiActionDeclaration, StepDeclaration};
use crate::execution::recorder::repeated;
use crate::process::StopReason;
use crate::secrets::resolve_one;
use crate::steps::attempt::{Attempt, Place};
use crate::steps::log::StepLog;
use crate::steps::outcome::Ended;
use crate::template::TemplateFault;

/// How the asking ended.
enum Asked {
    Answered(Result<(), Fault>),
    TimedOut,
    Stopped(StopReason),
}

/// Executes the step. `deadline` is the end of the whole attempt's time, or of CLEANUP's; the step's own `timeout` counts
/// besides. It ends soon after `stop` has a reason.
pub(crate) async fn execute(
    attempt: &mut Attempt,
    step: &StepDeclaration,
    declared: &AiActionDeclaration,
    place: &Place<'_>,
    deadline: Option<Instant>,
    stop: watch::Receiver<Option<StopReason>>,
) -> Ended {
    let question = match render(attempt, step, declared, place) {
        Ok(question) => question,
        Err(fault) => return Ended::failed(attempt.trouble(step, &fault.to_string(), false)),
    };
    let connection = match connect(attempt, declared, place) {
        Ok(connection) => connection,
        Err(Fault { error, retryable }) => return Ended::failed(attempt.trouble(step, &error, retryable)),
    };
    let budget = attempt.kind.token_budget;
    let until = [step.timeout.map(|limit| Instant::now() + limit), deadline].into_iter().flatten().min();
    let mut log = StepLog::new(step, place, &attempt.masks, &attempt.budget);
    let mut talk = Conversation::new(&mut log);
    let asking = async {
        if let Some(limit) = budget {
            talk.tokens.limit(limit, used_by(place).await?);
        }
        talk.ask(&connection, &question).await
    };
    let asked = tokio::select! {
        biased;
        reason = stopped(stop) => Asked::Stopped(reason),
        () = passed(until) => Asked::TimedOut,
        answer = asking => Asked::Answered(answer),
    };
    let (output, tokens) = talk.end().await;
    log.end().await;
    let trouble = match asked {
        Asked::Answered(Ok(())) => None,
        Asked::Answered(Err(Fault { error, retryable })) => Some(attempt.trouble(step, &error, retryable)),
        Asked::TimedOut => Some(attempt.timed_out(step, deadline)),
        Asked::Stopped(reason) => Some(attempt.stopped(step, reason)),
    };
    Ended { output: Some(output), tokens_in: tokens.given, tokens_out: tokens.back, trouble }
}

/// What is asked knows the input as it was enqueued and outputs as they are shown: no prompt can name a secret.
fn render<'d>(
    attempt: &Attempt,
    step: &StepDeclaration,
    declared: &'d AiActionDeclaration,
    place: &Place<'_>,
) -> Result<Question<'d>, TemplateFault> {
    let names = attempt.public_names(step, place);
    Ok(Question {
        model: &declared.model,
        system: declared.system.as_ref().map(|text| text.render(&names)).transpose()?,
        prompt: declared.prompt.render(&names)?,
        temperature: declared.temperature,
        max_tokens: declared.max_tokens,
        schema: declared.schema.as_ref(),
    })
}

/// The way to the provider, with its key, which is masked from then on.
fn connect(
    attempt: &mut Attempt,
    declared: &AiActionDeclaration,
    place: &Place<'_>,
) -> Result<Connection, Fault> {
    let lasting = |why| {
        let error = format!("provider {:?}: {why}", declared.provider_name);
        Fault { error, retryable: false }
    };
    let resolve = |reference: &String| resolve_one(reference, place.tools.secrets.as_deref());
    let key = declared.provider.api_key.as_ref().map(resolve).transpose().map_err(lasting)?;
    if let Some(key) = &key {
        attempt.masks.add(key);
    }
    Connection::new(&declared.provider, key.as_deref())
}

/// The tokens that all steps of the run have used so far, in every attempt.
async fn used_by(place: &Place<'_>) -> Result<u64, Fault> {
    place.recorder.flush().await;
    let runs = &place.tools.runs;
    let steps = repeated(place.held, || runs.steps(place.held.hold.id)).await;
    let steps = steps.map_err(|error| Fault {
        error: format!("the tokens used so far cannot be read: {}", error.message()),
        retryable: true,
    })?;
    let of = |step: &Step| step.tokens_in.unwrap_or(0).saturating_add(step.tokens_out.unwrap_or(0));
    Ok(steps.iter().fold(0, |sum: u64, step| sum.saturating_add(of(step))))
}

/// Ends when there is a reason to stop.
pub(crate) async fn stopped(mut stop: watch::Receiver<Option<StopReason>>) -> StopReason {
    match stop.wait_for(Option::is_some).await.map(|reason| *reason) {
        Ok(Some(reason)) => reason,
        Ok(None) | Err(_) => std::future::pending().await,
    }
}

/// Ends when the time has come, if there is one.
pub(crate) async fn passed(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => std::future::pending().await,
    }
}
