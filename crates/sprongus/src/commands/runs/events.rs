//! `runs events`: a run's history from the beginning.

use sprongus_core::run::follow::MAX_NEWS;

use crate::app::App;
use crate::commands::runs::select::run_ref::RunRef;
use crate::connect::Access;
use crate::exit::Exit;
use crate::exit::failure::Outcome;
use crate::render::history;
use crate::render::screen::Format;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Run id, or six or more characters from its beginning or end, or @last
    pub id: RunRef,
    /// Only entries after this `seq`
    #[arg(long, default_value_t = 0)]
    pub after: u64,
}

/// Prints it, a piece at a time.
pub async fn run(args: Args, app: &App) -> Outcome {
    let runs = app.connect(Access::Existing).await?.runs;
    let id = args.id.find(app, runs.as_ref()).await?;
    let mut after = args.after;
    loop {
        let events = runs.events(id, after, MAX_NEWS).await?;
        match app.screen.format {
            Format::People => app.screen.text(&events.iter().map(history::full).collect::<String>())?,
            Format::Json => app.screen.json_lines(&events)?,
            Format::Quiet => {
                let ids = events.iter().map(|event| format!("{}\n", event.id()));
                app.screen.text(&ids.collect::<String>())?;
            }
        }
        match events.last() {
            Some(last) => after = last.seq,
            None => return Ok(Exit::Done),
        }
    }
}
