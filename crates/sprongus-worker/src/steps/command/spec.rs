//! What the contract promises a step's process: its arguments, its input on stdin and in a file, the variables that name
//! its run, those that `sprongus.toml` gives it, and its limit.

use std::path::Path;

use tokio::time::Instant;

use crate::declaration::{CommandTemplate, EnvValue, KindDeclaration, Stdin};
use crate::orphans::OrphanSpec;
use crate::process::CommandSpec;
use crate::steps::attempt::Attempt;
use crate::steps::command::output_file::OutputFile;
use crate::steps::context::StepContext;
use crate::template::{TemplateContext, TemplateFault};

/// A step's command; why there can be none, and whether there may be one at another time. The secrets that it is handed must
/// have been resolved ([`Attempt::hand_out`]).
pub(crate) fn prepare(
    attempt: &Attempt,
    command: &CommandTemplate,
    context: &StepContext<'_>,
) -> Result<(CommandSpec, OutputFile), (String, bool)> {
    let for_good = |why: String| (why, false);
    let StepContext { step, active, tools, folders, .. } = context;
    let hold = &active.hold;
    let id = hold.id.to_string();
    let names = attempt.names(step, active);
    let argv = command.render(&names).map_err(|fault| for_good(fault.to_string()))?;
    if attempt.masks().any() {
        let shown = attempt.shown_names(step, active);
        check_arguments(attempt.kind(), command, &argv, &shown).map_err(for_good)?;
    }
    let given = given(attempt, command, &names).map_err(|fault| for_good(fault.to_string()))?;
    let file = OutputFile::create(folders.output(step.ordinal))
        .map_err(|error| (format!("cannot create the output file: {error}"), true))?;
    let work = folders.work();
    let around = command.environment();
    let cwd = around.cwd.as_ref().map_or_else(|| work.clone(), |cwd| attempt.project_dir().join(cwd));
    let mut spec = CommandSpec::new(argv, cwd);
    let path = |path: &Path| path.to_string_lossy().into_owned();
    spec.env = [
        ("SPRONGUS_RUN_ID", id.clone()),
        ("SPRONGUS_KIND", active.kind.to_string()),
        ("SPRONGUS_ATTEMPT", active.attempt.to_string()),
        ("SPRONGUS_EPOCH", hold.epoch.to_string()),
        ("SPRONGUS_STEP", step.name.clone()),
        ("SPRONGUS_INPUT", path(&folders.input())),
        ("SPRONGUS_OUTPUT", path(file.path())),
        ("SPRONGUS_PROJECT_DIR", path(attempt.project_dir())),
        ("SPRONGUS_WORKDIR", path(&work)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    spec.env.extend(active.scheduled_for.map(|tick| ("SPRONGUS_SCHEDULED_FOR".to_owned(), tick.to_string())));
    spec.env.extend(given);
    spec.stdin = match around.stdin.unwrap_or_default() {
        Stdin::Input => Some(attempt.input_text().to_owned()),
        Stdin::Nothing => None,
    };
    let left = context.deadline.map(|end| end.saturating_duration_since(Instant::now()));
    spec.timeout = [step.timeout, left].into_iter().flatten().min();
    let folder = tools.scratch.join("leftovers");
    spec.orphan = Some(OrphanSpec { folder, run_id: id.clone(), epoch: hold.epoch });
    Ok((spec, file))
}

/// The variables that `sprongus.toml` gives the command.
fn given(
    attempt: &Attempt,
    command: &CommandTemplate,
    names: &TemplateContext,
) -> Result<Vec<(String, String)>, TemplateFault> {
    let value = |(name, value): (&String, &EnvValue)| {
        let value = match value {
            EnvValue::Text(template) => template.render(names)?,
            EnvValue::Secret(reference) => attempt.secret(reference).unwrap_or_default().to_owned(),
        };
        Ok((name.clone(), value))
    };
    command.environment().env.iter().map(value).collect()
}

/// Refuses arguments that a secret has a part in, by comparing them with what they are where names stand for what is shown:
/// references instead of secrets, and masked outputs.
///
/// # Errors
/// A sentence that names the argument and says what to do instead.
pub(crate) fn check_arguments(
    kind: &KindDeclaration,
    command: &CommandTemplate,
    argv: &[String],
    shown: &TemplateContext,
) -> Result<(), String> {
    if kind.secret_arguments {
        return Ok(());
    }
    let differs = |(template, argument): (&crate::template::Template, &String)| {
        template.render(shown).as_ref() != Ok(argument)
    };
    let Some(at) = command.elements().iter().zip(argv).position(differs) else { return Ok(()) };
    let template = command.elements()[at].source();
    let what = if at == 0 { "the program".to_owned() } else { format!("argument {at}") };
    Err(format!(
        "{what} ({}) would contain a secret, and every user of the machine can see arguments: pass it in a variable, env = {{ NAME = \"{{{{ … }}}}\" }}, or allow it with secret_arguments = true in the kind",
        sprongus_core::values::text::excerpt(template, 80)
    ))
}
