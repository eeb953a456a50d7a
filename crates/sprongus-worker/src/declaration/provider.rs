//! `[providers.<name>]`: a place that answers AI actions.

use std::collections::BTreeMap;
use std::time::Duration;

use sprongus_core::secrets::SecretRef;
use url::Url;

use super::fault::DeclarationFault;
use super::node::{Fields, Node};
use crate::secrets::names::refuse_own;

const KEYS: [&str; 9] = [
    "base_url",
    "model",
    "api_key",
    "timeout",
    "max_retries",
    "stream_options",
    "max_tokens_field",
    "strict",
    "response_format",
];

/// How long nothing may come, where nothing is declared.
const TIMEOUT: Duration = Duration::from_secs(60);

/// How often a call is repeated, where nothing is declared.
const MAX_RETRIES: u32 = 4;

const LONGEST_MODEL: usize = 256;

/// A server of models.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProviderDeclaration {
    /// Where its API begins: http or https, with a host, without credentials, query and fragment.
    pub base_url: String,
    /// The model, for steps that name none.
    pub model: Option<String>,
    /// The reference to its key, `secret://env/…` or `secret://file/…`; never the key.
    pub api_key: Option<String>,
    /// The longest silence between two pieces of an answer.
    pub timeout: Duration,
    /// How often a call that may be repeated is repeated.
    pub max_retries: u32,
    /// How a request is spelt.
    pub dialect: Dialect,
}

/// What servers differ in. A server that refuses a request for one of these is asked once more without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dialect {
    /// Whether the stream is asked to end with the tokens it used, by `stream_options`.
    pub stream_options: bool,
    /// The name under which `max_tokens` is sent.
    pub max_tokens: MaxTokensField,
    /// Whether a schema is sent as `strict`.
    pub strict: bool,
    /// Whether a schema is sent as `response_format`. Otherwise it is a part of the prompt.
    pub response_format: bool,
}

/// The name of the most tokens of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaxTokensField {
    /// As `max_tokens`.
    MaxTokens,
    /// `max_completion_tokens`, as OpenAI's newer models want it.
    MaxCompletionTokens,
}

impl MaxTokensField {
    /// The name itself.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MaxTokens => "max_tokens",
            Self::MaxCompletionTokens => "max_completion_tokens",
        }
    }
}

/// All of a file, by name.
pub(super) fn read_all(
    root: &Fields<'_, '_>,
) -> Result<BTreeMap<String, ProviderDeclaration>, DeclarationFault> {
    let Some(node) = root.get("providers") else { return Ok(BTreeMap::new()) };
    let fields = node.fields("tables such as [providers.local]")?;
    let read = |(name, node): (&str, Node<'_, '_>)| {
        let table = node.fields("a table such as [providers.local] with base_url = \"http://…\"")?;
        Ok((name.to_owned(), read(&table)?))
    };
    fields.entries().into_iter().map(read).collect()
}

fn read(fields: &Fields<'_, '_>) -> Result<ProviderDeclaration, DeclarationFault> {
    fields.only(&KEYS)?;
    let Some(base_url) = fields.get("base_url") else {
        return Err(fields.fault("expected `base_url = \"http://…\"`"));
    };
    let timeout = fields.get("timeout").map(|node| node.span_of_time(super::LONGEST)).transpose()?;
    let max_retries = fields.get("max_retries").map(|node| node.integer(0, 100)).transpose()?;
    Ok(ProviderDeclaration {
        base_url: url(&base_url)?,
        model: fields.get("model").map(|node| model(&node)).transpose()?,
        api_key: fields.get("api_key").map(|node| api_key(&node)).transpose()?,
        timeout: timeout.unwrap_or(TIMEOUT),
        max_retries: max_retries.unwrap_or(MAX_RETRIES),
        dialect: dialect(fields)?,
    })
}

fn dialect(fields: &Fields<'_, '_>) -> Result<Dialect, DeclarationFault> {
    let flag = |name| fields.get(name).map(|node| node.boolean()).transpose();
    let field = |node: Node<'_, '_>| {
        [MaxTokensField::MaxTokens, MaxTokensField::MaxCompletionTokens]
            .into_iter()
            .find(|field| node.text("a field name").is_ok_and(|text| text == field.as_str()))
            .ok_or_else(|| node.fault("expected \"max_tokens\" or \"max_completion_tokens\""))
    };
    Ok(Dialect {
        stream_options: flag("stream_options")?.unwrap_or(true),
        max_tokens: fields
            .get("max_tokens_field")
            .map(field)
            .transpose()?
            .unwrap_or(MaxTokensField::MaxTokens),
        strict: flag("strict")?.unwrap_or(true),
        response_format: flag("response_format")?.unwrap_or(true),
    })
}

/// The faults of it never echo what stands there: people write keys into addresses.
fn url(node: &Node<'_, '_>) -> Result<String, DeclarationFault> {
    let refuse = |problem: &str| node.fault(problem);
    let text = node.text("a URL").map_err(|_| refuse("expected an http or https URL in quotes"))?;
    let url = Url::parse(text).map_err(|error| node.fault(format!("is not a URL: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(refuse("expected an http or https URL, such as \"http://localhost:11434/v1\""));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refuse("a URL must not contain credentials: use `api_key = \"secret://env/NAME\"`"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refuse("a URL must end with its path, without `?` and `#`"));
    }
    Ok(text.to_owned())
}

/// A model's name, of a provider or of a step.
pub(super) fn model(node: &Node<'_, '_>) -> Result<String, DeclarationFault> {
    let text = node.text("a model name")?;
    if text.trim().is_empty() || text.len() > LONGEST_MODEL || text.chars().any(char::is_control) {
        return Err(node.fault(format!("expected a model name: 1 to {LONGEST_MODEL} printable characters")));
    }
    Ok(text.to_owned())
}

fn api_key(node: &Node<'_, '_>) -> Result<String, DeclarationFault> {
    // What stands here instead of a reference is a key, so it must not be shown.
    let text = node.text("a reference").ok().filter(|text| SecretRef::parse(text).is_some());
    let expected = "expected a reference, `secret://env/NAME` or `secret://file/NAME`; never put a key in this file (and replace one that was)";
    let text = text.ok_or_else(|| node.fault(expected))?;
    SecretRef::parse(text).map_or(Ok(()), refuse_own).map_err(|why| node.fault(why))?;
    Ok(text.to_owned())
}
