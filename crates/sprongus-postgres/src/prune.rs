//! Retention: ended runs go, with all that is theirs, oldest first and a small batch at a time. The server's role may delete no run;
//! the owner's function looks for itself whether a run may go.

use sprongus_core::directory::{Pruned, Retention};
use sprongus_core::runs::Caller;
use sprongus_core::state::State;

use crate::change::present;
use crate::claim::projects;
use crate::fault::Result;
use crate::session::{Database, PRESENT, Params};
use crate::values::Time;

const TAKE: &str = "SELECT prune($1, $2, $3, $4::text[], $5)";
const COUNT_SUCCEEDED: &str = "
    SELECT count(*) FROM run_events e JOIN runs r ON r.id = e.run_id
    WHERE e.workspace_id = $1 AND e.type = 'run.succeeded' AND e.run_created_at < $3 AND r.state = $2 AND r.finished_at < $3
        AND ($4::text[] IS NULL OR r.project_id = ANY ($4::text[]))";
const COUNT_BAD_ENDS: &str = "
    SELECT count(*) FROM runs
    WHERE workspace_id = $1 AND ended_as = $2 AND created_at < $3 AND finished_at < $3
        AND ($4::text[] IS NULL OR project_id = ANY ($4::text[]))";

/// Takes a batch, or counts what would go.
pub async fn run(
    database: &Database,
    caller: &Caller,
    retention: Retention,
    limit: u32,
    dry_run: bool,
) -> Result<Pruned> {
    let mut session = database.session().await?;
    let turned = database.turned();
    let asked: [(&str, Params<'_>); 1] = [(PRESENT, &[&turned])];
    let now = present(&session.look(&caller.workspace, &asked).await?.pop().unwrap_or_default())?;
    let (workspace, projects) = (caller.workspace.as_str(), projects(caller));
    let mut pruned = Pruned::default();
    let mut left = limit;
    for state in State::ALL {
        let Some(cutoff) = retention.cutoff(state, now).map(Time) else { continue };
        let (name, most) = (state.as_str(), i32::try_from(left).unwrap_or(i32::MAX));
        let counted: Params<'_> = &[&workspace, &name, &cutoff, &projects];
        let taken: Params<'_> = &[&workspace, &name, &cutoff, &projects, &most];
        let asked = match (dry_run, state) {
            (true, State::Succeeded) => (COUNT_SUCCEEDED, counted),
            (true, State::Failed | State::Canceled | State::Queued | State::Running) => {
                (COUNT_BAD_ENDS, counted)
            }
            (false, _) => (TAKE, taken),
        };
        let rows = session.transact(&caller.workspace, &[asked]).await?.pop().unwrap_or_default();
        let runs: i64 = match rows.first() {
            Some(row) => row.try_get(0)?,
            None => 0,
        };
        if runs > 0 {
            pruned.runs.insert(state, u64::try_from(runs).unwrap_or(0));
        }
        left -= u32::try_from(runs).unwrap_or(left).min(left);
    }
    Ok(pruned)
}
