//! `runs logs`: what a run's processes printed.

use sprongus_core::follow::MAX_NEWS;
use sprongus_core::ids::RunId;

use crate::app::App;
use crate::connect::Access;
use crate::exit::Exit;
use crate::failure::Outcome;
use crate::render::history;
use crate::render::screen::Format;

/// Which run.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run's id
    pub id: RunId,
    /// Only what came after this `seq`
    #[arg(long, default_value_t = 0)]
    pub after: u64,
}

/// Prints it, a piece at a time.
pub async fn run(args: Args, app: &App) -> Outcome {
    let runs = app.connect(Access::Reads).await?.runs;
    // A run without a line and a run that does not exist are told apart.
    runs.get(args.id).await?;
    let mut after = args.after;
    loop {
        let lines = runs.logs(args.id, after, MAX_NEWS).await?;
        match app.screen.format {
            Format::People => {
                app.screen.text(&lines.iter().map(|line| history::log(&line.line)).collect::<String>())?;
            }
            Format::Json => app.screen.json_lines(&lines)?,
            Format::Quiet => {}
        }
        match lines.last() {
            Some(last) => after = last.seq,
            None => return Ok(Exit::Done),
        }
    }
}
