//! A claim made before: what it gave and its worker still holds, and nothing else.

use sprongus_core::artifact::FileName;
use sprongus_core::ids::RunId;
use sprongus_core::names::WorkerId;
use sprongus_core::rules::claim;
use sprongus_core::run::{ClaimRequest, Claimed, Run};
use sprongus_core::runs::Caller;
use sprongus_core::step::Step;
use sprongus_core::time::Timestamp;
use uuid::Uuid;

use crate::artifact::{WORKDIRS, run_ids};
use crate::change::present;
use crate::fault::Result;
use crate::rows::{self, number, run_columns, step_columns};
use crate::session::{Database, PRESENT, Params};

const GIVEN: &str = "SELECT worker_id, run_ids, epochs FROM claims WHERE workspace_id = $1 AND claim_id = $2";
const RUNS: &str = concat!(
    "SELECT ",
    run_columns!(),
    " FROM runs WHERE workspace_id = $1 AND id = ANY ($2) ORDER BY array_position($2, id)"
);
const STEPS: &str = concat!(
    "SELECT ",
    step_columns!(),
    " FROM run_steps s JOIN unnest($2::uuid[], $3::bigint[]) AS given (given_id, given_epoch)
        ON run_id = given_id AND epoch = given_epoch
     WHERE workspace_id = $1 ORDER BY run_id, ordinal"
);

/// The same runs again; none when there was no such claim.
pub async fn run(
    database: &Database,
    caller: &Caller,
    request: &ClaimRequest,
) -> Result<Option<Vec<Claimed>>> {
    let Some(claim_id) = &request.claim_id else { return Ok(None) };
    let mut session = database.session().await?;
    let (workspace, claim_id) = (caller.workspace.as_str(), claim_id.as_str());
    let asked: [(&str, Params<'_>); 1] = [(GIVEN, &[&workspace, &claim_id])];
    let given = session.transact(&caller.workspace, &asked).await?.pop().unwrap_or_default();
    let Some(given) = given.first() else { return Ok(None) };
    let (worker, ids, epochs): (&str, Vec<Uuid>, Vec<i64>) =
        (given.try_get(0)?, given.try_get(1)?, given.try_get(2)?);
    if worker != request.worker_id.as_str() {
        return Ok(Some(Vec::new()));
    }
    let turned = database.turned();
    let asked: [(&str, Params<'_>); 4] = [
        (RUNS, &[&workspace, &ids]),
        (STEPS, &[&workspace, &ids, &epochs]),
        (WORKDIRS, &[&workspace, &ids, &FileName::WORKDIR]),
        (PRESENT, &[&turned]),
    ];
    let mut answers = session.transact(&caller.workspace, &asked).await?;
    let now = present(&answers.pop().unwrap_or_default())?;
    let workdirs = run_ids(&answers.pop().unwrap_or_default())?;
    let steps = answers.pop().unwrap_or_default().iter().map(rows::step).collect::<Result<Vec<Step>>>()?;
    let mut claimed = Vec::with_capacity(ids.len());
    for row in &answers.pop().unwrap_or_default() {
        let run = rows::run(row)?;
        let epoch = ids.iter().position(|id| RunId::from_bits(id.as_u128()) == run.id);
        let epoch = epoch.and_then(|place| epochs.get(place)).copied();
        if epoch.is_some_and(|epoch| is_held(&run, &request.worker_id, epoch, now)) {
            let own = steps.iter().filter(|step| step.run_id == run.id).cloned().collect();
            let steps = claim::carried(&run, own);
            let keeps_workdir = workdirs.contains(&run.id);
            claimed.extend(claim::handed(run, steps, keeps_workdir));
        }
    }
    Ok(Some(claimed))
}

fn is_held(run: &Run, worker: &WorkerId, epoch: i64, now: Timestamp) -> bool {
    number(run.epoch) == epoch
        && run.claimed_by.as_ref() == Some(worker)
        && run.lease_expires_at.is_some_and(|end| end > now)
}
