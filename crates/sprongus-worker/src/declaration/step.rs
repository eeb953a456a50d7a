//! The steps of a kind: what they have in common. What each type has of its own is in a file of its own below.

mod ai_action;
mod artifact;
mod command;
mod gate;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use super::fault::DeclarationFault;
use super::node::{Fields, Node};
use super::provider::ProviderDeclaration;
use super::suggestion::nearest;
use crate::template::{Condition, Template};

pub use ai_action::AiActionDeclaration;
pub use artifact::ArtifactDeclaration;
pub use command::CommandTemplate;
pub use gate::GateDeclaration;

/// Keys that a step of any type has.
const COMMON: [&str; 7] = ["phase", "name", "type", "timeout", "once", "continue_on_error", "if"];
const PHASES: [&str; 4] = ["setup", "execution", "validation", "cleanup"];
const LONGEST_NAME: usize = 128;
const MOST_STEPS: usize = 100;

/// When in an attempt a step runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Makes ready; the first phase.
    Setup,
    /// Then the work itself.
    Execution,
    /// Then what judges it.
    Validation,
    /// At the end of every attempt, however it ended.
    Cleanup,
}

impl Phase {
    /// The name as JSON and `sprongus.toml` have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Setup => "setup",
            Self::Execution => "execution",
            Self::Validation => "validation",
            Self::Cleanup => "cleanup",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A step of a kind, as `sprongus.toml` declares it.
#[derive(Debug)]
#[non_exhaustive]
pub struct StepDeclaration {
    /// The place in the order of execution, from 0.
    pub ordinal: u32,
    /// When it has its turn: phases run in the order SETUP, EXECUTION, VALIDATION, CLEANUP.
    pub phase: Phase,
    /// The name, unique in the kind.
    pub name: String,
    /// What the step does.
    pub action: StepAction,
    /// Where it runs only when this holds.
    pub condition: Option<Condition>,
    /// The limit for this step.
    pub timeout: Option<Duration>,
    /// Whether a retry keeps the output of a completed one instead of repeating it.
    pub once: bool,
    /// Whether the run goes on when the step fails.
    pub continue_on_error: bool,
}

/// What a step does.
#[derive(Debug)]
pub enum StepAction {
    /// Runs a program.
    Command(CommandTemplate),
    /// Asks a model.
    AiAction(Box<AiActionDeclaration>),
    /// Lets pass or not.
    Gate(GateDeclaration),
    /// Keeps files.
    Artifact(ArtifactDeclaration),
}

impl StepAction {
    /// Every template of it.
    pub fn templates(&self) -> impl Iterator<Item = &Template> {
        let (many, two): (&[Template], [Option<&Template>; 2]) = match self {
            Self::Command(_) | Self::Gate(_) => (&[], [None, None]),
            Self::AiAction(action) => (&[], [action.system.as_ref(), Some(&action.prompt)]),
            Self::Artifact(artifact) => (&artifact.paths, [None, None]),
        };
        let command = self.command().into_iter().flat_map(CommandTemplate::templates);
        command.chain(many).chain(two.into_iter().flatten())
    }

    /// The command that it runs, if it runs one.
    #[must_use]
    pub fn command(&self) -> Option<&CommandTemplate> {
        match self {
            Self::Command(command) | Self::Gate(GateDeclaration::Command(command)) => Some(command),
            Self::AiAction(_) | Self::Gate(GateDeclaration::Approval { .. }) | Self::Artifact(_) => None,
        }
    }
}

/// What a step may refer to outside of its kind.
#[derive(Clone, Copy)]
pub(super) struct Around<'a> {
    /// The folder of the file.
    pub(super) folder: &'a Path,
    pub(super) providers: &'a BTreeMap<String, ProviderDeclaration>,
    /// The kind's own table.
    pub(super) kind: &'a Fields<'a, 'a>,
}

/// What a step may refer to.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) around: Around<'a>,
    /// The names of the steps before it.
    pub(super) earlier: &'a [&'a str],
}

impl Scope<'_> {
    /// The template that stands at `node`, its names checked.
    pub(super) fn template(self, node: &Node<'_, '_>) -> Result<Template, DeclarationFault> {
        let template =
            Template::compile(node.text("text")?).map_err(|fault| node.fault(fault.to_string()))?;
        template.names_used().check(self.earlier).map_err(|fault| node.fault(fault.to_string()))?;
        Ok(template)
    }

    fn condition(self, node: &Node<'_, '_>) -> Result<Condition, DeclarationFault> {
        let text = node.text("an expression such as \"input.deploy == 'yes'\"")?;
        let condition = Condition::compile(text).map_err(|fault| node.fault(fault.to_string()))?;
        condition.names_used().check(self.earlier).map_err(|fault| node.fault(fault.to_string()))?;
        Ok(condition)
    }
}

/// The types of steps, as a head is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Type {
    Command,
    AiAction,
    Gate,
    Artifact,
}

impl Type {
    const ALL: [Self; 4] = [Self::Command, Self::AiAction, Self::Gate, Self::Artifact];

    fn name(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::AiAction => "ai_action",
            Self::Gate => "gate",
            Self::Artifact => "artifact",
        }
    }

    /// The keys that it has besides the common ones.
    fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Command => &["run", "env", "cwd", "stdin"],
            Self::AiAction => {
                &["provider", "model", "system", "prompt", "temperature", "max_tokens", "schema"]
            }
            Self::Gate => &["run", "approval", "env", "cwd", "stdin"],
            Self::Artifact => &["paths"],
        }
    }
}

