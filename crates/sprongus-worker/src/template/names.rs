//! The names that a template uses, and which of them any run can have.

use std::collections::BTreeSet;

use super::TemplateFault;
use crate::declaration::suggestion::nearest;

const TOP_LEVEL: [&str; 4] = ["input", "steps", "run", "project_dir"];
const OF_RUN: [&str; 5] = ["id", "attempt", "kind", "epoch", "scheduled_for"];

/// The names that a template uses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamesUsed {
    /// Dotted paths such as `input.path`; a name with a computed part ends before it.
    pub paths: BTreeSet<String>,
    /// Steps, from `steps.name` and `steps["name"]`.
    pub steps: BTreeSet<String>,
}

impl NamesUsed {
    /// Checks what can be known before a run exists: that top-level names are known, and that a step comes
    /// earlier.
    ///
    /// # Errors
    ///
    /// [`TemplateFault::UnknownName`] for the first name that no run can have.
    pub fn check(&self, earlier_steps: &[&str]) -> Result<(), TemplateFault> {
        for path in &self.paths {
            check_path(path)?;
        }
        match self.steps.iter().find(|step| !earlier_steps.contains(&step.as_str())) {
            Some(step) => Err(unknown_step(step, earlier_steps)),
            None => Ok(()),
        }
    }
}

fn check_path(path: &str) -> Result<(), TemplateFault> {
    let unknown = |hint: String| TemplateFault::UnknownName { name: path.to_owned(), hint };
    let mut parts = path.split('.');
    let (first, second, third) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
    match (first, second, third) {
        ("run", Some(name), None) if OF_RUN.contains(&name) => Ok(()),
        ("run", Some(_), _) => Err(unknown(format!("`run` has {}", OF_RUN.join(", ")))),
        ("steps", Some(_), None | Some("output")) => Ok(()),
        ("steps", Some(step), Some(_)) => {
            Err(unknown(format!("a step has its output: `steps.{step}.output`")))
        }
        ("project_dir", Some(_), _) => Err(unknown("`project_dir` is text".to_owned())),
        (name, _, _) if TOP_LEVEL.contains(&name) => Ok(()),
        (name, _, _) => Err(unknown(match nearest(name, TOP_LEVEL) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!(
                "use one of: {}; for a step with a dash in its name, write steps[\"the-name\"].output",
                TOP_LEVEL.join(", ")
            ),
        })),
    }
}

fn unknown_step(step: &str, earlier: &[&str]) -> TemplateFault {
    let hint = match (nearest(step, earlier.iter().copied()), earlier) {
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, []) => "no step comes before this one".to_owned(),
        (None, earlier) => format!("the steps before this one are {}", earlier.join(", ")),
    };
    TemplateFault::UnknownName { name: format!("steps.{step}"), hint }
}
