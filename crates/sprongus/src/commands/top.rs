//! `top`: depth, workers and running runs, drawn anew every second until somebody leaves.

mod terminal;

use std::io::{self, IsTerminal};
use std::pin::pin;
use std::time::Duration;

use sprongus_core::{Error, Runs};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::app::App;
use crate::cli::times;
use crate::connect::Access;
use crate::exit::Exit;
use crate::exit::failure::Outcome;
use crate::render::screen::Format;
use crate::render::top::frame::Frame;
use crate::render::top::{Size, lines};
use terminal::{Happened, Terminal};

/// What would be seen anew more often than this keeps the database busy for nobody.
const SHORTEST: Duration = Duration::from_millis(100);

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Press q or Ctrl-C to quit. When stdout is not a terminal, one frame is printed; with --json and --every, one object per frame."
)]
pub struct Args {
    /// Refresh interval, 100ms or more (default: 1s)
    #[arg(long, value_name = "DURATION", value_parser = times::span)]
    pub every: Option<Duration>,
    /// Print one frame and exit
    #[arg(long)]
    pub once: bool,
}

pub async fn run(args: Args, app: &App) -> Outcome {
    let every = args.every.unwrap_or(Duration::from_secs(1));
    if every < SHORTEST {
        return Err(Error::validation("--every: expected 100ms or more")
            .with_hint("remove it to refresh every second")
            .into());
    }
    let runs = app.connect(Access::Existing).await?.runs;
    let is_watched =
        io::stdout().is_terminal() && std::env::var_os("TERM").is_some_and(|term| term != "dumb");
    if args.once {
        return once(app, &*runs).await;
    }
    match app.screen.format {
        Format::Json if is_watched || args.every.is_some() => objects(app, &*runs, every).await,
        Format::People if is_watched => live(&*runs, every).await,
        Format::People | Format::Json | Format::Quiet => once(app, &*runs).await,
    }
}

/// One frame, as wide as it has to be.
async fn once(app: &App, runs: &dyn Runs) -> Outcome {
    let frame = Frame::read(runs).await?;
    match app.screen.format {
        Format::People => app.screen.text(&(lines(&frame, Size::ENDLESS).join("\n") + "\n"))?,
        Format::Json => app.screen.json(&frame)?,
        Format::Quiet => {
            app.screen.text(&frame.running.iter().map(|run| format!("{}\n", run.id)).collect::<String>())?
        }
    }
    Ok(Exit::Done)
}

/// One object a frame, until the reader leaves or Ctrl-C.
async fn objects(app: &App, runs: &dyn Runs, every: Duration) -> Outcome {
    let mut ticks = ticks(every);
    loop {
        tokio::select! {
            biased;
            _ = tokio::signal::ctrl_c() => return Ok(Exit::Interrupted),
            _ = ticks.tick() => app.screen.json(&Frame::read(runs).await?)?,
        }
    }
}

/// On the terminal. A database that is away for a while is said below the last frame, and looked for again.
async fn live(runs: &dyn Runs, every: Duration) -> Outcome {
    let mut frame = Frame::read(runs).await?;
    let mut terminal = Terminal::enter()?;
    let mut ticks = ticks(every);
    let mut trouble: Option<Error> = None;
    loop {
        terminal.draw(&frame, trouble.as_ref())?;
        let mut next = pin!(async {
            ticks.tick().await;
            Frame::read(runs).await
        });
        let looked = loop {
            tokio::select! {
                biased;
                happened = terminal.happens() => match happened {
                    Happened::Quit => return Ok(Exit::Done),
                    Happened::Interrupted => return Ok(Exit::Interrupted),
                    Happened::Resized => terminal.draw(&frame, trouble.as_ref())?,
                },
                looked = &mut next => break looked,
            }
        };
        match looked {
            Ok(seen) => (frame, trouble) = (seen, None),
            Err(error) if error.code().facts().retryable => trouble = Some(error),
            Err(error) => return Err(error.into()),
        }
    }
}

fn ticks(every: Duration) -> tokio::time::Interval {
    let mut ticks = interval_at(Instant::now(), every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
