//! What the contract promises a step's process: its arguments, its input on stdin and in a file, the variables that name
//! its run, and its limit.

use std::path::Path;

use tokio::time::Instant;

use crate::attempt::{Attempt, Place};
use crate::declaration::{CommandTemplate, StepDeclaration};
use crate::leftovers::LeftoverSpec;
use crate::output_file::OutputFile;
use crate::process::CommandSpec;

/// A step's command; why there can be none, and whether there may be one at another time.
pub(crate) fn prepare(
    attempt: &Attempt,
    step: &StepDeclaration,
    command: &CommandTemplate,
    place: &Place<'_>,
    deadline: Option<Instant>,
) -> Result<(CommandSpec, OutputFile), (String, bool)> {
    let hold = &place.held.hold;
    let id = hold.id.to_string();
    let argv = command.render(&attempt.names(step, place)).map_err(|fault| (fault.to_string(), false))?;
    let file = OutputFile::create(place.folders.output(step.ordinal))
        .map_err(|error| (format!("no output file can be made: {error}"), true))?;
    let mut spec = CommandSpec::new(argv, place.folders.work());
    let path = |path: &Path| path.to_string_lossy().into_owned();
    spec.env = [
        ("SPRONGUS_RUN_ID", id.clone()),
        ("SPRONGUS_KIND", place.held.kind.to_string()),
        ("SPRONGUS_ATTEMPT", place.held.attempt.to_string()),
        ("SPRONGUS_EPOCH", hold.epoch.to_string()),
        ("SPRONGUS_STEP", step.name.clone()),
        ("SPRONGUS_INPUT", path(&place.folders.input())),
        ("SPRONGUS_OUTPUT", path(file.path())),
        ("SPRONGUS_PROJECT_DIR", path(&attempt.project_dir)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    spec.stdin.clone_from(&attempt.text);
    let left = deadline.map(|end| end.saturating_duration_since(Instant::now()));
    spec.timeout = [step.timeout, left].into_iter().flatten().min();
    let folder = place.tools.scratch.join("leftovers");
    spec.leftover = Some(LeftoverSpec { folder, run_id: id.clone(), epoch: hold.epoch });
    Ok((spec, file))
}