/// The one step of a kind with a `command`.
pub(super) fn of_command(
    node: &Node<'_, '_>,
    around: Around<'_>,
) -> Result<StepDeclaration, DeclarationFault> {
    let scope = Scope { around, earlier: &[] };
    Ok(StepDeclaration {
        ordinal: 0,
        phase: Phase::Execution,
        name: "command".to_owned(),
        action: StepAction::Command(command::of_kind_alone(node, scope)?),
        condition: None,
        timeout: None,
        once: false,
        continue_on_error: false,
    })
}

/// All steps, in the order in which they run: by phase, and inside a phase as written.
pub(super) fn read_all(
    node: &Node<'_, '_>,
    around: Around<'_>,
) -> Result<Vec<StepDeclaration>, DeclarationFault> {
    let nodes = node.items("steps, [[kinds.\"…\".steps]]")?;
    if nodes.is_empty() || nodes.len() > MOST_STEPS {
        return Err(node.fault(format!("expected 1 to {MOST_STEPS} steps, found {}", nodes.len())));
    }
    let mut heads: Vec<Head<'_, '_>> = Vec::new();
    for node in &nodes {
        let head = head(node)?;
        if heads.iter().any(|other| other.name == head.name) {
            let name_node = head.fields.get("name");
            let problem = format!("duplicate step name in this kind: {:?}", head.name);
            return Err(name_node.as_ref().unwrap_or(node).fault(problem));
        }
        heads.push(head);
    }
    heads.sort_by_key(|head| head.phase);
    let mut steps = Vec::new();
    let mut earlier: Vec<&str> = Vec::new();
    for (head, ordinal) in heads.iter().zip(0..) {
        steps.push(body(ordinal, head, Scope { around, earlier: &earlier })?);
        earlier.push(&head.name);
    }
    Ok(steps)
}

/// What is known of a step before the others are.
struct Head<'a, 'i> {
    kind: Type,
    phase: Phase,
    name: String,
    fields: Fields<'a, 'i>,
}

/// Type, phase and name, and the checks that do not need the other steps.
fn head<'a, 'i>(node: &Node<'a, 'i>) -> Result<Head<'a, 'i>, DeclarationFault> {
    let fields = node.fields("a table with phase, name, type and run")?;
    let kind = type_of(&fields)?;
    let foreign = Type::ALL
        .into_iter()
        .flat_map(Type::keys)
        .find(|key| fields.get(key).is_some() && !kind.keys().contains(key));
    if let Some(key) = foreign {
        let article = if kind == Type::Command || kind == Type::Gate { "a" } else { "an" };
        return Err(fields.key_fault(key, format!("{article} {} step has no such key", kind.name())));
    }
    let known: Vec<_> = COMMON.iter().chain(kind.keys()).copied().collect();
    fields.only(&known)?;
    let Some(phase) = fields.get("phase") else {
        return Err(fields.fault(format!("expected a phase, one of {}", PHASES.join(", "))));
    };
    let phase = phase_of(&phase)?;
    let Some(name) = fields.get("name") else { return Err(fields.fault("expected a name")) };
    let text = name.text("a step name")?;
    if text.trim().is_empty()
        || text.trim() != text
        || text.len() > LONGEST_NAME
        || text.chars().any(char::is_control)
    {
        let problem =
            format!("expected 1 to {LONGEST_NAME} printable characters without surrounding white space");
        return Err(name.fault(problem));
    }
    Ok(Head { kind, phase, name: text.to_owned(), fields })
}

fn type_of(fields: &Fields<'_, '_>) -> Result<Type, DeclarationFault> {
    let names = Type::ALL.map(Type::name);
    let Some(node) = fields.get("type") else {
        return Err(fields.fault(format!("expected a type, one of {}", names.join(", "))));
    };
    let text = node.text("a type")?;
    let word = text.to_ascii_lowercase();
    let known = Type::ALL.into_iter().find(|kind| kind.name() == word);
    known.ok_or_else(|| node.fault(one_of(&names, &word, text)))
}

fn phase_of(node: &Node<'_, '_>) -> Result<Phase, DeclarationFault> {
    let text = node.text("a phase")?;
    match text.to_ascii_lowercase().as_str() {
        "setup" => Ok(Phase::Setup),
        "execution" => Ok(Phase::Execution),
        "validation" => Ok(Phase::Validation),
        "cleanup" => Ok(Phase::Cleanup),
        other => Err(node.fault(one_of(&PHASES, other, text))),
    }
}

fn one_of(names: &[&'static str], word: &str, text: &str) -> String {
    let near = nearest(word, names.iter().copied());
    let near = near.map(|near| format!(", did you mean {near}?")).unwrap_or_default();
    format!("expected one of {}, found {text:?}{near}", names.join(", "))
}

fn body(ordinal: u32, head: &Head<'_, '_>, scope: Scope<'_>) -> Result<StepDeclaration, DeclarationFault> {
    let Head { kind, phase, name, fields } = head;
    let action = match kind {
        Type::Command => StepAction::Command(command::read(fields, scope)?),
        Type::AiAction => StepAction::AiAction(Box::new(ai_action::read(fields, scope)?)),
        Type::Gate => StepAction::Gate(gate::read(fields, *phase, scope)?),
        Type::Artifact => StepAction::Artifact(artifact::read(fields, scope)?),
    };
    let flag = |name| fields.get(name).map_or(Ok(false), |node| node.boolean());
    Ok(StepDeclaration {
        ordinal,
        phase: *phase,
        name: name.clone(),
        action,
        condition: fields.get("if").map(|node| scope.condition(&node)).transpose()?,
        timeout: fields.get("timeout").map(|node| node.span_of_time(super::LONGEST)).transpose()?,
        once: flag("once")?,
        continue_on_error: flag("continue_on_error")?,
    })
}
