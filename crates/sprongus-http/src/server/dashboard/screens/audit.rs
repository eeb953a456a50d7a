//! `/audit`: what happened in the workspace, newest first, and who did it, whatever the run.
//!
//! A read is bounded (`sprongus_core::workspace::audit`), so a page that finds nothing may say that it did not come to the beginning.

use std::iter;
use std::num::NonZeroU32;

use askama::Template;
use axum::http::Uri;
use form_urlencoded::Serializer;
use sprongus_core::Result;
use sprongus_core::json::Json;
use sprongus_core::run::event::{Event, EventType};
use sprongus_core::run::stream::StreamPosition;
use sprongus_core::values::text::excerpt;
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::audit::{AuditFilter, WALKED};
use sprongus_core::workspace::operator::{OperatorEvent, OperatorFilter};
use sprongus_core::workspace::token::Scope;

use crate::server::dashboard::fragment::{Fragment, outer_all};
use crate::server::dashboard::layout::{Section, layout};
use crate::server::dashboard::page::{PageResult, timely};
use crate::server::dashboard::parts::events::{EVERYTHING, particulars};
use crate::server::dashboard::parts::format::{When, number};
use crate::server::dashboard::parts::html::{Html, render};
use crate::server::dashboard::session::Viewer;
use crate::server::response::bad_field;

/// Events on a page.
const PAGE: NonZeroU32 = NonZeroU32::new(100).unwrap();

/// Bytes of a name; none that does something is longer.
const LONGEST_ACTOR: usize = 256;

/// The word for what operators did: events of their own, for admins alone.
const OPERATORS: &str = "operators";

/// Bytes of an event's particulars that are shown.
const PAYLOAD: usize = 300;

/// What is chosen by one word.
const GROUPS: [(&str, &str, &[EventType]); 3] = [
    (
        "asked",
        "requests",
        &[
            EventType::Enqueued,
            EventType::Canceled,
            EventType::Retried,
            EventType::Approved,
            EventType::Rejected,
        ],
    ),
    (
        "trouble",
        "problems",
        &[EventType::Failed, EventType::RetryScheduled, EventType::LeaseLost, EventType::StepFailed],
    ),
    ("ended", "outcomes", &[EventType::Succeeded, EventType::Failed, EventType::Canceled]),
];

/// What the URL asks for.
#[derive(Debug, Default)]
pub struct AuditQuery {
    what: String,
    filter: AuditFilter,
    /// The position to look back from, of which each kind of event has its own form.
    before: Option<String>,
}

impl AuditQuery {
    /// Reads a URL. What was left empty in a form was not asked for.
    ///
    /// # Errors
    /// `validation` for a word that is none of those to choose from, a place that is none, and a name that stands for nothing here.
    pub fn read(uri: &Uri) -> Result<Self> {
        let mut query = Self::default();
        query.filter.types.extend(EventType::ALL.iter().filter(|kind| **kind != EventType::Progressed));
        for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
            let value = value.trim();
            match name.as_ref() {
                _ if value.is_empty() => {}
                "what" => {
                    query.filter.types = match GROUPS.iter().find(|(word, ..)| *word == value) {
                        Some((_, _, types)) => types.to_vec(),
                        None if value == EVERYTHING || value == OPERATORS => vec![],
                        None => vec![value.parse().map_err(|_| bad_field("/what", "unknown event type"))?],
                    };
                    value.clone_into(&mut query.what);
                }
                "actor" if value.len() > LONGEST_ACTOR || value.contains(char::is_control) => {
                    return Err(bad_field("/actor", "not a valid actor name"));
                }
                "actor" => query.filter.actor = Some(value.to_owned()),
                "before" => query.before = Some(value.to_owned()),
                _ => return Err(bad_field("", "unknown filter; use what, actor or before")),
            }
        }
        if !query.is_of_operators() {
            query.position()?;
        }
        Ok(query)
    }

    fn is_of_operators(&self) -> bool {
        self.what == OPERATORS
    }

    /// The position in the stream to look back from.
    fn position(&self) -> Result<Option<StreamPosition>> {
        self.before.as_deref().map(str::parse).transpose()
    }

    /// The same of operators' events.
    fn operator_filter(&self) -> OperatorFilter {
        let (actor, cursor) = (self.filter.actor.clone(), self.before.clone());
        OperatorFilter { actor, cursor, limit: PAGE.get(), ..OperatorFilter::default() }
    }

    fn is_narrowed(&self) -> bool {
        !(self.what.is_empty() || self.what == EVERYTHING) || self.filter.actor.is_some()
    }

    fn actor(&self) -> &str {
        self.filter.actor.as_deref().unwrap_or_default()
    }

    /// The address of the page before a position; `base` is its path.
    fn path(&self, base: &str, before: Option<&str>) -> String {
        let pairs = [("what", self.what.as_str()), ("actor", self.actor())];
        let given = pairs.into_iter().chain(before.map(|position| ("before", position)));
        let pairs = given.filter(|(_, value)| !value.is_empty());
        let text = Serializer::new(String::new()).extend_pairs(pairs).finish();
        if text.is_empty() { base.to_owned() } else { format!("{base}?{text}") }
    }
}

struct Choice {
    value: &'static str,
    label: &'static str,
    is_chosen: bool,
}

#[derive(Template)]
#[template(path = "audit.html")]
struct Page {
    groups: Vec<Choice>,
    types: Vec<Choice>,
    actor: String,
    is_filtered: bool,
    parts: Vec<Html>,
}

