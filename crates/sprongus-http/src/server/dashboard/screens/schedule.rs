//! `/schedules/{id}`: when a schedule runs next, what it skipped and why, and what clock changes do to it.

pub mod actions;

use std::time::Duration;

use askama::Template;
use axum::http::Uri;
use sprongus_core::calendar::change::{Effect, changes};
use sprongus_core::run::list::MAX_PAGE;
use sprongus_core::schedule::definition::Timing;
use sprongus_core::schedule::{Overlap, ScheduleState, ScheduleView};
use sprongus_core::schedules::{NextTick, foresee};
use sprongus_core::values::names::ScheduleId;
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::operator::{OperatorEvent, OperatorEventType, OperatorFilter};
use sprongus_core::workspace::token::Scope;
use sprongus_core::{Error, Result};

use crate::server::dashboard::fragment::{Fragment, outer_all};
use crate::server::dashboard::layout::{Section, layout};
use crate::server::dashboard::page::{PageResult, ScheduleAt, timely};
use crate::server::dashboard::parts::format::{When, number};
use crate::server::dashboard::parts::html::{Html, render};
use crate::server::dashboard::parts::json_tree;
use crate::server::dashboard::parts::schedule_row::{Clocks, ScheduleRow, Tick, spoken};
use crate::server::dashboard::session::Viewer;
use crate::server::request::query;

/// Ticks to come that are shown.
const NEXT: u32 = 10;

/// Skips that are shown.
const SKIPS: usize = 10;

/// Pages of the audit that are searched for them.
const PAGES: usize = 5;

/// How far ahead clock changes are told.
const AHEAD: Duration = Duration::from_secs(366 * 86_400);

#[derive(Template)]
#[template(path = "schedule.html")]
struct Page {
    id: String,
    parts: Vec<Html>,
}

