//! A claim that meets a run behind a gate, one that may have expired, or one that owes its CLEANUP: the rule is asked for each.

use std::collections::HashMap;

use sprongus_core::rules::{Act, Transition, claim, dispatch};
use sprongus_core::run::event::Event;
use sprongus_core::run::lease::LeaseToken;
use sprongus_core::run::step::Step;
use sprongus_core::run::{ClaimRequest, Claimed, Run};
use sprongus_core::runs::Caller;
use sprongus_core::values::ids::RunId;
use uuid::Uuid;

use crate::connection::session::{Database, Params, Session};
use crate::error::Result;
use crate::files;
use crate::rows::values::{Time, uuid};
use crate::rows::{self, RowReader, number, restricted_to, step_columns};
use crate::runs::claim::{cursors, kinds, picked};
use crate::runs::load::lock_in;
use crate::runs::write_set::SetWriter;

macro_rules! pick {
    ($with:literal, $picked:expr) => {
        concat!(
            $with,
            " fast_path AS (SELECT true AS is_fast), ",
            $picked,
            " SELECT picked_id FROM picked WHERE $1::timestamptz IS NULL OR true ORDER BY rank, due_at, picked_id"
        )
    };
}

const PICK_ONE: &str = pick!("WITH", picked!(one));
const PICK_SEVERAL: &str = pick!("WITH", picked!(several));
const PICK_ANY: &str = pick!("WITH RECURSIVE", picked!(any));
/// The steps of the execution that met the gate, now under the new epoch.
const CARRY_STEPS: &str = concat!(
    "UPDATE run_steps SET epoch = next FROM unnest($2::uuid[], $3::bigint[]) AS carried (carried_id, next)
     WHERE workspace_id = $1 AND run_id = carried_id AND epoch = next - 1 RETURNING ",
    step_columns!()
);
const REMEMBER: &str = "
    INSERT INTO claims (workspace_id, claim_id, worker_id, claimed_at, run_ids, epochs, token_id) VALUES ($1, $2, $3, $4, $5, $6, $7)";

/// Takes what the rule gives of what is picked.
pub async fn run(
    database: &Database,
    caller: &Caller,
    request: &ClaimRequest,
    token: &LeaseToken,
    events: &mut Vec<Event>,
) -> Result<Vec<Claimed>> {
    let mut session = database.session().await?;
    let ids = pick(&mut session, caller, request).await?;
    let (runs, now) = lock_in(database, &session, caller, &ids).await?;
    let (act, hash) = (Act { now, actor: &caller.actor }, token.hash());
    let set = dispatch::claim(runs.values(), request, hash, act);
    let taken: Vec<&Transition> = dispatch::taken(&set).collect();
    let (mut steps, workdirs) = carry(&session, caller, &runs, &taken).await?;
    let mut writer = SetWriter::new(caller, now);
    writer.write(&runs, &set)?;
    let given: Vec<Uuid> = taken.iter().map(|taken| uuid(taken.run.id.to_bits())).collect();
    let epochs: Vec<i64> = taken.iter().map(|taken| number(taken.run.epoch)).collect();
    let (workspace, worker, now) = (caller.workspace.as_str(), request.worker_id.as_str(), Time(now));
    match request.claim_id.as_ref().filter(|_| !taken.is_empty()) {
        Some(claim_id) => {
            let token_id = caller.token_id.map(|id| uuid(id.to_bits()));
            let remember: Params<'_> =
                &[&workspace, &claim_id.as_str(), &worker, &now, &given, &epochs, &token_id];
            writer.commit(session, &[(REMEMBER, remember)]).await?;
        }
        None => writer.commit(session, &[]).await?,
    }
    let mut claimed = Vec::with_capacity(taken.len());
    for taken in set.transitions.into_iter().filter(dispatch::is_taken) {
        events.extend(taken.events);
        let carried = steps.remove(&taken.run.id).unwrap_or_default();
        let keeps_workdir = workdirs.contains(&taken.run.id);
        claimed.extend(claim::handed(taken.run, token, carried, keeps_workdir));
    }
    Ok(claimed)
}

async fn pick(session: &mut Session, caller: &Caller, request: &ClaimRequest) -> Result<Vec<RunId>> {
    let (workspace, limit) = (caller.workspace.as_str(), i64::from(request.limit));
    let (kinds, projects, none) = (kinds(request), restricted_to(caller), Option::<Time>::None);
    let (ranks, dues, ids) = cursors::Start::lowest(request).columns();
    let all: Params<'_> = &[&none, &workspace, &kinds, &limit, &ranks, &dues, &ids, &projects];
    let sql = match kinds.len() {
        0 => PICK_ANY,
        1 => PICK_ONE,
        _ => PICK_SEVERAL,
    };
    let [picked] = session.begin_with(&caller.workspace, [(sql, all)]).await?;
    rows::all(&picked, |row| Ok(RunId::from_bits(row.bits()?)))
}

/// The steps of those that carry on behind a gate, and which of them keep their work directory.
async fn carry(
    session: &Session,
    caller: &Caller,
    before: &HashMap<RunId, Run>,
    taken: &[&Transition],
) -> Result<(HashMap<RunId, Vec<Step>>, Vec<RunId>)> {
    let behind_gates =
        taken.iter().filter(|taken| before.get(&taken.run.id).is_some_and(|run| run.resuming().is_some()));
    let (ids, epochs): (Vec<Uuid>, Vec<i64>) =
        behind_gates.map(|taken| (uuid(taken.run.id.to_bits()), number(taken.run.epoch))).unzip();
    let mut steps: HashMap<RunId, Vec<Step>> = HashMap::new();
    if ids.is_empty() {
        return Ok((steps, Vec::new()));
    }
    for row in session.query(CARRY_STEPS, &[&caller.workspace.as_str(), &ids, &epochs]).await? {
        let step = rows::step(&mut RowReader::new(&row))?;
        steps.entry(step.run_id).or_default().push(step);
    }
    steps.values_mut().for_each(|steps| steps.sort_by_key(|step| step.ordinal));
    Ok((steps, files::with_workdir(session, &caller.workspace, &ids).await?))
}
