//! `runs enqueue --child`: the command of a run hands another one to its worker, by a line in `$SPRONGUS_OUTPUT`.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use sprongus_core::Error;
use sprongus_core::ErrorCode;
use sprongus_core::Result;
use sprongus_core::rules::enqueue::prepare;
use sprongus_core::run::NewRun;
use sprongus_core::run::request;
use sprongus_core::values::ids::RunId;
use sprongus_worker::LARGEST_OUTPUT_FILE;

use crate::app::App;
use crate::exit::Exit;
use crate::exit::failure::Outcome;

/// Checks the request, hands it over and prints the id under which the worker will enqueue it.
///
/// # Errors
/// `validation` outside of a run, and for a request that would be refused; `payload_too_large` when the file has no room for it.
pub fn hand_over(mut run: NewRun, app: &App) -> Outcome {
    let Some(output) = app.around.run.as_ref().and_then(|run| run.output.as_deref()) else {
        let error = Error::validation("--child: not inside a run");
        return Err(error
            .with_hint("remove --child; it hands a run to the worker that runs this command")
            .into());
    };
    if app.globals.db.is_some() || app.globals.remote.is_some() {
        let error = Error::validation(
            "--child cannot be used with --db or --remote: the run goes to this worker's own database",
        );
        return Err(error.with_hint("remove --db and --remote, or --child").into());
    }
    let id = *run.id.get_or_insert_with(RunId::default);
    // The worker's store asks again; here whoever runs the command is told.
    prepare(&run, None)?;
    append(output, &format!("child={}\n", request::write(&run)))?;
    let answer = serde_json::json!({"id": id, "kind": run.kind});
    app.screen.answer(&answer, &id.to_string(), || format!("{id} handed to the worker\n"))?;
    Ok(Exit::Done)
}

/// In one write, so that lines of several commands do not mix.
fn append(output: &Path, line: &str) -> Result<()> {
    let failed = |error: std::io::Error| {
        let message = format!("cannot write $SPRONGUS_OUTPUT: {error}");
        Error::new(ErrorCode::Unavailable, message)
            .with_hint("the worker creates this file; do not remove it")
    };
    let mut file = OpenOptions::new().append(true).open(output).map_err(failed)?;
    let there = file.metadata().map_err(failed)?.len();
    if there + line.len() as u64 >= LARGEST_OUTPUT_FILE as u64 {
        let message = "$SPRONGUS_OUTPUT is full: a step may report at most 1 MiB";
        return Err(Error::new(ErrorCode::PayloadTooLarge, message)
            .with_hint("pass large inputs by reference, or enqueue from several steps"));
    }
    file.write_all(line.as_bytes()).map_err(failed)
}