/// An event as a row.
struct Row {
    at: When,
    actor: String,
    name: &'static str,
    /// The run it belongs to; an operator's event belongs to none.
    run: Option<String>,
    /// What an operator's event was done to.
    subject: String,
    kind: String,
    payload: String,
}

#[derive(Template)]
#[template(path = "audit_table.html")]
struct Table {
    rows: Vec<Row>,
    is_filtered: bool,
    walked: String,
    next: Option<String>,
    first: Option<String>,
}

/// The page. Only its newest stretch is kept fresh: nothing is ever put into an older one.
pub async fn page(viewer: Viewer, uri: Uri) -> PageResult {
    viewer.principal.require(Scope::Read)?;
    let query = AuditQuery::read(&uri)?;
    let parts = outer_all(&fragments(&viewer, &query).await?)?;
    let is_admin = viewer.principal.token.allows(Scope::Admin);
    let choice = |value, label| Choice { value, label, is_chosen: query.what == value };
    let main = render(&Page {
        groups: iter::once(choice(EVERYTHING, "everything"))
            .chain(GROUPS.iter().map(|(word, label, _)| choice(word, label)))
            .chain(is_admin.then(|| choice(OPERATORS, "operator actions")))
            .collect(),
        types: EventType::ALL.iter().map(|kind| choice(kind.as_str(), kind.as_str())).collect(),
        actor: query.actor().to_owned(),
        is_filtered: query.is_narrowed(),
        parts,
    })?;
    let live = query.before.is_none().then(|| query.path("/live/audit", None));
    Ok(layout(&viewer, Section::Audit, "Audit", live.as_deref(), &main)?)
}

/// The table, its only fragment.
///
/// # Errors
/// Those of what is read.
pub async fn fragments(viewer: &Viewer, query: &AuditQuery) -> Result<Vec<Fragment>> {
    let store = viewer.shared.service.store();
    if query.is_of_operators() {
        viewer.principal.require(Scope::Admin)?;
        let filter = query.operator_filter();
        let (page, now) = timely(async {
            let page = viewer.principal.admin().operator_events(&filter).await?;
            Ok((page, store.now().await?))
        })
        .await?;
        let rows = page.data.into_iter().map(|event| operator_row(event, now)).collect();
        return table(query, rows, page.next_cursor);
    }
    let position = query.position()?;
    let (page, now) = timely(async {
        let page = store.audit(&viewer.principal.caller, position, &query.filter, PAGE).await?;
        Ok((page, store.now().await?))
    })
    .await?;
    let rows = page.found.into_iter().map(|it| row(&it.event, it.kind.to_string(), now)).collect();
    table(query, rows, page.further.map(|position| position.to_string()))
}

/// `further` is the position of the next page.
fn table(query: &AuditQuery, rows: Vec<Row>, further: Option<String>) -> Result<Vec<Fragment>> {
    let table = Table {
        rows,
        is_filtered: query.is_narrowed(),
        walked: number(WALKED.into()),
        next: further.map(|position| query.path("/audit", Some(&position))),
        first: query.before.is_some().then(|| query.path("/audit", None)),
    };
    Ok(vec![Fragment::new("audit", &table)?])
}

fn operator_row(event: OperatorEvent, now: Timestamp) -> Row {
    let state = |name: &str, state: Option<Json>| {
        state.map(|state| format!("{name} {}", excerpt(state.as_str(), PAYLOAD)))
    };
    let payload = [state("before", event.before), state("after", event.after)];
    Row {
        at: When::new(event.at, now),
        actor: event.actor,
        name: event.kind.as_str(),
        run: None,
        subject: event.subject.unwrap_or_default(),
        kind: String::new(),
        payload: payload.into_iter().flatten().collect::<Vec<_>>().join(" "),
    }
}

fn row(event: &Event, kind: String, now: Timestamp) -> Row {
    Row {
        at: When::new(event.at, now),
        actor: event.actor.clone(),
        name: event.kind.as_str(),
        run: Some(event.run_id.to_string()),
        subject: String::new(),
        kind,
        payload: particulars(event, PAYLOAD),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(uri: &str) -> Result<AuditQuery> {
        AuditQuery::read(&uri.parse().unwrap())
    }

    #[test]
    fn a_word_selects_some_types_and_a_type_itself() {
        let asked = read("/audit?what=asked&actor=&before=").unwrap();
        assert!(asked.filter.types.contains(&EventType::Approved), "{asked:?}");
        assert_eq!(
            (asked.filter.actor.clone(), asked.path("/audit", None)),
            (None, "/audit?what=asked".to_owned())
        );
        let one = read("/audit?what=run.canceled&actor=a%26b&before=1-2").unwrap();
        assert_eq!(one.filter.types, [EventType::Canceled]);
        assert_eq!(
            one.path("/audit", one.before.as_deref()),
            "/audit?what=run.canceled&actor=a%26b&before=1-2"
        );
        let (plain, everything) = (read("/audit").unwrap(), read("/audit?what=everything").unwrap());
        assert!(!plain.filter.types.contains(&EventType::Progressed) && !plain.is_narrowed());
        assert_eq!((everything.filter, everything.what.as_str()), (AuditFilter::default(), EVERYTHING));
        for bad in ["/audit?what=run", "/audit?before=x", "/audit?who=amy", "/audit?actor=a%00b"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
