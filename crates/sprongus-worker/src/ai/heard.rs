//! What one response has told so far.

use serde::Deserialize;
use serde_json::Value;
use sprongus_core::text::excerpt;

use super::exchange::Trouble;

/// The longest answer.
const LONGEST_CONTENT: usize = 4 * 1024 * 1024;

/// How an answer that came whole ended.
#[derive(Debug)]
pub(super) enum Ending {
    Whole,
    /// It had as many tokens as it may.
    TooLong,
    Filtered,
    Refused(String),
}

/// The content so far, and what was said about it.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) content: String,
    /// As it was told last; servers that tell it with every piece tell sums.
    pub(super) usage: Option<Value>,
    refusal: String,
    finish_reason: Option<String>,
    done: bool,
}

// Every field may be missing: servers differ in all of them but these.
#[derive(Deserialize)]
struct Chunk {
    choices: Option<Vec<Choice>>,
    usage: Option<Value>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    delta: Option<Delta>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Delta {
    content: Option<String>,
    refusal: Option<String>,
}

impl Heard {
    /// Takes an event; gives back where in the content its own begins.
    pub(super) fn take(&mut self, event: &[u8]) -> Result<usize, Trouble> {
        let begin = self.content.len();
        if event.trim_ascii() == b"[DONE]" {
            self.done = true;
            return Ok(begin);
        }
        let Ok(chunk) = serde_json::from_slice::<Chunk>(event) else {
            return Err(Trouble::passing("the model server sent an event that is not understood"));
        };
        if let Some(error) = chunk.error.filter(|error| !error.is_null()) {
            let message = super::refusal::message(&error).unwrap_or_default();
            return Err(Trouble::passing(format!("the model server broke off: {message}")));
        }
        self.usage = chunk.usage.filter(|usage| !usage.is_null()).or(self.usage.take());
        let Some(choice) = chunk.choices.into_iter().flatten().next() else { return Ok(begin) };
        self.finish_reason = choice.finish_reason.or(self.finish_reason.take());
        if let Some(delta) = choice.delta {
            self.content.push_str(&delta.content.unwrap_or_default());
            self.refusal.push_str(&delta.refusal.unwrap_or_default());
        }
        if self.content.len() > LONGEST_CONTENT || self.refusal.len() > LONGEST_CONTENT {
            return Err(Trouble::Lasting("the answer is longer than 4 MiB".to_owned()));
        }
        Ok(begin)
    }

    /// Whether nothing more is to come.
    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    /// How the answer ended; none when it was broken off.
    pub(super) fn ending(&self) -> Option<Ending> {
        if !self.refusal.is_empty() {
            return Some(Ending::Refused(excerpt(&self.refusal, 500)));
        }
        match self.finish_reason.as_deref() {
            Some("length") => Some(Ending::TooLong),
            Some("content_filter") => Some(Ending::Filtered),
            // What else servers invent is an end as well.
            Some(_) => Some(Ending::Whole),
            None => self.done.then_some(Ending::Whole),
        }
    }
}
