//! What is asked, as the body of a request, and whether an answer fits.

use std::fmt;

use serde_json::{Value, json};

use crate::declaration::{Dialect, JsonSchema};

/// A longer answer that did not fit is not sent back to the model.
const LONGEST_SHOWN: usize = 64 * 1024;

/// More violations than this help nobody.
const MOST_VIOLATIONS: usize = 5;

/// A question, rendered.
pub(crate) struct Question<'d> {
    pub(crate) model: &'d str,
    pub(crate) system: Option<String>,
    pub(crate) prompt: String,
    pub(crate) temperature: Option<f64>,
    pub(crate) max_tokens: Option<u32>,
    pub(crate) schema: Option<&'d JsonSchema>,
}

/// An answer that does not fit the schema.
pub(super) struct Misfit {
    answer: String,
    why: String,
}

/// Says where, and never what stands there.
impl fmt::Display for Misfit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "the answer does not match its schema: {}", self.why)
    }
}

impl Question<'_> {
    /// The request. After an answer that did not fit, the model is with_schema so.
    pub(super) fn body(&self, dialect: Dialect, misfit: Option<&Misfit>) -> String {
        let message = |role: &str, content: &str| json!({"role": role, "content": content});
        let mut messages: Vec<_> = self.system.iter().map(|text| message("system", text)).collect();
        let with_schema = self.schema.filter(|_| !dialect.response_format).map(|schema| {
            let prompt = &self.prompt;
            format!(
                "{prompt}\n\nAnswer with JSON that fits this schema and nothing else:\n{}",
                schema.document()
            )
        });
        messages.push(message("user", with_schema.as_deref().unwrap_or(&self.prompt)));
        if let Some(misfit) = misfit {
            if misfit.answer.len() <= LONGEST_SHOWN {
                messages.push(message("assistant", &misfit.answer));
            }
            messages.push(message("user", &format!("{misfit}. Answer again with valid JSON only.")));
        }
        let mut body = json!({
            "model": self.model,
            "messages": messages,
            "stream": true,
        });
        if dialect.stream_options {
            body["stream_options"] = json!({"include_usage": true});
        }
        if let Some(temperature) = self.temperature {
            body["temperature"] = json!(temperature);
        }
        if let Some(max_tokens) = self.max_tokens {
            body[dialect.max_tokens.as_str()] = json!(max_tokens);
        }
        if let Some(schema) = self.schema.filter(|_| dialect.response_format) {
            let mut format = json!({"name": "answer", "schema": schema.document()});
            if dialect.strict {
                format["strict"] = json!(true);
            }
            body["response_format"] = json!({"type": "json_schema", "json_schema": format});
        }
        body.to_string()
    }

    /// Whether an answer fits, where anything is asked of it.
    pub(super) fn judge(&self, answer: &str) -> Result<(), Misfit> {
        let Some(schema) = self.schema else { return Ok(()) };
        let misfit = |why| Misfit { answer: answer.to_owned(), why };
        let value: Value = serde_json::from_str(answer).map_err(|error| {
            misfit(format!("not JSON, at line {} column {}", error.line(), error.column()))
        })?;
        schema.check(&value).map_err(|violations| {
            let shown: Vec<_> = violations.iter().take(MOST_VIOLATIONS).map(ToString::to_string).collect();
            misfit(shown.join("; "))
        })
    }
}
