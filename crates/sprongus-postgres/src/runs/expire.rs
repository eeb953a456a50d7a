//! Timers: what time has changed is brought up to the present, oldest first.

use std::collections::HashSet;

use sprongus_core::rules::expire::{MOST_PER_CLAIM, expire};
use sprongus_core::rules::placement::Placement;
use sprongus_core::rules::{Act, SYSTEM, WriteSet};
use sprongus_core::run::Run;
use sprongus_core::run::event::Event;
use sprongus_core::runs::Caller;
use sprongus_core::values::ids::RunId;
use sprongus_core::values::time::Timestamp;
use uuid::Uuid;

use crate::connection::session::{Database, Params};
use crate::error::Result;
use crate::rows::values::Time;
use crate::rows::{self, number};
use crate::runs::load::{lock_in, waiting_steps};
use crate::runs::write_set::{SetWriter, timer};
use crate::settings;

/// The reminders due, oldest first, taken; another that is at it takes others.
const TAKE_DUE: &str = "
    DELETE FROM run_timers WHERE ctid = ANY (ARRAY (
        SELECT ctid FROM run_timers
        WHERE workspace_id = $1 AND due_at <= (SELECT coalesce($2::timestamptz, date_trunc('milliseconds', clock_timestamp())))
        ORDER BY due_at, number LIMIT $3 FOR UPDATE SKIP LOCKED))
    RETURNING due_at, number, run_ids, epochs";

/// Reminders of runs that have all succeeded or been claimed anew, which is for good, so no run is locked for them; those that are due
/// within a second too, so that not every claim meets one. Answers how many there were, and whether any due one is left. The runs'
/// workspace is asked for so that no index answers it, for their key is to.
const SWEEP: &str = "
    WITH present AS MATERIALIZED (SELECT coalesce($2::timestamptz, date_trunc('milliseconds', clock_timestamp())) AS now),
    near AS MATERIALIZED (
        SELECT ctid AS place, due_at, run_ids, epochs FROM run_timers
        WHERE workspace_id = $1 AND due_at <= (SELECT now + interval '1 second' FROM present)
        ORDER BY due_at, number LIMIT $3 FOR UPDATE SKIP LOCKED),
    settled AS MATERIALIZED (
        SELECT place FROM near WHERE NOT EXISTS (
            SELECT FROM unnest(run_ids, epochs) AS t (t_id, t_epoch)
            CROSS JOIN LATERAL (SELECT state, epoch FROM runs WHERE id = t_id AND workspace_id || '' = $1 OFFSET 0) AS run
            WHERE epoch = t_epoch AND state <> 'succeeded')),
    swept AS (DELETE FROM run_timers WHERE ctid = ANY (ARRAY (SELECT place FROM settled)))
    SELECT (SELECT count(*) FROM settled), EXISTS (SELECT FROM run_timers WHERE workspace_id = $1 AND due_at <= (SELECT now FROM present)
        AND ctid <> ALL (ARRAY (SELECT place FROM settled)))";

/// Reminders swept in one go: one of a claim names 1,000 runs at most.
const MOST_SWEPT: i64 = 20;

/// Sweeps before one claim: after a pause there may be the reminders of a whole backlog.
const MOST_SWEEPS: u32 = 50;

const PUT_BACK: &str = "
    INSERT INTO run_timers (workspace_id, due_at, run_ids, epochs) VALUES ($1, $2, $3, $4)";

/// A reminder is put off by at least this, so that none is looked at without end.
const SOON: std::time::Duration = std::time::Duration::from_secs(1);

/// One run of a reminder.
struct Due {
    at: Time,
    id: Uuid,
    epoch: i64,
}

