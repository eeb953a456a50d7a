//! Following a run to its end.

use std::pin::pin;
use std::time::{Duration, Instant};

use serde::Serialize;
use sprongus_core::event::{Event, EventType};
use sprongus_core::follow::{MAX_NEWS, News, ReadSoFar};
use sprongus_core::ids::RunId;
use sprongus_core::run::Run;
use sprongus_core::step::NumberedLine;
use sprongus_core::{Error, ErrorCode, Runs};

use crate::failure::{Failure, Outcome};
use crate::render::history;
use crate::render::live::StatusLine;
use crate::render::screen::{Format, Screen};

/// How long one look waits for news at most.
pub const LONGEST_LOOK: Duration = Duration::from_secs(30);

/// What is shown of the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// Lines for people, and a moving one on a terminal.
    Lines,
    /// Every event and log line, and the run at last, as one JSON object a line.
    Objects,
    /// Nothing.
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
    Run(&'a Run),
}

/// Follows the run until it has ended; its last state is the answer. The way there is shown from the beginning.
///
/// # Errors
/// `timed_out` after `timeout`; [`Failure::Interrupted`] on Ctrl-C. The run goes on in both cases.
pub async fn to_the_end(
    screen: &Screen,
    runs: &dyn Runs,
    id: RunId,
    timeout: Option<Duration>,
    show: Show,
) -> Outcome<Run> {
    let began = Instant::now();
    let mut read = ReadSoFar::default();
    let mut interrupted = pin!(tokio::signal::ctrl_c());
    let mut ticks = tokio::time::interval(StatusLine::EVERY);
    let mut status = (show == Show::Lines && screen.watched).then(|| StatusLine::new(*screen));
    let mut latest = runs.get(id).await?;
    loop {
        let left = timeout.map(|timeout| timeout.saturating_sub(began.elapsed()));
        let mut look = runs.follow(id, read, left.unwrap_or(LONGEST_LOOK).min(LONGEST_LOOK));
        let news = loop {
            tokio::select! {
                biased;
                _ = &mut interrupted => return Err(Failure::Interrupted(id)),
                news = &mut look => break news?,
                _ = ticks.tick(), if status.is_some() => {
                    if let Some(status) = &mut status { status.draw(&latest) }
                }
            }
        };
        if let Some(status) = &mut status {
            status.clear();
            news.events.iter().for_each(|event| name_step(status, event));
        }
        print(screen, show, &news)?;
        read = news.read;
        latest = news.run;
        let more = news.events.len() >= MAX_NEWS as usize || news.lines.len() >= MAX_NEWS as usize;
        if latest.state.is_final() && !more {
            if show == Show::Objects {
                screen.json(&Item::Run(&latest))?;
            }
            return Ok(latest);
        }
        if timeout.is_some_and(|timeout| began.elapsed() >= timeout) && !more {
            let message = format!("the run is still {}: {id}", latest.state);
            return Err(Error::new(ErrorCode::TimedOut, message).into());
        }
    }
}

/// Events and log lines in the order of their times, but a line never outside of the step that printed it: its time is when the
/// worker read it, the event's when the store wrote it.
fn print(screen: &Screen, show: Show, news: &News) -> Outcome<()> {
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
