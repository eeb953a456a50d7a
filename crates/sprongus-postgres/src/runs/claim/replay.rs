//! A claim made before: what it gave and its worker still holds, and nothing else; under a new token.

use sprongus_core::rules::claim::{self, Remembered};
use sprongus_core::rules::order::Order;
use sprongus_core::run::artifact::FileName;
use sprongus_core::run::lease::LeaseToken;
use sprongus_core::run::{ClaimRequest, Claimed};
use sprongus_core::runs::Caller;
use sprongus_core::values::ids::TokenId;
use uuid::Uuid;

use crate::connection::session::{Database, Params};
use crate::error::Result;
use crate::files::{WORKDIRS, run_ids};
use crate::rows::{self, RowReader, restricted_to, run_columns, step_columns};

/// `$3` are the projects the caller is restricted to: whether it gave any run of another.
const GIVEN: &str = "
    SELECT worker_id, token_id, run_ids, epochs, $3::text[] IS NOT NULL AND EXISTS (
        SELECT FROM runs r WHERE r.workspace_id = $1 AND r.id = ANY (run_ids) AND (r.project_id = ANY ($3::text[])) IS NOT TRUE)
    FROM claims c WHERE c.workspace_id = $1 AND claim_id = $2";
/// The guard is that of `rules::claim::replay`; the suite holds the two to one another.
const RENEW: &str = concat!(
    "WITH present AS MATERIALIZED (SELECT coalesce($1::timestamptz, date_trunc('milliseconds', clock_timestamp())) AS now)
     UPDATE runs SET lease_hash = $6::bytea FROM unnest($3::uuid[], $4::bigint[]) AS given (given_id, given_epoch)
     WHERE workspace_id = $2 AND id = given_id AND epoch = given_epoch AND claimed_by = $5
        AND lease_expires_at > (SELECT now FROM present)
     RETURNING ",
    run_columns!()
);
const STEPS: &str = concat!(
    "SELECT ",
    step_columns!(),
    " FROM run_steps s JOIN unnest($2::uuid[], $3::bigint[]) AS given (given_id, given_epoch)
        ON run_id = given_id AND epoch = given_epoch
     WHERE workspace_id = $1 ORDER BY run_id, ordinal"
);

/// The runs that a claim gave, and the epochs it gave them under.
pub struct Given {
    ids: Vec<Uuid>,
    epochs: Vec<i64>,
}

/// What the claim of this name gave before; none when there was no such claim. Refused to whom it does not belong.
pub async fn given(database: &Database, caller: &Caller, request: &ClaimRequest) -> Result<Option<Given>> {
    let Some(claim_id) = &request.claim_id else { return Ok(None) };
    let (workspace, claim_id, projects) =
        (caller.workspace.as_str(), claim_id.as_str(), restricted_to(caller));
    let asked: [(&str, Params<'_>); 1] = [(GIVEN, &[&workspace, &claim_id, &projects])];
    let [claim] = database.transact(&caller.workspace, asked).await?;
    let Some(row) = claim.first() else { return Ok(None) };
    let mut row = RowReader::new(row);
    let worker_id = row.parse()?;
    let token_id = row.optional_bits()?.map(TokenId::from_bits);
    Remembered { worker_id, token_id }.check(caller, request)?;
    let given = Given { ids: row.value()?, epochs: row.value()? };
    if row.value()? {
        return Err(claim::name_taken().into());
    }
    Ok(Some(given))
}

/// Those of them that are still held, under the new token.
pub async fn run(
    database: &Database,
    caller: &Caller,
    request: &ClaimRequest,
    token: &LeaseToken,
    given: Given,
) -> Result<Vec<Claimed>> {
    let (clock, workspace, worker) =
        (database.clock_override(), caller.workspace.as_str(), request.worker_id.as_str());
    let hash = token.hash();
    let hash = hash.as_bytes();
    // Whoever locks several runs does so by their ids.
    let mut given: Vec<(Uuid, i64)> = given.ids.into_iter().zip(given.epochs).collect();
    given.sort_unstable();
    let (ids, epochs): (Vec<Uuid>, Vec<i64>) = given.into_iter().unzip();
    let asked: [(&str, Params<'_>); 3] = [
        (RENEW, &[&clock, &workspace, &ids, &epochs, &worker, &hash]),
        (STEPS, &[&workspace, &ids, &epochs]),
        (WORKDIRS, &[&workspace, &ids, &FileName::WORKDIR]),
    ];
    let [held, steps, workdirs] = database.transact(&caller.workspace, asked).await?;
    let (mut held, steps, workdirs) =
        (rows::all(&held, rows::run)?, rows::all(&steps, rows::step)?, run_ids(&workdirs)?);
    // As they were given: what is held keeps its place in the order.
    held.sort_unstable_by_key(Order::of);
    let claimed = held.into_iter().filter_map(|run| {
        let own = steps.iter().filter(|step| step.run_id == run.id).cloned().collect();
        let (steps, keeps_workdir) = (claim::carried(&run, own), workdirs.contains(&run.id));
        claim::handed(run, token, steps, keeps_workdir)
    });
    Ok(claimed.collect())
}
