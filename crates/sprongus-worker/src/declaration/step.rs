//! The steps of a kind.

use std::fmt;
use std::time::Duration;

use super::fault::DeclarationFault;
use super::node::Node;
use super::suggestion::nearest;
use crate::template::{Template, TemplateContext, TemplateFault};

const KEYS: [&str; 7] = ["phase", "name", "type", "run", "timeout", "once", "continue_on_error"];
/// Keys of the step types that this version does not run: their type is the thing to speak about, not they.
const KEYS_OF_OTHER_TYPES: [&str; 6] = ["provider", "model", "prompt", "system", "approval", "paths"];
const PHASES: [&str; 4] = ["setup", "execution", "validation", "cleanup"];
const LONGEST_NAME: usize = 128;
const MOST_STEPS: usize = 100;
const MOST_ELEMENTS: usize = 1000;

/// When in an attempt a step runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// First.
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

/// One step.
#[derive(Debug)]
#[non_exhaustive]
pub struct StepDeclaration {
    /// The place in the order of execution, from 0.
    pub ordinal: u32,
    /// The phase.
    pub phase: Phase,
    /// The name, unique in the kind.
    pub name: String,
    /// What the step does.
    pub action: StepAction,
    /// The limit for this step.
    pub timeout: Option<Duration>,
    /// Whether a retry keeps the output of a completed one instead of repeating it.
    pub once: bool,
    /// Whether the run goes on when the step fails.
    pub continue_on_error: bool,
}

/// What a step does.
#[derive(Debug)]
#[non_exhaustive]
pub enum StepAction {
    /// Runs a program.
    Command(CommandTemplate),
}

/// An argv whose elements are templates; it has at least the program.
#[derive(Debug)]
pub struct CommandTemplate(Vec<Template>);

impl CommandTemplate {
    /// The elements, the program first.
    #[must_use]
    pub fn elements(&self) -> &[Template] {
        &self.0
    }

    /// Renders the argv; each element stays one.
    ///
    /// # Errors
    ///
    /// The first element's fault; the program must not render to nothing.
    pub fn render(&self, context: &TemplateContext) -> Result<Vec<String>, TemplateFault> {
        let argv = self.0.iter().map(|template| template.render(context)).collect::<Result<Vec<_>, _>>()?;
        match argv.first() {
            Some(program) if !program.is_empty() => Ok(argv),
            _ => Err(TemplateFault::Evaluation {
                expression: self.0.first().map_or("", Template::source).to_owned(),
                reason: "the name of the program is empty".to_owned(),
            }),
        }
    }
}

/// The one step of a kind with a `command`.
pub(super) fn of_command(node: &Node<'_, '_>) -> Result<StepDeclaration, DeclarationFault> {
    Ok(StepDeclaration {
        ordinal: 0,
        phase: Phase::Execution,
        name: "command".to_owned(),
        action: StepAction::Command(argv(node, &[])?),
        timeout: None,
        once: false,
        continue_on_error: false,
    })
}

/// All steps, in the order in which they run: by phase, and inside a phase as written.
pub(super) fn read_all(node: &Node<'_, '_>) -> Result<Vec<StepDeclaration>, DeclarationFault> {
    let nodes = node.items("steps, [[kinds.\"…\".steps]]")?;
    if nodes.is_empty() || nodes.len() > MOST_STEPS {
        return Err(node.fault(format!("expected 1 to {MOST_STEPS} steps, found {}", nodes.len())));
    }
    let mut heads: Vec<(Phase, String, &Node<'_, '_>)> = Vec::new();
    for node in &nodes {
        let (phase, name) = head(node)?;
        if heads.iter().any(|(_, other, _)| *other == name) {
            let name_node = node.fields("a step")?.get("name");
            let problem = format!("there is another step named {name:?} in this kind");
            return Err(name_node.as_ref().unwrap_or(node).fault(problem));
        }
        heads.push((phase, name, node));
    }
    heads.sort_by_key(|(phase, _, _)| *phase);
    let mut steps = Vec::new();
    let mut earlier: Vec<&str> = Vec::new();
    for ((phase, name, node), ordinal) in heads.iter().zip(0..) {
        steps.push(body(ordinal, *phase, name, node, &earlier)?);
        earlier.push(name);
    }
    Ok(steps)
}

