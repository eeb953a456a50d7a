//! Heartbeat: the leases of the runs held, longer: one statement for all of them, and no index is touched.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use sprongus_core::rules::Act;
use sprongus_core::rules::heartbeat::heartbeat;
use sprongus_core::run::lease::LeaseHash;
use sprongus_core::run::{Beat, Hold};
use sprongus_core::runs::Caller;
use sprongus_core::values::ids::RunId;
use sprongus_core::{Error, Result as CoreResult};
use uuid::Uuid;

use crate::connection::session::{Database, Params};
use crate::error::Result;
use crate::rows::values::{Time, uuid};
use crate::rows::{RowReader, millis, number, restricted_to};
use crate::runs::load::{lock, missing};
use crate::runs::write_set::SetWriter;

/// A lease that grows leaves its timer alone: it fires early and is put off.
pub(crate) const EXTEND: &str = "
    WITH present AS MATERIALIZED (SELECT coalesce($1::timestamptz, date_trunc('milliseconds', clock_timestamp())) AS now)
    UPDATE runs SET lease_ms = coalesce($6::bigint, lease_ms),
        lease_expires_at = (SELECT now FROM present) + coalesce($6::bigint, lease_ms) * interval '1 millisecond'
    FROM unnest($3::uuid[], $4::bigint[], $5::text[], $8::bytea[]) AS t (t_id, t_epoch, t_worker, t_hash)
    WHERE workspace_id = $2 AND id = t_id AND state = 'running' AND epoch = t_epoch AND claimed_by = t_worker AND lease_hash = t_hash
        AND lease_expires_at > (SELECT now FROM present)
        AND lease_expires_at <= (SELECT now FROM present) + coalesce($6::bigint, lease_ms) * interval '1 millisecond'
        AND ($7::text[] IS NULL OR project_id = ANY ($7::text[]))
    RETURNING id, lease_ms";
const DRAINING: &str = "SELECT id FROM workers WHERE workspace_id = $1 AND id = ANY ($2) AND draining";
const SET_LEASES: &str = "
    UPDATE runs SET lease_ms = t_lease, lease_expires_at = t_end
    FROM unnest($2::uuid[], $3::bigint[], $4::timestamptz[]) AS t (t_id, t_lease, t_end) WHERE workspace_id = $1 AND id = t_id";

/// Lengthens each lease.
pub async fn run(
    database: &Database,
    caller: &Caller,
    holds: &[Hold],
    lease: Option<Duration>,
) -> Result<Vec<CoreResult<Beat>>> {
    if holds.is_empty() {
        return Ok(Vec::new());
    }
    let mut sorted: Vec<&Hold> = holds.iter().collect();
    sorted.sort_by_key(|hold| hold.id);
    let (clock, workspace, projects) =
        (database.clock_override(), caller.workspace.as_str(), restricted_to(caller));
    let ids: Vec<Uuid> = sorted.iter().map(|hold| uuid(hold.id.to_bits())).collect();
    let epochs: Vec<i64> = sorted.iter().map(|hold| number(hold.epoch)).collect();
    let workers: Vec<&str> = sorted.iter().map(|hold| hold.worker_id.as_str()).collect();
    let hashes: Vec<LeaseHash> = sorted.iter().map(|hold| hold.token.hash()).collect();
    let hashes: Vec<&[u8]> = hashes.iter().map(LeaseHash::as_bytes).collect();
    let wanted = lease.map(millis);
    let asked: [(&str, Params<'_>); 2] = [
        (EXTEND, &[&clock, &workspace, &ids, &epochs, &workers, &wanted, &projects, &hashes]),
        (DRAINING, &[&workspace, &workers]),
    ];
    let mut session = database.session().await?;
    let [extended, draining] = session.transact(&caller.workspace, asked).await?;
    drop(session);
    let draining: HashSet<&str> =
        draining.iter().map(|row| RowReader::new(row).value()).collect::<Result<_>>()?;
    let mut beats: HashMap<RunId, CoreResult<Beat>> = HashMap::with_capacity(holds.len());
    for row in &extended {
        let mut row = RowReader::new(row);
        let (id, lease_ms) = (RunId::from_bits(row.bits()?), row.bigint()?);
        beats.insert(id, Ok(Beat { lease_ms, cancel: false, drain: false }));
    }
    let rest: Vec<&Hold> = sorted.into_iter().filter(|hold| !beats.contains_key(&hold.id)).collect();
    beats.extend(ask(database, caller, &rest, lease).await?);
    let lost = || Err(Error::internal("a batch item had no answer"));
    let answers = holds.iter().map(|hold| {
        let drain = draining.contains(hold.worker_id.as_str());
        Ok(Beat { drain, ..beats.remove(&hold.id).unwrap_or_else(lost)? })
    });
    Ok(answers.collect())
}

/// The rule's own word on those that are not simply longer: lost, shorter, or closing.
async fn ask(
    database: &Database,
    caller: &Caller,
    holds: &[&Hold],
    lease: Option<Duration>,
) -> Result<HashMap<RunId, CoreResult<Beat>>> {
    let mut beats = HashMap::with_capacity(holds.len());
    if holds.is_empty() {
        return Ok(beats);
    }
    let ids: Vec<RunId> = holds.iter().map(|hold| hold.id).collect();
    let mut session = database.session().await?;
    let (runs, now) = lock(database, &mut session, caller, &ids).await?;
    let act = Act { now, actor: &caller.actor };
    let mut writer = SetWriter::new(caller, now);
    let (mut set, mut leases, mut ends) = (Vec::new(), Vec::new(), Vec::new());
    for hold in holds {
        let run = runs.get(&hold.id).filter(|run| caller.may_touch(run.project_id.as_ref()));
        let extension = match run {
            Some(run) => heartbeat(run, hold, lease, act).map(|extension| (run, extension)),
            None => Err(missing(hold.id)),
        };
        let beat = extension.map(|(run, extension)| {
            set.push(uuid(hold.id.to_bits()));
            leases.push(millis(extension.lease));
            ends.push(Time(extension.lease_expires_at));
            if run.lease_expires_at.is_some_and(|end| extension.lease_expires_at < end) {
                writer.set_timer(run, Time(extension.lease_expires_at));
            }
            extension.beat
        });
        beats.insert(hold.id, beat);
    }
    let workspace = caller.workspace.as_str();
    writer.commit(session, &[(SET_LEASES, &[&workspace, &set, &leases, &ends])]).await?;
    Ok(beats)
}
