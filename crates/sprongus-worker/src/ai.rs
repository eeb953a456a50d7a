//! One question to a model: `POST {base_url}/chat/completions` of an OpenAI-compatible server, streamed into the step's log, and
//! repeated while what went wrong may pass.
//!
//! [`Conversation`] holds what is known so far, so that a stop in the middle, which drops [`Conversation::ask`], loses neither
//! the lines that came nor the tokens that were told. Why it is written by hand: `docs/decisions/0017-model-calls.md`.

mod connection;
mod events;
mod exchange;
mod failure;
mod question;
mod refusal;
mod reply;
mod retries;
mod tokens;

use sprongus_core::run::step::Stream;
use tokio::time::sleep;

use crate::execution::recorder::now;
use crate::process::{Head, LineCutter, StepOutput};
use crate::steps::log::StepLog;
use exchange::exchange;
use failure::CallFailure;
use reply::{Ending, Reply};
use retries::Retries;
use sprongus_core::values::duration::format_duration;

pub(crate) use connection::Connection;
pub(crate) use question::Question;
pub(crate) use tokens::Tokens;

/// Why a question has no answer.
#[derive(Debug)]
pub(crate) struct AskFailure {
    pub(crate) error: String,
    pub(crate) retryable: bool,
}

impl AskFailure {
    fn lasting(error: impl Into<String>) -> Self {
        Self { error: error.into(), retryable: false }
    }
}

/// A question on its way, and what has come of it.
pub(crate) struct Conversation<'l, 'a> {
    log: &'l mut StepLog<'a>,
    cutter: LineCutter,
    reply: Reply,
    pub(crate) tokens: Tokens,
}

impl<'l, 'a> Conversation<'l, 'a> {
    pub(crate) fn new(log: &'l mut StepLog<'a>) -> Self {
        Self { log, cutter: LineCutter::default(), reply: Reply::default(), tokens: Tokens::default() }
    }

    /// Asks until there is an answer, or none to be had.
    pub(crate) async fn ask(
        &mut self,
        connection: &Connection,
        question: &Question<'_>,
    ) -> Result<(), AskFailure> {
        let mut retries = Retries::new(connection.max_retries);
        let (mut misfit, mut dialect) = (None, connection.dialect);
        loop {
            self.tokens.admit().map_err(AskFailure::lasting)?;
            self.reply = Reply::default();
            let body = question.body(dialect, misfit.as_ref());
            let ended = exchange(connection, dialect, body, self).await;
            self.finish_line().await;
            self.count().await;
            self.tokens.check().map_err(AskFailure::lasting)?;
            let (why, pause) = match ended {
                Ok(Ending::Whole) => match question.judge(&self.reply.content) {
                    Ok(()) => {
                        if self.tokens.are_unknown() {
                            self.log.say("[the model server reported no token counts]").await;
                        }
                        return Ok(());
                    }
                    Err(found) if misfit.is_none() && retries.are_left() => {
                        let why = found.to_string();
                        misfit = Some(found);
                        (why, retries.at_once())
                    }
                    Err(found) => return Err(AskFailure::lasting(found.to_string())),
                },
                Ok(Ending::None(why)) => return Err(AskFailure::lasting(why)),
                Ok(Ending::TooLong(reason)) => {
                    return Err(AskFailure::lasting(format!(
                        "the answer reached its token limit ({reason}): raise max_tokens, or ask for less"
                    )));
                }
                Ok(Ending::Filtered(reason)) => {
                    let error = format!("the model server's content filter stopped the answer ({reason})");
                    return Err(AskFailure::lasting(error));
                }
                Ok(Ending::Refused(words)) => {
                    return Err(AskFailure::lasting(format!("the model refused: {words}")));
                }
                Ok(Ending::Unknown(reason)) => {
                    let error =
                        format!("the answer ended for an unknown reason and may be incomplete: {reason}");
                    return Err(AskFailure::lasting(error));
                }
                Ok(Ending::Broken(reason)) => {
                    let why = format!("the model server stopped: {reason}");
                    match retries.next(None) {
                        Some(pause) => (why, pause),
                        None => return Err(AskFailure { error: why, retryable: true }),
                    }
                }
                Err(CallFailure::Permanent { why, refused }) => {
                    match refused.and_then(|refused| refusal::without(dialect, &refused)) {
                        // It was not answered, so it cost nothing; a few such steps lead to the end.
                        Some(other) => {
                            dialect = other;
                            self.log.say(&format!("[retrying with other settings: {why}]")).await;
                            continue;
                        }
                        None => return Err(AskFailure::lasting(why)),
                    }
                }
                Err(CallFailure::Transient { why, wait }) => match retries.next(wait) {
                    Some(pause) => (why, pause),
                    None => return Err(AskFailure { error: why, retryable: true }),
                },
            };
            let (pause, count) = (pause, retries.count());
            let when =
                if pause.is_zero() { String::new() } else { format!(" in {}", format_duration(pause)) };
            self.log.say(&format!("[retrying{when} ({count}): {why}]")).await;
            sleep(pause).await;
        }
    }

    /// Prints a piece of the answer, line by line.
    async fn print(&mut self, text: &str) {
        let mut pieces = Vec::new();
        self.cutter.push(text.as_bytes(), |text, continued| pieces.push((text, continued)));
        self.write(pieces).await;
    }

    async fn finish_line(&mut self) {
        let mut pieces = Vec::new();
        self.cutter.finish(|text, continued| pieces.push((text, continued)));
        self.write(pieces).await;
    }

    async fn write(&mut self, pieces: Vec<(String, bool)>) {
        for (text, continued) in pieces {
            if let Some(part) = self.log.join(Stream::Stdout, text, continued) {
                self.log.write(Stream::Stdout, now(), part).await;
            }
        }
    }

    /// Counts what the last response told of its tokens, which it does once however often it told.
    async fn count(&mut self) {
        if let Some(usage) = self.reply.usage.take() {
            for odd in self.tokens.add(&usage) {
                self.log.say(&odd).await;
            }
        }
    }

    /// What has come of it: the answer as the step's output, or as much of the last one as there was, and the tokens.
    pub(crate) async fn end(mut self) -> (StepOutput, Tokens) {
        self.finish_line().await;
        self.count().await;
        let mut head = Head::default();
        head.push(self.reply.content.as_bytes());
        (head.output(), self.tokens)
    }
}