/// Moves due timers before a claim. Most are of leases whose runs have ended meanwhile, and need no rule.
pub async fn before_claim(database: &Database, caller: &Caller) -> Result<Vec<Event>> {
    let (workspace, clock) = (caller.workspace.as_str(), database.clock_override());
    for _ in 0..MOST_SWEEPS {
        let asked: [(&str, Params<'_>); 1] = [(SWEEP, &[&workspace, &clock, &MOST_SWEPT])];
        let [swept] = database.transact(&caller.workspace, asked).await?;
        let (swept, is_due_left): (i64, bool) = rows::only(&swept, |row| Ok((row.value()?, row.value()?)))?;
        if !is_due_left {
            return Ok(settings::move_due(database, caller, MOST_PER_CLAIM).await?.1);
        }
        if swept < MOST_SWEPT {
            break;
        }
    }
    Ok(run(database, caller, MOST_PER_CLAIM).await?.1)
}

/// Moves due timers and due schedules; how many, and what was written.
pub async fn run(database: &Database, caller: &Caller, limit: u32) -> Result<(u32, Vec<Event>)> {
    let (timers, mut events) = move_timers(database, caller, limit).await?;
    let (schedules, more) = settings::move_due(database, caller, limit.saturating_sub(timers)).await?;
    events.extend(more);
    Ok((timers + schedules, events))
}

async fn move_timers(database: &Database, caller: &Caller, limit: u32) -> Result<(u32, Vec<Event>)> {
    let mut session = database.session().await?;
    let (workspace, clock, most) = (caller.workspace.as_str(), database.clock_override(), i64::from(limit));
    let asked: [(&str, Params<'_>); 1] = [(TAKE_DUE, &[&workspace, &clock, &most])];
    let [taken] = session.begin_with(&caller.workspace, asked).await?;
    if taken.is_empty() {
        session.roll_back().await?;
        return Ok((0, Vec::new()));
    }
    let mut reminders: Vec<(Timestamp, i64, Vec<Uuid>, Vec<i64>)> =
        rows::all(&taken, |row| Ok((row.time()?, row.value()?, row.value()?, row.value()?)))?;
    reminders.sort_by_key(|(at, number, ..)| (*at, *number));
    let mut due: Vec<Due> = reminders
        .into_iter()
        .flat_map(|(at, _, ids, epochs)| {
            ids.into_iter().zip(epochs).map(move |(id, epoch)| Due { at: Time(at), id, epoch })
        })
        .collect();
    let later = due.split_off(due.len().min(limit as usize));

    let ids: Vec<RunId> = due.iter().map(|due| RunId::from_bits(due.id.as_u128())).collect();
    let (runs, now) = lock_in(database, &session, caller, &ids).await?;
    let steps = waiting_steps(&session, caller, runs.values()).await?;
    let act = Act { now, actor: SYSTEM };
    let mut seen = HashSet::new();
    let mut moved: Vec<(&Run, WriteSet)> = Vec::new();
    for due in &due {
        let id = RunId::from_bits(due.id.as_u128());
        // A reminder of an epoch gone by is dropped: whoever claimed the run since has set one of his own.
        let Some(run) = runs.get(&id).filter(|run| number(run.epoch) == due.epoch) else {
            continue;
        };
        if seen.insert(id) {
            moved.push((run, expire(run, steps.get(&id), act)));
        }
    }
    let mut writer = SetWriter::new(caller, now);
    for (run, set) in &moved {
        writer.write(&runs, set)?;
        if !set.is_empty() {
            continue;
        }
        if Placement::of(run, now).is_ready() {
            writer.queue(run);
        }
        if let Some(Time(at)) = timer(run, now) {
            writer.set_timer(run, Time(at.max(now.plus(SOON))));
        }
    }
    put_back(&session, caller, &later).await?;
    writer.commit(session, &[]).await?;
    let events = moved.iter().flat_map(|(_, set)| set.events().cloned()).collect();
    Ok((u32::try_from(due.len()).unwrap_or(u32::MAX), events))
}

/// What one call took too many of.
async fn put_back(
    session: &crate::connection::session::Session,
    caller: &Caller,
    later: &[Due],
) -> Result<()> {
    let workspace = caller.workspace.as_str();
    for same in later.chunk_by(|one, other| one.at == other.at) {
        let ids: Vec<Uuid> = same.iter().map(|due| due.id).collect();
        let epochs: Vec<i64> = same.iter().map(|due| due.epoch).collect();
        if let Some(first) = same.first() {
            session.execute(PUT_BACK, &[&workspace, &first.at, &ids, &epochs]).await?;
        }
    }
    Ok(())
}
