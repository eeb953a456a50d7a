//! The audit of what operators did: written with each act, read newest first.

use sprongus_core::json::Json;
use sprongus_core::run::list::Page;
use sprongus_core::run::stream::{Streamed, StreamedEvent};
use sprongus_core::runs::Caller;
use sprongus_core::values::ids::{OperatorEventId, TokenId};
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::operator::{OperatorAct, OperatorEvent, OperatorFilter};

use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::connection::session::{Database, Notify, Params, Session};
use crate::error::Result;
use crate::rows::values::{JsonText, Time, uuid};
use crate::rows::{self, RowReader};

macro_rules! columns {
    () => {
        "id, workspace_id, type, at, actor, token_id, subject, state_before, state_after"
    };
}

/// What concerns a whole workspace is written into another one than it is about.
const SWITCH: &str = "SELECT set_config('sprongus.workspace_id', $1, true)";
const NOTE: &str =
    concat!("INSERT INTO operator_events (", columns!(), ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)");
pub(crate) const EVENTS: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM operator_events WHERE workspace_id = $1 AND at >= $2 AND (at, id) < ($3, $4)
    AND ($5::text[] IS NULL OR type = ANY ($5)) AND ($6::text IS NULL OR actor = $6) ORDER BY at DESC, id DESC LIMIT $7"
);

/// Those that are streamed have places behind those of all events of runs, whose numbers do not come that far.
pub const NOTE_ALL: &str = concat!(
    "INSERT INTO operator_events (",
    columns!(),
    ", tx, pos) SELECT ",
    columns!(),
    ", CASE WHEN is_streamed THEN pg_current_xact_id() END, CASE WHEN is_streamed THEN 4611686018427387904 + place END
    FROM unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::uuid[], $7::text[], $8::jsonb[],
        $9::jsonb[], $10::boolean[]) WITH ORDINALITY AS act (",
    columns!(),
    ", is_streamed, place)"
);
pub(crate) const STREAM: &str = concat!(
    "SELECT ",
    columns!(),
    ", tx, pos FROM operator_events
    WHERE workspace_id = $1 AND (tx, pos) > ($2, $3) AND tx < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY tx, pos LIMIT $4"
);

/// Events as the columns of one statement.
pub struct EventColumns<'a> {
    ids: Vec<Uuid>,
    workspaces: Vec<&'a str>,
    types: Vec<&'static str>,
    times: Vec<Time>,
    actors: Vec<&'a str>,
    tokens: Vec<Option<Uuid>>,
    subjects: Vec<Option<&'a str>>,
    before: Vec<Option<JsonText<'a>>>,
    after: Vec<Option<JsonText<'a>>>,
    streamed: Vec<bool>,
}

impl<'a> EventColumns<'a> {
    /// The columns of these events.
    pub fn of(events: &'a [OperatorEvent]) -> Self {
        let text = |state: &'a Option<Json>| state.as_ref().map(|state| JsonText(state.as_str()));
        Self {
            ids: events.iter().map(|event| uuid(event.id.to_bits())).collect(),
            workspaces: events.iter().map(|event| event.workspace_id.as_str()).collect(),
            types: events.iter().map(|event| event.kind.as_str()).collect(),
            times: events.iter().map(|event| Time(event.at)).collect(),
            actors: events.iter().map(|event| event.actor.as_str()).collect(),
            tokens: events.iter().map(|event| event.token_id.map(|id| uuid(id.to_bits()))).collect(),
            subjects: events.iter().map(|event| event.subject.as_deref()).collect(),
            before: events.iter().map(|event| text(&event.before)).collect(),
            after: events.iter().map(|event| text(&event.after)).collect(),
            streamed: events.iter().map(|event| event.kind.is_streamed()).collect(),
        }
    }

    /// What [`NOTE_ALL`] takes.
    pub fn params(&self) -> [&(dyn ToSql + Sync); 10] {
        [
            &self.ids,
            &self.workspaces,
            &self.types,
            &self.times,
            &self.actors,
            &self.tokens,
            &self.subjects,
            &self.before,
            &self.after,
            &self.streamed,
        ]
    }
}

/// Commits a transaction with its act and the time of it; nothing is noted where nothing was changed.
pub async fn commit(session: Session, caller: &Caller, act: Option<(OperatorAct, Timestamp)>) -> Result<()> {
    let Some((act, at)) = act else { return session.commit_with(&[], Notify::No).await };
    let event = act.by(caller, at);
    let (id, workspace, kind) = (uuid(event.id.to_bits()), event.workspace_id.as_str(), event.kind.as_str());
    let (at, token) = (Time(event.at), event.token_id.map(|id| uuid(id.to_bits())));
    let before = event.before.as_ref().map(|state| JsonText(state.as_str()));
    let after = event.after.as_ref().map(|state| JsonText(state.as_str()));
    let note: Params<'_> =
        &[&id, &workspace, &kind, &at, &event.actor, &token, &event.subject, &before, &after];
    session.commit_with(&[(SWITCH, &[&workspace]), (NOTE, note)], Notify::No).await
}

/// A page of the audit.
pub async fn events(
    database: &Database,
    caller: &Caller,
    filter: &OperatorFilter,
) -> Result<Page<OperatorEvent>> {
    let stretch = filter.stretch(&caller.workspace)?;
    let (at, id) = stretch.before;
    let types: Option<Vec<&str>> =
        (!filter.types.is_empty()).then(|| filter.types.iter().map(|kind| kind.as_str()).collect());
    let (workspace, most) = (caller.workspace.as_str(), i64::from(filter.limit) + 1);
    let (since, at, id) = (Time(stretch.since), Time(at), uuid(id.to_bits()));
    let asked: Params<'_> = &[&workspace, &since, &at, &id, &types, &filter.actor, &most];
    let [found] = database.read(&caller.workspace, [(EVENTS, asked)]).await?;
    Ok(filter.page(&caller.workspace, rows::all(&found, event)?))
}

/// A row of [`STREAM`].
pub fn streamed(row: &mut RowReader<'_>) -> Result<Streamed> {
    let event = StreamedEvent::Workspace(Box::new(event(row)?));
    Ok(Streamed { event, position: rows::position(row)? })
}

fn event(row: &mut RowReader<'_>) -> Result<OperatorEvent> {
    Ok(OperatorEvent {
        id: OperatorEventId::from_bits(row.bits()?),
        workspace_id: row.parse()?,
        kind: row.parse()?,
        at: row.time()?,
        actor: row.value()?,
        token_id: row.optional_bits()?.map(TokenId::from_bits),
        subject: row.value()?,
        before: row.optional_json()?,
        after: row.optional_json()?,
    })
}
