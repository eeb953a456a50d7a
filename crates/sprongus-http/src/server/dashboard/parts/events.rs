//! A run's events on its page: the newest, with or without progress.

use std::str::FromStr;

use askama::Template;
use form_urlencoded::Serializer;
use sprongus_core::run::event::{Event, EventType};
use sprongus_core::run::follow::MAX_NEWS;
use sprongus_core::values::ids::RunId;
use sprongus_core::values::text::truncate;
use sprongus_core::values::time::Timestamp;
use sprongus_core::{Error, Result, Runs};

use super::format::When;

/// The word for all events, in the audit too. What is not asked for is all but how far runs have come, which a busy run tells at each step.
pub const EVERYTHING: &str = "everything";

/// Events shown, the newest of all.
const SHOWN: usize = 200;

/// Pages of events that are read at most to find as many.
const PAGES: usize = 10;

/// Bytes of an event's particulars that are shown.
const PAYLOAD: usize = 1_024;

/// Which events are shown: `?what=` in the page's address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Selection {
    /// All but progress: a run that reports it often would show nothing else.
    #[default]
    ButProgress,
    Everything,
}

impl FromStr for Selection {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "" => Ok(Self::ButProgress),
            EVERYTHING => Ok(Self::Everything),
            _ => Err(Error::validation("the events of a run are shown without progress, or everything")
                .with_hint("leave it out, or say everything")),
        }
    }
}

impl Selection {
    /// A run's page that shows these.
    pub fn path(self, id: RunId, step: &str) -> String {
        let what = match self {
            Self::ButProgress => "",
            Self::Everything => EVERYTHING,
        };
        let pairs = [("step", step), ("what", what)];
        let pairs = pairs.into_iter().filter(|(_, value)| !value.is_empty());
        let query = Serializer::new(String::new()).extend_pairs(pairs).finish();
        if query.is_empty() { format!("/runs/{id}") } else { format!("/runs/{id}?{query}") }
    }

    fn other(self) -> Self {
        match self {
            Self::ButProgress => Self::Everything,
            Self::Everything => Self::ButProgress,
        }
    }

    fn shows(self, event: &Event) -> bool {
        self == Self::Everything || event.kind != EventType::Progressed
    }
}

/// The newest events, oldest first.
pub struct History {
    /// At most 200, oldest first.
    pub events: Vec<Event>,
    /// Whether there are older ones.
    pub is_cut: bool,
}

/// Reads the newest events up to the one numbered `newest`, at most ten pages of them.
///
/// # Errors
/// Those of what is read.
pub async fn read(runs: &dyn Runs, id: RunId, newest: u64, what: Selection) -> Result<History> {
    let (mut events, mut before): (Vec<Event>, u64) = (Vec::new(), newest.saturating_add(1));
    for _ in 0..PAGES {
        let after = before.saturating_sub(1 + u64::from(MAX_NEWS));
        let limit = u32::try_from(before - 1 - after).unwrap_or(MAX_NEWS);
        if limit == 0 {
            break;
        }
        let mut page = runs.events(id, after, limit).await?;
        page.retain(|event| what.shows(event));
        page.append(&mut events);
        events = page;
        before = after + 1;
        if events.len() > SHOWN {
            break;
        }
    }
    let surplus = events.len().saturating_sub(SHOWN);
    events.drain(..surplus);
    Ok(History { events, is_cut: surplus > 0 || before > 1 })
}

/// The fragment `events` of a run's page.
#[derive(Template)]
#[template(path = "run_events.html")]
pub struct EventsPart {
    rows: Vec<EventRow>,
    is_cut: bool,
    is_everything: bool,
    /// The page that shows the others.
    other: String,
}

struct EventRow {
    seq: u64,
    name: &'static str,
    at: When,
    actor: String,
    payload: String,
}

impl EventsPart {
    pub fn new(history: &History, id: RunId, what: Selection, now: Timestamp) -> Self {
        Self {
            rows: history.events.iter().rev().map(|event| row(event, now)).collect(),
            is_cut: history.is_cut,
            is_everything: what == Selection::Everything,
            other: what.other().path(id, ""),
        }
    }
}

fn row(event: &Event, now: Timestamp) -> EventRow {
    EventRow {
        seq: event.seq,
        name: event.kind.as_str(),
        at: When::new(event.at, now),
        actor: event.actor.clone(),
        payload: particulars(event, PAYLOAD),
    }
}

/// What an event tells beside its name, cut to so many bytes; empty where that is nothing.
pub fn particulars(event: &Event, longest: usize) -> String {
    match event.payload.as_str() {
        "{}" => String::new(),
        payload => truncate(payload, longest).into_owned(),
    }
}
