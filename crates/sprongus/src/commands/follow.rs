//! Following a run to its end.

pub mod no_worker_hint;
mod patience;

use std::pin::pin;
use std::time::{Duration, Instant};

use serde::Serialize;
use sprongus_core::run::event::{Event, EventType};
use sprongus_core::run::follow::{MAX_NEWS, ReadSoFar};
use sprongus_core::run::step::NumberedLine;
use sprongus_core::run::view::{NewsView, RunView};
use sprongus_core::values::ids::RunId;
use sprongus_core::{Error, ErrorCode, Runs};

use crate::exit::failure::{Failure, Outcome};
use crate::render::history;
use crate::render::live::StatusLine;
use crate::render::screen::{Format, Screen};

pub use patience::{PATIENCE, Patience};

/// How long one look waits for news at most.
pub const LONGEST_LOOK: Duration = Duration::from_secs(30);

/// What is shown of the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// Lines for people, and a moving one on a terminal.
    Lines,
    /// Every event and log line, and the run at last, as one JSON object a line.
    Objects,
    Nothing,
}

impl Show {
    /// What `tail` shows on this screen.
    pub fn stream(screen: &Screen) -> Self {
        match screen.format {
            Format::People => Self::Lines,
            Format::Json => Self::Objects,
            Format::Quiet => Self::Nothing,
        }
    }
}

/// One object of the stream.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Item<'a> {
    Event(&'a Event),
    Log(&'a NumberedLine),
    Run(&'a RunView),
}

/// How long to follow.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long in all; none means to the end.
    pub timeout: Option<Duration>,
    /// How long a server that does not answer is asked again.
    pub patience: Duration,
}

/// Follows the run until it has ended; its last state is the answer. The way there is shown from the beginning. A server that is
/// restarted meanwhile is asked again, and following goes on where it was.
///
/// # Errors
/// `unavailable` when nobody answers for as long as the patience lasts; `timed_out` after the timeout; [`Failure::Interrupted`] on Ctrl-C. The run goes on in both cases.
pub async fn to_the_end(
    screen: &Screen,
    runs: &dyn Runs,
    id: RunId,
    limits: Limits,
    show: Show,
) -> Outcome<RunView> {
    let Limits { timeout, patience } = limits;
    let mut patience = Patience::new(patience);
    let began = Instant::now();
    let mut read = ReadSoFar::default();
    let mut interrupted = pin!(crate::work::interrupted());
    let mut ticks = tokio::time::interval(StatusLine::EVERY);
    let mut status = (show == Show::Lines && screen.watched).then(|| StatusLine::new(*screen));
    let mut latest: Option<RunView> = None;
    loop {
        let left = timeout.map(|timeout| timeout.saturating_sub(began.elapsed()));
        // The first look does not wait: what is shown meanwhile has to be known.
        let longest = if latest.is_some() { LONGEST_LOOK } else { Duration::ZERO };
        let mut look = runs.follow(id, read, left.unwrap_or(longest).min(longest));
        let answer = loop {
            tokio::select! {
                biased;
                () = &mut interrupted => return Err(Failure::Interrupted(id)),
                answer = &mut look => break answer,
                _ = ticks.tick(), if status.is_some() => {
                    if let (Some(status), Some(latest)) = (&mut status, &latest) { status.draw(latest) }
                }
            }
        };
        drop(look);
        let news = match answer {
            Ok(news) => news,
            Err(error) => {
                if let Some(status) = &mut status {
                    status.clear();
                }
                let pause = patience.spend(error, screen)?;
                let left = timeout.map(|timeout| timeout.saturating_sub(began.elapsed()));
                if left.is_some_and(|left| left.is_zero()) {
                    return Err(timed_out(id, latest.as_ref()).into());
                }
                tokio::select! {
                    () = &mut interrupted => return Err(Failure::Interrupted(id)),
                    () = tokio::time::sleep(left.unwrap_or(pause).min(pause)) => continue,
                }
            }
        };
        patience.answered(screen);
        if let Some(status) = &mut status {
            status.clear();
            news.events.iter().for_each(|event| name_step(status, event));
        }
        print(screen, show, &news)?;
        read = news.read;
        let run = latest.insert(news.run);
        let more = news.events.len() >= MAX_NEWS as usize || news.lines.len() >= MAX_NEWS as usize;
        if run.state.is_final() && !more {
            if show == Show::Objects {
                screen.json(&Item::Run(run))?;
            }
            return Ok(run.clone());
        }
        if timeout.is_some_and(|timeout| began.elapsed() >= timeout) && !more {
            return Err(timed_out(id, Some(run)).into());
        }
    }
}

fn timed_out(id: RunId, latest: Option<&RunView>) -> Error {
    let message = match latest {
        Some(run) => format!("the run is still {}: {id}", run.state),
        None => format!("no response about the run: {id}"),
    };
    Error::new(ErrorCode::TimedOut, message)
}

/// Events and log lines in the order of their times, but a line never outside of the step that printed it: its time is when the
/// worker read it, the event's when the store wrote it.
fn print(screen: &Screen, show: Show, news: &NewsView) -> Outcome<()> {
    let mut items: Vec<Item<'_>> = Vec::with_capacity(news.events.len() + news.lines.len());
    let mut lines = news.lines.iter().peekable();
    for event in &news.events {
        let is_end = matches!(event.kind, EventType::StepCompleted | EventType::StepFailed);
        let is_before = |line: &&NumberedLine| {
            let is_earlier = line.line.at < event.at || (is_end && line.line.at == event.at);
            is_earlier && !(event.kind == EventType::StepStarted && begins_step_of(event, line))
        };
        items.extend(std::iter::from_fn(|| lines.next_if(is_before)).map(Item::Log));
        items.push(Item::Event(event));
    }
    items.extend(lines.map(Item::Log));
    match show {
        Show::Nothing => Ok(()),
        Show::Objects => screen.json_lines(&items),
        Show::Lines => screen.text(&items.iter().filter_map(line).collect::<String>()),
    }
}

fn begins_step_of(event: &Event, line: &NumberedLine) -> bool {
    let payload = event.payload.to_value();
    let name = payload.get("name").and_then(serde_json::Value::as_str);
    let attempt = payload.get("attempt").and_then(serde_json::Value::as_u64);
    name == line.line.step.as_deref() && attempt == Some(u64::from(line.attempt))
}

fn line(item: &Item<'_>) -> Option<String> {
    match item {
        Item::Event(event) => history::brief(event),
        Item::Log(line) => Some(history::log(&line.line)),
        Item::Run(_) => None,
    }
}

fn name_step(status: &mut StatusLine, event: &Event) {
    let began = event.kind == EventType::StepStarted;
    // Other events, such as progress, leave the step that runs as it is; the end of an attempt ends its step.
    if began || event.step_id.is_some() || event.kind == EventType::Started {
        let payload = event.payload.to_value();
        status.at(payload.get("name").and_then(serde_json::Value::as_str).filter(|_| began));
    }
}