/// Phase and name, and the checks that do not need the other steps.
fn head(node: &Node<'_, '_>) -> Result<(Phase, String), DeclarationFault> {
    let fields = node.fields("a table with phase, name, type and run")?;
    match fields.get("type") {
        None => return Err(fields.fault("expected a type, `type = \"command\"`")),
        Some(kind) => match kind.text("a type, \"command\"")?.to_ascii_lowercase().as_str() {
            "command" => {}
            other @ ("ai_action" | "gate" | "artifact") => {
                let problem =
                    format!("{other} steps are not available yet: this version runs command steps only");
                return Err(kind.fault(problem));
            }
            other => return Err(kind.fault(format!("expected \"command\", found {other:?}"))),
        },
    }
    if let Some(key) = KEYS_OF_OTHER_TYPES.into_iter().find(|key| fields.get(key).is_some()) {
        return Err(fields.key_fault(key, "a command step has no such key"));
    }
    fields.only(&KEYS)?;
    let Some(phase) = fields.get("phase") else {
        return Err(fields.fault(format!("expected a phase, one of {}", PHASES.join(", "))));
    };
    let text = phase.text("a phase")?;
    let phase = match text.to_ascii_lowercase().as_str() {
        "setup" => Phase::Setup,
        "execution" => Phase::Execution,
        "validation" => Phase::Validation,
        "cleanup" => Phase::Cleanup,
        other => {
            let near =
                nearest(other, PHASES).map(|near| format!(", did you mean {near}?")).unwrap_or_default();
            return Err(phase.fault(format!("expected one of {}, found {text:?}{near}", PHASES.join(", "))));
        }
    };
    let Some(name) = fields.get("name") else { return Err(fields.fault("expected a name")) };
    let text = name.text("a step's name")?;
    if text.trim().is_empty()
        || text.trim() != text
        || text.len() > LONGEST_NAME
        || text.chars().any(char::is_control)
    {
        let problem =
            format!("expected 1 to {LONGEST_NAME} printable characters without white space around them");
        return Err(name.fault(problem));
    }
    Ok((phase, text.to_owned()))
}

fn body(
    ordinal: u32,
    phase: Phase,
    name: &str,
    node: &Node<'_, '_>,
    earlier: &[&str],
) -> Result<StepDeclaration, DeclarationFault> {
    let fields = node.fields("a step")?;
    let Some(run) = fields.get("run") else {
        return Err(fields.fault("a command step needs `run = [\"program\", \"argument\"]`"));
    };
    let flag = |name| fields.get(name).map_or(Ok(false), |node| node.boolean());
    Ok(StepDeclaration {
        ordinal,
        phase,
        name: name.to_owned(),
        action: StepAction::Command(argv(&run, earlier)?),
        timeout: fields.get("timeout").map(|node| node.span_of_time(super::LONGEST)).transpose()?,
        once: flag("once")?,
        continue_on_error: flag("continue_on_error")?,
    })
}

fn argv(node: &Node<'_, '_>, earlier: &[&str]) -> Result<CommandTemplate, DeclarationFault> {
    let items = node.items(
        "an array such as [\"program\", \"argument\"]: no shell reads it, so each argument is apart",
    )?;
    if items.is_empty() || items.len() > MOST_ELEMENTS {
        return Err(node.fault(format!("expected the program and at most {MOST_ELEMENTS} elements")));
    }
    let mut templates = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let text = item.text("a text")?;
        if index == 0 && text.is_empty() {
            return Err(item.fault("expected a program, found \"\""));
        }
        let template = Template::compile(text).map_err(|fault| item.fault(fault.to_string()))?;
        template.names_used().check(earlier).map_err(|fault| item.fault(fault.to_string()))?;
        templates.push(template);
    }
    Ok(CommandTemplate(templates))
}
