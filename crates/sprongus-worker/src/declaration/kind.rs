//! One `[kinds."…"]` table.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::environment;
use super::fault::DeclarationFault;
use super::node::{Fields, Node};
use super::provider::ProviderDeclaration;
use super::schema::{self, JsonSchema};
use super::step::{self, Around, Scope, StepDeclaration};
use crate::secrets::names::SecretNames;

const KEYS: [&str; 12] = [
    "command",
    "steps",
    "timeout",
    "max_attempts",
    "backoff",
    "input_schema",
    "token_budget",
    "env",
    "cwd",
    "stdin",
    "secrets",
    "secret_arguments",
];

const MOST_SECRETS: usize = 100;

/// The longest pause that a retry may have anywhere in the system.
const LONGEST_PAUSE: Duration = Duration::from_secs(86_400);

/// A kind: its steps in the order in which they run, and its limits.
#[derive(Debug)]
#[non_exhaustive]
pub struct KindDeclaration {
    /// The kind's name.
    pub name: String,
    /// The steps in phase order; a kind with a `command` has one, an execution step named `command`.
    pub steps: Vec<StepDeclaration>,
    /// The limit for a whole attempt.
    pub timeout: Option<Duration>,
    /// The limit of attempts, where the request gives none.
    pub max_attempts: Option<u32>,
    /// The pauses between attempts.
    pub backoff: BackoffDeclaration,
    /// What the input has to meet.
    pub input_schema: Option<JsonSchema>,
    /// The most tokens that AI actions of a run may use over all its attempts, in and out together.
    pub token_budget: Option<u64>,
    /// The secrets that an input may refer to.
    pub secrets: SecretNames,
    /// Whether a secret may become a command's argument, which every user of the machine can see.
    pub secret_arguments: bool,
}

/// The pauses between attempts: `base`, times `factor` for each further one, at most `max`.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct BackoffDeclaration {
    /// The pause after the first attempt.
    pub base: Duration,
    /// What each further pause is multiplied by.
    pub factor: f64,
    /// The longest pause.
    pub max: Duration,
    /// Whether a pause is drawn at random between nothing and its length.
    pub jitter: bool,
}

impl Default for BackoffDeclaration {
    fn default() -> Self {
        Self { base: Duration::from_secs(2), factor: 2.0, max: Duration::from_secs(300), jitter: true }
    }
}

pub(super) fn read(
    name: &str,
    node: &Node<'_, '_>,
    folder: &Path,
    providers: &BTreeMap<String, ProviderDeclaration>,
) -> Result<KindDeclaration, DeclarationFault> {
    let fields = node.fields("a table with a command or steps")?;
    fields.only(&KEYS)?;
    let around = Around { folder, providers, kind: &fields };
    // A kind without a command would not have it read otherwise.
    environment::read(&fields, Scope { around, earlier: &[] })?;
    let steps = match (fields.get("command"), fields.get("steps")) {
        (Some(command), None) => vec![step::of_command(&command, around)?],
        (None, Some(steps)) => step::read_all(&steps, around)?,
        (Some(_), Some(_)) => {
            return Err(fields.key_fault("steps", "use either a command or steps, not both"));
        }
        (None, None) => return Err(fields.fault("expected `command = [\"program\", \"argument\"]` or steps")),
    };
    let timeout = fields.get("timeout").map(|node| node.span_of_time(super::LONGEST)).transpose()?;
    let max_attempts = fields.get("max_attempts").map(|node| node.integer(1, 100)).transpose()?;
    let backoff = fields.get("backoff").map(|node| backoff(&node)).transpose()?.unwrap_or_default();
    let input_schema = fields.get("input_schema").map(|node| schema::read(&node, folder)).transpose()?;
    let token_budget = fields.get("token_budget").map(|node| node.integer(1, u32::MAX)).transpose()?;
    let (name, token_budget) = (name.to_owned(), token_budget.map(u64::from));
    let secrets = fields.get("secrets").map(|node| secrets(&node)).transpose()?.unwrap_or_default();
    let secret_arguments = fields.get("secret_arguments").map_or(Ok(false), |node| node.boolean())?;
    Ok(KindDeclaration {
        name,
        steps,
        timeout,
        max_attempts,
        backoff,
        input_schema,
        token_budget,
        secrets,
        secret_arguments,
    })
}

fn secrets(node: &Node<'_, '_>) -> Result<SecretNames, DeclarationFault> {
    let expected = "expected an array such as [\"env/SMTP_PASSWORD\", \"file/deploy.key\"]";
    let items = node.items("an array").map_err(|_| node.fault(expected))?;
    if items.len() > MOST_SECRETS {
        return Err(node.fault(format!("expected at most {MOST_SECRETS} secrets, found {}", items.len())));
    }
    let mut names = SecretNames::default();
    for item in &items {
        // What stands there may be the secret itself.
        let expected = || item.fault("expected the name of a secret: env/NAME or file/NAME");
        let name = item.text("").map_err(|_| expected())?;
        names.add(name).map_err(|why| item.fault(why))?;
    }
    Ok(names)
}

fn backoff(node: &Node<'_, '_>) -> Result<BackoffDeclaration, DeclarationFault> {
    let fields: Fields<'_, '_> =
        node.fields("a table such as { base = \"2s\", factor = 2, max = \"5m\" }")?;
    fields.only(&["base", "factor", "max", "jitter"])?;
    let standard = BackoffDeclaration::default();
    let pause = |name| fields.get(name).map(|node| node.span_of_time(LONGEST_PAUSE)).transpose();
    let base = pause("base")?.unwrap_or(standard.base);
    // A base above the standard maximum needs no maximum of its own to be meant.
    let max = pause("max")?.unwrap_or(standard.max.max(base));
    if max < base {
        return Err(fields.key_fault("max", "expected at least as much as base"));
    }
    let factor = fields.get("factor").map(|node| node.number(1.0, 100.0)).transpose()?;
    let jitter = fields.get("jitter").map(|node| node.boolean()).transpose()?;
    Ok(BackoffDeclaration {
        base,
        factor: factor.unwrap_or(standard.factor),
        max,
        jitter: jitter.unwrap_or(standard.jitter),
    })
}
