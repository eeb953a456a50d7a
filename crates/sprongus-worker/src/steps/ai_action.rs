//! Asks a model: a step of type `ai_action`. What is asked is rendered here, and what comes of it judged; the asking itself is in
//! [`crate::ai`].

use sprongus_core::run::step::Step;

use crate::ai::{AskFailure, Connection, Conversation, Question};
use crate::declaration::AiActionDeclaration;
use crate::execution::recorder::repeated;
use crate::process::StopReason;
use crate::steps::attempt::Attempt;
use crate::steps::context::StepContext;
use crate::steps::log::StepLog;
use crate::steps::outcome::StepOutcome;
use crate::template::TemplateFault;

/// How the asking ended.
enum Asked {
    Answered(Result<(), AskFailure>),
    TimedOut,
    Stopped(StopReason),
}

/// Executes the step; its key was handed out to the attempt before.
pub(crate) async fn execute(
    attempt: &Attempt,
    declared: &AiActionDeclaration,
    context: &StepContext<'_>,
) -> StepOutcome {
    let step = context.step;
    let question = match render(attempt, declared, context) {
        Ok(question) => question,
        Err(fault) => return StepOutcome::failed(attempt.failure(step, &fault.to_string(), false)),
    };
    let key = declared.provider.api_key.as_ref().and_then(|reference| attempt.secret(reference));
    let connection = match Connection::new(&declared.provider, key) {
        Ok(connection) => connection,
        Err(AskFailure { error, retryable }) => {
            return StepOutcome::failed(attempt.failure(step, &error, retryable));
        }
    };
    let budget = attempt.kind().token_budget;
    let timed_out = context.until_timed_out();
    let mut log = StepLog::new(context, attempt.masks(), attempt.budget());
    let mut talk = Conversation::new(&mut log);
    let asking = async {
        if let Some(limit) = budget {
            talk.tokens.limit(limit, used_by(context).await?);
        }
        talk.ask(&connection, &question).await
    };
    let asked = tokio::select! {
        biased;
        reason = context.until_stopped() => Asked::Stopped(reason),
        () = timed_out => Asked::TimedOut,
        answer = asking => Asked::Answered(answer),
    };
    let (output, tokens) = talk.end().await;
    log.end().await;
    let failure = match asked {
        Asked::Answered(Ok(())) => None,
        Asked::Answered(Err(AskFailure { error, retryable })) => {
            Some(attempt.failure(step, &error, retryable))
        }
        Asked::TimedOut => Some(attempt.timed_out(step, context.deadline)),
        Asked::Stopped(reason) => Some(attempt.stopped(step, reason)),
    };
    let (tokens_in, tokens_out) = (tokens.given, tokens.back);
    StepOutcome { output: Some(output), tokens_in, tokens_out, failure, ..StepOutcome::default() }
}

/// What is asked knows the input as it was enqueued and outputs as they are shown: no prompt can name a secret.
fn render<'d>(
    attempt: &Attempt,
    declared: &'d AiActionDeclaration,
    context: &StepContext<'_>,
) -> Result<Question<'d>, TemplateFault> {
    let names = attempt.public_names(context.step, context.active);
    Ok(Question {
        model: &declared.model,
        system: declared.system.as_ref().map(|text| text.render(&names)).transpose()?,
        prompt: declared.prompt.render(&names)?,
        temperature: declared.temperature,
        max_tokens: declared.max_tokens,
        schema: declared.schema.as_ref(),
    })
}

/// The tokens that all steps of the run have used so far, in every attempt.
async fn used_by(context: &StepContext<'_>) -> Result<u64, AskFailure> {
    context.recorder.flush().await;
    let runs = &context.tools.runs;
    let steps = repeated(context.active, || runs.steps(context.active.hold.id)).await;
    let steps = steps.map_err(|error| AskFailure {
        error: format!("cannot read the tokens used so far: {}", error.message()),
        retryable: true,
    })?;
    let of = |step: &Step| step.tokens_in.unwrap_or(0).saturating_add(step.tokens_out.unwrap_or(0));
    Ok(steps.iter().fold(0, |sum: u64, step| sum.saturating_add(of(step))))
}
