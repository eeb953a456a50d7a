//! What one response has told so far, and how it ended.

use serde_json::Value;
use sprongus_core::values::text::clip;

use super::failure::CallFailure;
use super::refusal::{cannot_pass, one_line, words_of};

/// The longest answer.
const LONGEST_CONTENT: usize = 4 * 1024 * 1024;

/// How much of a model's or a server's words is shown.
const SHOWN: usize = 500;

/// Reasons with which servers say that an answer is whole; case does not matter.
const WHOLE: &[&str] = &[
    "stop",
    "eos",
    "eos_token",
    "end_turn",
    "stop_sequence",
    "stop_token",
    "complete",
    "completed",
    "done",
    "end",
    "finished",
];

/// … that it has as many tokens as it may.
const TOO_LONG: &[&str] = &[
    "length",
    "max_tokens",
    "max_length",
    "max_output_tokens",
    "max_completion_tokens",
    "model_length",
    "token_limit",
    "model_context_window_exceeded",
];

/// … that it is withheld.
const FILTERED: &[&str] = &[
    "content_filter",
    "content_filtered",
    "safety",
    "recitation",
    "blocklist",
    "prohibited_content",
    "spii",
    "guardrail_intervened",
    "refusal",
    "sensitive",
    "error_toxic",
];

/// … that a tool is to be called.
const TOOLS: &[&str] = &["tool_calls", "tool_call", "tool_use", "function_call"];

/// … that something went wrong that may pass.
const BROKEN: &[&str] = &[
    "error",
    "abort",
    "aborted",
    "cancel",
    "canceled",
    "cancelled",
    "interrupted",
    "timeout",
    "network_error",
    "server_error",
    "overloaded",
    "insufficient_system_resource",
];

/// How an answer that came to its end ended.
#[derive(Debug)]
pub(super) enum Ending {
    Whole,
    /// There is no answer, and why.
    None(&'static str),
    /// It had as many tokens as it may, as the reason says.
    TooLong(String),
    Filtered(String),
    Refused(String),
    /// Something went wrong that may pass.
    Broken(String),
    /// A reason that nobody knows.
    Unknown(String),
}

/// The content so far, and what was said about it.
#[derive(Debug, Default)]
pub(super) struct Reply {
    pub(super) content: String,
    /// As it was told last; servers that tell it with every piece tell sums.
    pub(super) usage: Option<Value>,
    refusal: String,
    has_reasoning: bool,
    has_tools: bool,
    finish_reason: Option<String>,
    done: bool,
}

impl Reply {
    /// Takes an event; gives back where in the content its own begins.
    pub(super) fn take(&mut self, event: &[u8]) -> Result<usize, CallFailure> {
        let event = event.trim_ascii();
        // An empty event keeps the connection alive.
        if event.is_empty() {
            return Ok(self.content.len());
        }
        if event == b"[DONE]" {
            self.done = true;
            return Ok(self.content.len());
        }
        let Ok(chunk) = serde_json::from_slice::<Value>(event) else {
            return Err(CallFailure::transient("the model server sent an unknown event"));
        };
        self.take_json(&chunk)
    }

    /// Takes a piece of an answer, or a whole one. Every field may be missing: servers differ in all of them.
    pub(super) fn take_json(&mut self, chunk: &Value) -> Result<usize, CallFailure> {
        let begin = self.content.len();
        if let Some(error) = error_of(chunk) {
            return Err(broken_off(error));
        }
        let choice = chunk.get("choices").and_then(|choices| choices.get(0));
        // With the choice at Moonshot, in a corner of its own at Groq.
        let usage = [Some(chunk), choice, chunk.get("x_groq")].into_iter().flatten();
        if let Some(usage) = usage.filter_map(|place| place.get("usage")).find(|usage| usage.is_object()) {
            self.usage = Some(usage.clone());
        }
        let Some(choice) = choice else { return Ok(begin) };
        if let Some(error) = choice.get("error").filter(|error| !error.is_null()) {
            return Err(broken_off(error));
        }
        // Where other servers have none yet, some send an empty reason or the word.
        let reason = choice
            .get("finish_reason")
            .and_then(Value::as_str)
            .filter(|reason| !matches!(*reason, "" | "null"));
        self.finish_reason = reason.map(str::to_owned).or(self.finish_reason.take());
        let message = ["delta", "message"]
            .into_iter()
            .find_map(|name| choice.get(name).filter(|message| message.is_object()));
        let message = message.unwrap_or(choice);
        for name in ["content", "text"] {
            if let Some(content) = message.get(name) {
                self.take_content(content);
            }
        }
        self.refusal.push_str(message.get("refusal").and_then(Value::as_str).unwrap_or_default());
        let is_there = |name: &str| match message.get(name) {
            Some(Value::String(text)) => !text.is_empty(),
            Some(Value::Array(items)) => !items.is_empty(),
            Some(Value::Object(_)) => true,
            Some(Value::Null | Value::Bool(_) | Value::Number(_)) | None => false,
        };
        self.has_reasoning |=
            ["reasoning_content", "reasoning", "reasoning_details", "thinking"].into_iter().any(is_there);
        self.has_tools |= ["tool_calls", "function_call"].into_iter().any(is_there);
        if self.content.len() > LONGEST_CONTENT || self.refusal.len() > LONGEST_CONTENT {
            return Err(CallFailure::permanent("the answer is longer than 4 MiB"));
        }
        Ok(begin)
    }

