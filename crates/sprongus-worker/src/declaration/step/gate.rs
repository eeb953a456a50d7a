//! A step that lets pass or not: a command's exit code, or a person's answer.

use std::time::Duration;

use super::command::{CommandTemplate, of_step};
use super::{Phase, Scope};
use crate::declaration::LONGEST;
use crate::declaration::environment;
use crate::declaration::fault::DeclarationFault;
use crate::declaration::node::{Fields, Node};

/// What a gate asks.
#[derive(Debug)]
pub enum GateDeclaration {
    /// A program, whose exit code 0 passes.
    Command(CommandTemplate),
    /// A person, for whom the run waits without a worker.
    Approval {
        /// How long it waits before it fails; without one, until it is answered.
        timeout: Option<Duration>,
    },
}

pub(super) fn read(
    fields: &Fields<'_, '_>,
    phase: Phase,
    scope: Scope<'_>,
) -> Result<GateDeclaration, DeclarationFault> {
    match (fields.get("run"), fields.get("approval")) {
        (Some(run), None) => Ok(GateDeclaration::Command(of_step(fields, &run, scope)?)),
        (None, Some(approval)) => approval_of(fields, &approval, phase),
        (Some(_), Some(_)) => Err(fields.key_fault("approval", "use either run or approval, not both")),
        (None, None) => Err(fields.fault(
            "a gate needs `run = [\"program\", \"argument\"]`, or `approval = { timeout = \"24h\" }`",
        )),
    }
}

fn approval_of(
    fields: &Fields<'_, '_>,
    node: &Node<'_, '_>,
    phase: Phase,
) -> Result<GateDeclaration, DeclarationFault> {
    let approval = node.fields("a table such as { timeout = \"24h\" }, or {} to wait without a limit")?;
    approval.only(&["timeout"])?;
    if let Some(key) = environment::KEYS.into_iter().find(|key| fields.get(key).is_some()) {
        return Err(fields.key_fault(key, "an approval does not run a command"));
    }
    if phase == Phase::Cleanup {
        let problem = "an approval is not allowed in CLEANUP: use setup, execution or validation";
        return Err(fields.key_fault("approval", problem));
    }
    if fields.get("once").is_some() {
        let problem = "an approval cannot be `once`: each attempt asks again";
        return Err(fields.key_fault("once", problem));
    }
    if fields.get("timeout").is_some() {
        let problem = "set the timeout in the approval: `approval = { timeout = \"24h\" }`";
        return Err(fields.key_fault("timeout", problem));
    }
    let timeout = approval.get("timeout").map(|node| node.span_of_time(LONGEST)).transpose()?;
    Ok(GateDeclaration::Approval { timeout })
}
