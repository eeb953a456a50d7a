//! `runs logs`: what a run's processes printed.

use std::collections::VecDeque;
use std::time::Duration;

use sprongus_core::Runs;
use sprongus_core::run::follow::{MAX_NEWS, ReadSoFar};
use sprongus_core::run::step::NumberedLine;
use sprongus_core::values::ids::RunId;

use crate::app::App;
use crate::cli::times;
use crate::commands::follow::{LONGEST_LOOK, PATIENCE, Patience};
use crate::commands::runs::select::run_ref::RunRef;
use crate::connect::Access;
use crate::exit::Exit;
use crate::exit::failure::Outcome;
use crate::render::history::Logged;
use crate::render::screen::Format;

/// Which run, and which part of its log.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Run id, or six or more characters from its beginning or end, or @last
    pub id: RunRef,
    /// Only entries after this `seq`
    #[arg(long, default_value_t = 0)]
    pub after: u64,
    /// Only lines of this step
    #[arg(long, value_name = "NAME")]
    pub step: Option<String>,
    /// Only lines of this attempt
    #[arg(long, value_name = "N")]
    pub attempt: Option<u32>,
    /// Only the last N lines
    #[arg(long, value_name = "N")]
    pub tail: Option<usize>,
    /// Keep printing new lines until the run ends
    #[arg(short, long)]
    pub follow: bool,
    /// With --follow: how long to keep retrying when the server does not respond (default: 5m)
    #[arg(long, value_name = "DURATION", requires = "follow", value_parser = times::span)]
    pub patience: Option<Duration>,
}

impl Args {
    fn wants(&self, line: &NumberedLine) -> bool {
        self.step.as_ref().is_none_or(|step| line.line.step.as_ref() == Some(step))
            && self.attempt.is_none_or(|attempt| line.attempt == attempt)
    }
}

/// Prints it, a piece at a time.
pub async fn run(args: Args, app: &App) -> Outcome {
    let runs = app.connect(Access::Existing).await?.runs;
    let id = args.id.find(app, runs.as_ref()).await?;
    // A run without a line and a run that does not exist are told apart.
    let state = runs.get(id).await?.state;
    let mut shown = Logged::default();
    let mut after = args.after;
    match args.tail {
        Some(most) => after = tail(&args, app, runs.as_ref(), id, most, &mut shown).await?,
        None => loop {
            let lines = runs.logs(id, after, MAX_NEWS).await?;
            let Some(last) = lines.last() else { break };
            after = last.seq;
            print(&args, app, lines, &mut shown)?;
        },
    }
    if !args.follow || state.is_final() {
        return Ok(Exit::Done);
    }
    let mut patience = Patience::new(args.patience.unwrap_or(PATIENCE));
    let mut read = ReadSoFar { events: 0, lines: after };
    loop {
        let news = match runs.follow(id, read, LONGEST_LOOK).await {
            Ok(news) => news,
            Err(error) => {
                tokio::time::sleep(patience.spend(error, &app.screen)?).await;
                continue;
            }
        };
        patience.answered(&app.screen);
        read = news.read;
        let more = news.events.len() >= MAX_NEWS as usize || news.lines.len() >= MAX_NEWS as usize;
        let is_over = news.run.state.is_final() && !more;
        print(&args, app, news.lines, &mut shown)?;
        if is_over {
            return Ok(Exit::Done);
        }
    }
}

/// The last lines; the log is read from its beginning, for it is not known how many of its lines are wanted.
async fn tail(
    args: &Args,
    app: &App,
    runs: &dyn Runs,
    id: RunId,
    most: usize,
    shown: &mut Logged,
) -> Outcome<u64> {
    let mut after = args.after;
    let mut kept: VecDeque<NumberedLine> = VecDeque::new();
    loop {
        let lines = runs.logs(id, after, MAX_NEWS).await?;
        let Some(last) = lines.last() else { break };
        after = last.seq;
        kept.extend(lines.into_iter().filter(|line| args.wants(line)));
        let surplus = kept.len().saturating_sub(most);
        kept.drain(..surplus);
    }
    print(args, app, kept.into(), shown)?;
    Ok(after)
}

fn print(args: &Args, app: &App, lines: Vec<NumberedLine>, shown: &mut Logged) -> Outcome<()> {
    let lines: Vec<NumberedLine> = lines.into_iter().filter(|line| args.wants(line)).collect();
    match app.screen.format {
        Format::People => {
            shown.begin(&lines);
            app.screen.text(&lines.iter().map(|line| shown.line(line)).collect::<String>())?;
        }
        Format::Json => app.screen.json_lines(&lines)?,
        Format::Quiet => {}
    }
    Ok(())
}