#[derive(Template)]
#[template(path = "schedule_head.html")]
struct Head {
    row: ScheduleRow,
    /// The cron expression in words.
    words: Option<String>,
    error: Option<String>,
    /// Ticks that are being skipped now, and since which.
    skipping: Option<Skipping>,
    waiting: Vec<Tick>,
    revision: u32,
    policies: Vec<(&'static str, String)>,
    starts: Option<When>,
    ends: Option<When>,
    created: When,
    updated: When,
    may_set: bool,
    may_trigger: bool,
    form_token: String,
}

struct Skipping {
    /// Those that stand in no event yet; none at first.
    count: Option<String>,
    /// The first of those, or the last that stands in one.
    from: Tick,
}

#[derive(Template)]
#[template(path = "schedule_next.html")]
struct NextPart {
    ticks: Vec<NextRow>,
    /// Why there is none.
    none: &'static str,
    has_jitter: bool,
}

struct NextRow {
    /// What a clock in the zone shows; none for an interval.
    local: Option<String>,
    when: When,
    due: When,
}

#[derive(Template)]
#[template(path = "schedule_skipped.html")]
struct SkippedPart {
    rows: Vec<SkippedRow>,
    /// Since it was created: how many, and why.
    totals: Vec<(String, String)>,
}

struct SkippedRow {
    at: When,
    reason: String,
    count: String,
    from: Option<Tick>,
    to: Option<Tick>,
}

#[derive(Template)]
#[template(path = "schedule_clocks.html")]
struct ClocksPart {
    zone: Option<String>,
    changes: Vec<String>,
    is_known: bool,
}

#[derive(Template)]
#[template(path = "schedule_definition.html")]
struct DefinitionPart {
    definition: Html,
}

/// `GET /schedules/{id}`.
pub async fn page(viewer: Viewer, ScheduleAt(id): ScheduleAt, uri: Uri) -> PageResult {
    viewer.principal.require(Scope::Read)?;
    query::none(&uri)?;
    let parts = outer_all(&fragments(&viewer, &id).await?)?;
    let main = render(&Page { id: id.to_string(), parts })?;
    let (title, live) = (format!("{id} · schedule"), format!("/live/schedules/{id}"));
    Ok(layout(&viewer, Section::Schedules, &title, Some(&live), &main)?)
}

/// The parts of a schedule, as it stands.
///
/// # Errors
/// Those of what is read; `not_found` for a schedule that the viewer may not see.
pub async fn fragments(viewer: &Viewer, id: &ScheduleId) -> Result<Vec<Fragment>> {
    timely(read(viewer, id)).await
}

async fn read(viewer: &Viewer, id: &ScheduleId) -> Result<Vec<Fragment>> {
    let (schedules, store) = (viewer.principal.schedules(), viewer.shared.service.store());
    // Whether the viewer may see it comes first.
    let mut view = schedules.get(id).await?;
    let next = foresee(schedules.as_ref(), &mut view, NEXT);
    let (next, skipped, now) = tokio::try_join!(next, skips(viewer, id), store.now())?;
    let mut clocks = Clocks::new(store.zones(), now);
    let totals = view.skipped_ticks.iter().map(|(reason, count)| (number(*count), reason.clone())).collect();
    let skipped = skipped.iter().map(|event| skipped_row(event, &view, &mut clocks, now)).collect();
    Ok(vec![
        Fragment::new("head", &head(viewer, &view, &mut clocks, now))?,
        Fragment::new("next", &next_part(&view, next, now))?,
        Fragment::new("skipped", &SkippedPart { rows: skipped, totals })?,
        Fragment::new("clocks", &clocks_part(viewer, &view, now))?,
        Fragment::new(
            "definition",
            &DefinitionPart { definition: json_tree::tree(&view.definition.to_json())? },
        )?,
    ])
}

/// The newest skips of a schedule, as far as the newest events of its kind in the audit go.
async fn skips(viewer: &Viewer, id: &ScheduleId) -> Result<Vec<OperatorEvent>> {
    let types = vec![OperatorEventType::ScheduleSkipped];
    let mut filter = OperatorFilter { types, limit: MAX_PAGE, ..OperatorFilter::default() };
    let mut found = Vec::new();
    for _ in 0..PAGES {
        let page = viewer.shared.service.store().operator_events(&viewer.principal.caller, &filter).await?;
        found.extend(page.data.into_iter().filter(|event| event.subject.as_deref() == Some(id.as_str())));
        filter.cursor = page.next_cursor;
        if found.len() >= SKIPS || filter.cursor.is_none() {
            break;
        }
    }
    found.truncate(SKIPS);
    Ok(found)
}

fn head(viewer: &Viewer, view: &ScheduleView, clocks: &mut Clocks, now: Timestamp) -> Head {
    let when = |at: Option<Timestamp>| at.map(|at| When::new(at, now));
    let words = match &view.definition.timing {
        Timing::Cron { cron, .. } => Some(cron.words()),
        Timing::Every(_) => None,
    };
    let skipping = view.skipping.as_ref().map(|skipping| Skipping {
        count: (skipping.count > 0).then(|| number(skipping.count)),
        from: clocks.tick(view, skipping.from),
    });
    Head {
        row: ScheduleRow::new(view, clocks),
        words,
        error: view.error.clone(),
        skipping,
        waiting: view.waiting_ticks.iter().map(|at| clocks.tick(view, *at)).collect(),
        revision: view.revision,
        policies: policies(view),
        starts: when(view.definition.start_at),
        ends: when(view.definition.end_at),
        created: When::new(view.created_at, now),
        updated: When::new(view.updated_at, now),
        may_set: viewer.may(Scope::Settings),
        may_trigger: viewer.may(Scope::Write),
        form_token: viewer.form_token.clone(),
    }
}

/// What it does with ticks that cannot simply have their run, in the words of its definition.
fn policies(view: &ScheduleView) -> Vec<(&'static str, String)> {
    let fields = view.definition.to_json().to_value();
    let word = |name: &str| fields[name].as_str().unwrap_or_default().to_owned();
    let overlap = match view.definition.overlap {
        Overlap::Allow => "has a run too",
        Overlap::Skip => "is skipped",
        Overlap::QueueOne => "waits; further ones are skipped",
        Overlap::QueueAll => "waits",
        Overlap::CancelRunning => "cancels that run",
    };
    let mut policies = vec![
        ("A missed tick", format!("{}, if more than {} late", word("missed"), word("missedAfter"))),
        ("A tick while a run is live", overlap.to_owned()),
    ];
    if !view.definition.jitter.is_zero() {
        policies.push(("Jitter", format!("up to {}", word("jitter"))));
    }
    policies
}

fn next_part(view: &ScheduleView, ticks: Vec<NextTick>, now: Timestamp) -> NextPart {
    NextPart {
        ticks: ticks
            .into_iter()
            .map(|tick| NextRow {
                local: tick.local.as_deref().map(spoken),
                when: When::new(tick.at, now),
                due: When::new(tick.due_at, now),
            })
            .collect(),
        none: match view.state {
            ScheduleState::Active if view.error.is_some() => "Its time zone is unknown.",
            ScheduleState::Active => "All its ticks have come; some wait for a live run.",
            ScheduleState::Paused => "Paused: ticks are skipped until it is resumed.",
            ScheduleState::Ended => "It has no more ticks.",
            ScheduleState::Broken => "Its time zone is unknown.",
        },
        has_jitter: !view.definition.jitter.is_zero(),
    }
}

fn skipped_row(
    event: &OperatorEvent,
    view: &ScheduleView,
    clocks: &mut Clocks,
    now: Timestamp,
) -> SkippedRow {
    let told = event.after.as_ref().map(|after| after.to_value()).unwrap_or_default();
    let mut tick = |name: &str| {
        let at = told[name].as_str().and_then(|text| text.parse().ok())?;
        Some(clocks.tick(view, at))
    };
    let (from, to) = (tick("from"), tick("to"));
    SkippedRow {
        at: When::new(event.at, now),
        reason: told["reason"].as_str().unwrap_or_default().to_owned(),
        count: number(told["count"].as_u64().unwrap_or_default()),
        from,
        to: to.filter(|_| told["from"] != told["to"]),
    }
}

/// The clock changes of the next year that do something to a schedule.
fn clocks_part(viewer: &Viewer, view: &ScheduleView, now: Timestamp) -> ClocksPart {
    let zone = view.definition.time_zone().map(str::to_owned);
    let from = view.definition.start_at.map_or(now, |start| start.max(now));
    let end = now.plus(AHEAD);
    let end = view.definition.end_at.map_or(end, |ends| ends.min(end));
    let zones = viewer.shared.service.store().zones();
    let recurrence: std::result::Result<_, Error> = view.definition.recurrence(now, zones.as_ref());
    let is_known = recurrence.is_ok();
    let told = recurrence.iter().flat_map(|recurrence| {
        changes(recurrence, from)
            .take_while(|it| it.change.at < end)
            .filter(|it| it.effect != Effect::None)
            .map(|it| format!("{it}."))
            .collect::<Vec<_>>()
    });
    ClocksPart { zone, changes: told.collect(), is_known }
}