    /// A text, or a list of parts of which those with text count.
    fn take_content(&mut self, content: &Value) {
        match content {
            Value::String(text) => self.content.push_str(text),
            Value::Array(parts) => parts.iter().for_each(|part| self.take_content(part)),
            Value::Object(part) => match part.get("type").and_then(Value::as_str) {
                Some("thinking" | "reasoning") => self.has_reasoning = true,
                Some("refusal") => {
                    self.refusal.push_str(part.get("refusal").and_then(Value::as_str).unwrap_or_default());
                }
                Some(_) | None => {
                    if let Some(text) = part.get("text").and_then(Value::as_str) {
                        self.content.push_str(text);
                    }
                }
            },
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Nothing more is to come: the whole answer came at once.
    pub(super) fn close(&mut self) {
        self.done = true;
    }

    /// Whether nothing more is to come.
    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    /// Whether the answer has ended, though more may be told about it.
    pub(super) fn is_finished(&self) -> bool {
        self.finish_reason.is_some()
    }

    /// How the answer ended; none when it was broken off.
    pub(super) fn ending(&self) -> Option<Ending> {
        if !self.refusal.is_empty() {
            return Some(Ending::Refused(clip(&one_line(&self.refusal), SHOWN)));
        }
        let Some(reason) = &self.finish_reason else { return self.done.then(|| self.answered(false)) };
        let is = |list: &[&str]| list.iter().any(|known| known.eq_ignore_ascii_case(reason));
        let cut = || clip(reason, 64);
        Some(if is(WHOLE) {
            self.answered(false)
        } else if is(TOOLS) {
            self.answered(true)
        } else if is(TOO_LONG) {
            Ending::TooLong(cut())
        } else if is(FILTERED) {
            Ending::Filtered(cut())
        } else if is(BROKEN) {
            Ending::Broken(cut())
        } else {
            Ending::Unknown(cut())
        })
    }

    /// An answer, if there is one.
    fn answered(&self, for_tools: bool) -> Ending {
        let empty = self.content.trim().is_empty();
        if for_tools || empty && self.has_tools {
            return Ending::None("the model called a tool, but this step has none");
        }
        if empty && self.has_reasoning {
            return Ending::None("the model returned reasoning but no answer");
        }
        if empty { Ending::None("the model returned an empty answer") } else { Ending::Whole }
    }
}

/// The error that stands in place of a piece of an answer: `{"error": …}`, `{"object": "error", …}`, `{"type": "error", …}`, or
/// words without choices.
fn error_of(chunk: &Value) -> Option<&Value> {
    if let Some(error) = chunk.get("error").filter(|error| !matches!(error, Value::Null | Value::Bool(false)))
    {
        return Some(if error.is_object() { error } else { chunk });
    }
    let is_error =
        ["object", "type"].into_iter().any(|name| chunk.get(name).is_some_and(|kind| kind == "error"));
    let has_words = ["message", "detail", "code", "errors"].into_iter().any(|name| chunk.get(name).is_some());
    (is_error || has_words && chunk.get("choices").is_none()).then_some(chunk)
}

/// What an error in place of an answer means.
pub(super) fn broken_off(error: &Value) -> CallFailure {
    let why = format!("the model server stopped: {}", words_of(error));
    if cannot_pass(error) { CallFailure::permanent(why) } else { CallFailure::transient(why) }
}
