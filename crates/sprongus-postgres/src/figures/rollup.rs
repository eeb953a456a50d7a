//! The minutes, made of the stream of events a page at a time. Who reads holds the row that says how far; others pass it by.

use std::collections::BTreeMap;

use sprongus_core::figures::rollup::{Added, Counts, KEPT, Minute, Span, Took, Totals, admit, fold};
use sprongus_core::run::event::Event;
use sprongus_core::run::stream::StreamPosition;
use sprongus_core::runs::Caller;
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::operator::OperatorAct;
use tokio_postgres::types::ToSql;

use crate::connection::clock::{PRESENT, present};
use crate::connection::session::{Database, Notify, Params};
use crate::directory::{KNOWN_WORKSPACE, check_workspace};
use crate::error::Result;
use crate::events::operator::commit;
use crate::figures::recent::{self, Columns};
use crate::rows::values::{Time, TransactionId};
use crate::rows::{self, RowReader, events_in_order, number};

const BEGIN: &str = "
    INSERT INTO rolled_up (workspace_id, tx, pos) SELECT $1, '0', 0 WHERE EXISTS (SELECT FROM workspaces WHERE id = $1)
    ON CONFLICT DO NOTHING";
/// In the order of the stream, and no further than it goes by now (`stream.rs`).
const PAGE: &str = concat!(
    "WITH here AS MATERIALIZED (SELECT tx, pos FROM rolled_up WHERE workspace_id = $1 FOR UPDATE SKIP LOCKED)
    SELECT e.*, coalesce(r.kind, ''), coalesce(r.project_id, '') FROM here CROSS JOIN LATERAL (",
    events_in_order!(
        single: "(tx, pos) > (here.tx, here.pos) AND tx < pg_snapshot_xmin(pg_current_snapshot())",
        batch: "(tx, number) > (here.tx, here.pos) AND tx < pg_snapshot_xmin(pg_current_snapshot())",
        in_batch: "(b.tx, e.pos) > (here.tx, here.pos)",
        "ASC", limit: "$2"
    ),
    ") AS e LEFT JOIN runs r ON r.workspace_id = $1 AND r.id = e.run_id
    ORDER BY e.tx, e.pos"
);
const ADD: &str = "
    INSERT INTO run_minutes AS m (workspace_id, minute, kind, enqueued, started, succeeded, failed, canceled, retried, lost, succeeded_ms,
        tokens_in, tokens_out)
    SELECT $1, * FROM unnest($2::timestamptz[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[],
        $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[])
    ON CONFLICT (workspace_id, minute, kind) DO UPDATE SET enqueued = m.enqueued + excluded.enqueued,
        started = m.started + excluded.started, succeeded = m.succeeded + excluded.succeeded,
        failed = m.failed + excluded.failed, canceled = m.canceled + excluded.canceled, retried = m.retried + excluded.retried,
        lost = m.lost + excluded.lost, succeeded_ms = m.succeeded_ms + excluded.succeeded_ms,
        tokens_in = m.tokens_in + excluded.tokens_in, tokens_out = m.tokens_out + excluded.tokens_out";
const ADD_TOTALS: &str = "
    INSERT INTO run_totals AS t (workspace_id, kind, enqueued, started, succeeded, failed, canceled, retried, lost, succeeded_ms,
        tokens_in, tokens_out)
    SELECT $1, * FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[],
        $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[])
    ON CONFLICT (workspace_id, kind) DO UPDATE SET enqueued = t.enqueued + excluded.enqueued,
        started = t.started + excluded.started, succeeded = t.succeeded + excluded.succeeded,
        failed = t.failed + excluded.failed, canceled = t.canceled + excluded.canceled, retried = t.retried + excluded.retried,
        lost = t.lost + excluded.lost, succeeded_ms = t.succeeded_ms + excluded.succeeded_ms,
        tokens_in = t.tokens_in + excluded.tokens_in, tokens_out = t.tokens_out + excluded.tokens_out";
const ADD_SPANS: &str = "
    INSERT INTO run_spans AS s (workspace_id, kind, span, bound, count, total_ms)
    SELECT $1, * FROM unnest($2::text[], $3::text[], $4::integer[], $5::bigint[], $6::bigint[])
    ON CONFLICT (workspace_id, kind, span, bound) DO UPDATE SET count = s.count + excluded.count,
        total_ms = s.total_ms + excluded.total_ms";
const TOTALS: &str = "
    SELECT kind, enqueued, started, succeeded, failed, canceled, retried, lost, succeeded_ms, tokens_in, tokens_out
    FROM run_totals WHERE workspace_id = $1";
const SPANS: &str = "SELECT kind, span, bound, count, total_ms FROM run_spans WHERE workspace_id = $1";
const NOTE: &str = "UPDATE rolled_up SET tx = $2, pos = $3 WHERE workspace_id = $1";
const FORGET: &str = "DELETE FROM run_minutes WHERE workspace_id = $1 AND minute < $2";
/// What named claims gave an hour ago, which nobody asks for any more: many of them come from workers that say nothing but claims.
const FORGET_CLAIMS: &str = "
    DELETE FROM claims WHERE ctid = ANY (ARRAY (
        SELECT ctid FROM claims
        WHERE workspace_id = $1 AND claimed_at < (SELECT coalesce($2::timestamptz, clock_timestamp()) - interval '1 hour')
        ORDER BY claimed_at LIMIT $3 FOR UPDATE SKIP LOCKED))";
const READ_TO: &str = "SELECT tx, pos FROM rolled_up WHERE workspace_id = $1";
/// The row is taken first: whoever adds a page has it until the page is written.
const FORGET_ALL: [&str; 5] = [
    "UPDATE rolled_up SET tx = '0', pos = 0 WHERE workspace_id = $1",
    "DELETE FROM run_recent WHERE workspace_id = $1",
    "DELETE FROM run_minutes WHERE workspace_id = $1",
    "DELETE FROM run_totals WHERE workspace_id = $1",
    "DELETE FROM run_spans WHERE workspace_id = $1",
];
const MINUTES: &str = "
    SELECT minute, kind, enqueued, started, succeeded, failed, canceled, retried, lost, succeeded_ms, tokens_in, tokens_out
    FROM run_minutes WHERE workspace_id = $1 AND minute >= $2 AND minute < $3 ORDER BY minute, kind COLLATE \"C\"";

/// Adds the next events; how many were looked at. Forgets as many old claims, so that they never come faster than they go.
pub async fn roll_up(database: &Database, caller: &Caller, limit: u32) -> Result<u32> {
    admit(caller)?;
    let (workspace, most, clock) = (caller.workspace.as_str(), i64::from(limit), database.clock_override());
    let mut session = database.session().await?;
    let asked: [(&str, Params<'_>); 4] = [
        (FORGET_CLAIMS, &[&workspace, &clock, &most]),
        (BEGIN, &[&workspace]),
        (PAGE, &[&workspace, &most]),
        (PRESENT, &[&clock]),
    ];
    let [_, _, page, now] = session.begin_with(&caller.workspace, asked).await?;
    let now = present(&now)?;
    let mut events: Vec<(&str, &str, Event)> = Vec::with_capacity(page.len());
    let mut last = None;
    for row in &page {
        let mut row = RowReader::new(row);
        let event = rows::event(&mut row)?;
        last = Some(rows::position(&mut row)?);
        events.push((row.value()?, row.value()?, event));
    }
    let Some(last) = last else {
        session.commit_with(&[], Notify::No).await?;
        return Ok(0);
    };
    let sums = fold(events.iter().map(|(kind, project, event)| Added { kind, project, event }), now);
    let minutes: Vec<Time> = sums.minutes.keys().map(|(minute, _)| Time(*minute)).collect();
    let kinds: Vec<&str> = sums.minutes.keys().map(|(_, kind)| kind.as_str()).collect();
    let all_kinds: Vec<&str> = sums.totals.keys().map(String::as_str).collect();
    let in_minutes = columns(sums.minutes.values());
    let in_all = columns(sums.totals.values().map(|totals| &totals.counts));
    let spans = Spans::of(&sums.totals);
    let (tx, pos, oldest) = (TransactionId(last.tx), number(last.pos), Time(now.minus(KEPT)));
    let (recent, forgotten) = (Columns::of(&sums.recent), recent::forgotten(now));
    let asked: [(&str, Params<'_>); 7] = [
        (ADD, &added(&[&workspace, &minutes, &kinds], &in_minutes)),
        (ADD_TOTALS, &added(&[&workspace, &all_kinds], &in_all)),
        (ADD_SPANS, &[&workspace, &spans.kinds, &spans.spans, &spans.bounds, &spans.counts, &spans.totals]),
        (NOTE, &[&workspace, &tx, &pos]),
        (FORGET, &[&workspace, &oldest]),
        (recent::ADD, &recent.params(&workspace)),
        (recent::FORGET, &[&workspace, &forgotten]),
    ];
    session.commit_with(&asked, Notify::No).await?;
    Ok(u32::try_from(page.len()).unwrap_or(u32::MAX))
}

/// How far the stream has been read.
pub async fn read_to(database: &Database, caller: &Caller) -> Result<StreamPosition> {
    let [read_to] = database.read(&caller.workspace, [(READ_TO, &[&caller.workspace.as_str()])]).await?;
    Ok(rows::first(&read_to, rows::position)?.unwrap_or_default())
}

/// Forgets what was made of the stream, and how far it was read.
pub async fn forget(database: &Database, caller: &Caller) -> Result<()> {
    admit(caller)?;
    let (workspace, clock) = (caller.workspace.as_str(), database.clock_override());
    let params: Params<'_> = &[&workspace];
    let [place, recent, minutes, totals, spans] = FORGET_ALL.map(|sql| (sql, params));
    let (known, now): (_, (&str, Params<'_>)) = ((KNOWN_WORKSPACE, params), (PRESENT, &[&clock]));
    let mut session = database.session().await?;
    let asked = [known, place, recent, minutes, totals, spans, now];
    let [known, .., now] = session.begin_with(&caller.workspace, asked).await?;
    if let Err(unknown) = check_workspace(caller, &known) {
        return session.refuse(unknown).await;
    }
    commit(session, caller, Some((OperatorAct::figures_rebuilt(), present(&now)?))).await
}

/// Counts as the columns of one insert.
fn columns<'a>(all: impl Iterator<Item = &'a Counts>) -> [Vec<i64>; 10] {
    let mut columns: [Vec<i64>; 10] = Default::default();
    for counts in all {
        let Counts { enqueued, started, succeeded, failed, canceled, retried, lost, .. } = *counts;
        let Counts { succeeded_ms, tokens_in, tokens_out, .. } = *counts;
        let happened = [enqueued, started, succeeded, failed, canceled, retried, lost];
        let all = happened.into_iter().chain([succeeded_ms, tokens_in, tokens_out]);
        columns.iter_mut().zip(all).for_each(|(column, count)| column.push(number(count)));
    }
    columns
}

/// What [`ADD`] and [`ADD_TOTALS`] take.
fn added<'a>(key: &[&'a (dyn ToSql + Sync)], columns: &'a [Vec<i64>]) -> Vec<&'a (dyn ToSql + Sync)> {
    let columns = columns.iter().map(|column| column as &(dyn ToSql + Sync));
    key.iter().copied().chain(columns).collect()
}

/// How long things took, as the columns of one insert.
#[derive(Default)]
struct Spans<'a> {
    kinds: Vec<&'a str>,
    spans: Vec<&'static str>,
    bounds: Vec<i32>,
    counts: Vec<i64>,
    totals: Vec<i64>,
}

impl<'a> Spans<'a> {
    fn of(totals: &'a BTreeMap<String, Totals>) -> Self {
        let mut spans = Self::default();
        for (kind, totals) in totals {
            for ((span, bound), took) in &totals.spans {
                spans.kinds.push(kind);
                spans.spans.push(span.as_str());
                spans.bounds.push(i32::try_from(*bound).unwrap_or(i32::MAX));
                spans.counts.push(number(took.count));
                spans.totals.push(number(took.total_ms));
            }
        }
        spans
    }
}

/// Everything that ever happened.
pub async fn totals(database: &Database, caller: &Caller) -> Result<BTreeMap<String, Totals>> {
    admit(caller)?;
    let workspace = caller.workspace.as_str();
    let asked: [(&str, Params<'_>); 2] = [(TOTALS, &[&workspace]), (SPANS, &[&workspace])];
    let [found, spans] = database.read(&caller.workspace, asked).await?;
    let mut totals: BTreeMap<String, Totals> = BTreeMap::new();
    for row in &found {
        let mut row = RowReader::new(row);
        let (kind, counts) = (row.value()?, counts(&mut row)?);
        totals.entry(kind).or_default().counts = counts;
    }
    for row in &spans {
        let mut row = RowReader::new(row);
        let (kind, span, bound): (String, Span, i32) = (row.value()?, row.parse()?, row.value()?);
        let took = Took { count: row.bigint()?, total_ms: row.bigint()? };
        totals.entry(kind).or_default().spans.insert((span, usize::try_from(bound).unwrap_or(0)), took);
    }
    Ok(totals)
}

fn counts(row: &mut RowReader<'_>) -> Result<Counts> {
    Ok(Counts {
        enqueued: row.bigint()?,
        started: row.bigint()?,
        succeeded: row.bigint()?,
        failed: row.bigint()?,
        canceled: row.bigint()?,
        retried: row.bigint()?,
        lost: row.bigint()?,
        succeeded_ms: row.bigint()?,
        tokens_in: row.bigint()?,
        tokens_out: row.bigint()?,
    })
}

/// The minutes of a time.
pub async fn minutes(
    database: &Database,
    caller: &Caller,
    since: Timestamp,
    before: Timestamp,
) -> Result<Vec<Minute>> {
    admit(caller)?;
    let (workspace, since, before) = (caller.workspace.as_str(), Time(since), Time(before));
    let [found] = database.read(&caller.workspace, [(MINUTES, &[&workspace, &since, &before])]).await?;
    rows::all(&found, |row| Ok(Minute { minute: row.time()?, kind: row.value()?, counts: counts(row)? }))
}
