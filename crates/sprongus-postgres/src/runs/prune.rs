//! Retention: ended runs go, with all that is theirs, oldest first and a small batch at a time; of successes, those
//! that have an event of their own before those of batches. The server's role may delete no run;
//! the owner's function looks for itself whether a run may go. How each looks for them is said there
//! (`migrations/0008_retention_by_kind.sql`); the counts look alike.

use sprongus_core::run::retention::{Pruned, Retention};
use sprongus_core::run::state::State;
use sprongus_core::runs::Caller;
use sprongus_core::workspace::operator::OperatorAct;

use crate::connection::clock::{PRESENT, present};
use crate::connection::session::{Database, Params};
use crate::error::Result;
use crate::events::operator::commit;
use crate::rows::values::Time;
use crate::rows::{RowReader, restricted_to};

const TAKE: &str = "SELECT of_kind, taken FROM prune_kinds($1, $2, $3, $4, $5, $6::text[], $7)";
const COUNT_SUCCEEDED: &str = "
    SELECT r.kind, count(*) FROM (
        SELECT run_id FROM single_events WHERE workspace_id = $1 AND type = 'run.succeeded' AND run_created_at < $3
        UNION ALL
        SELECT run_id FROM batch_successes WHERE workspace_id = $1 AND run_created_at < $3) AS e JOIN runs r ON r.id = e.run_id
    WHERE r.state = $2 AND r.finished_at < $3 AND ($4::text[] IS NULL OR r.project_id = ANY ($4::text[]))
    GROUP BY r.kind";
pub(crate) const COUNT_BY_KIND: &str = "
    WITH RECURSIVE walked (kind) AS (
        (SELECT kind FROM runs WHERE workspace_id = $1 ORDER BY kind LIMIT 1)
        UNION ALL
        SELECT (SELECT kind FROM runs WHERE workspace_id = $1 AND kind > walked.kind ORDER BY kind LIMIT 1) FROM walked
        WHERE walked.kind IS NOT NULL)
    SELECT walked.kind, counted.runs FROM walked
    CROSS JOIN LATERAL (SELECT coalesce(($5::timestamptz[])[array_position($4::text[], walked.kind)], $3) AS cutoff OFFSET 0) AS own
    CROSS JOIN LATERAL (
        SELECT count(*) AS runs FROM runs r WHERE r.workspace_id = $1 AND r.kind = walked.kind AND r.state = $2
            AND r.created_at < own.cutoff AND r.finished_at < own.cutoff
            AND ($6::text[] IS NULL OR r.project_id = ANY ($6::text[]))) AS counted
    WHERE walked.kind IS NOT NULL";
pub(crate) const COUNT_BAD_ENDS: &str = "
    SELECT kind, count(*) FROM runs
    WHERE workspace_id = $1 AND ended_as = $2 AND created_at < greatest($3, (SELECT max(c) FROM unnest($5::timestamptz[]) AS c))
        AND finished_at < coalesce(($5::timestamptz[])[array_position($4::text[], kind)], $3)
        AND ($6::text[] IS NULL OR project_id = ANY ($6::text[]))
    GROUP BY kind";

/// Takes a batch, or counts what would go.
pub async fn run(
    database: &Database,
    caller: &Caller,
    retention: &Retention,
    limit: u32,
    dry_run: bool,
) -> Result<Pruned> {
    let mut session = database.session().await?;
    let clock = database.clock_override();
    let [now] = session.begin_with(&caller.workspace, [(PRESENT, &[&clock])]).await?;
    let now = present(&now)?;
    let (workspace, projects) = (caller.workspace.as_str(), restricted_to(caller));
    let mut pruned = Pruned::default();
    let mut left = limit;
    for state in State::ALL {
        let Some(cutoff) = retention.cutoff(state, now).map(Time) else { continue };
        let own = retention.own_cutoffs(state, now);
        let (kinds, cutoffs): (Vec<&str>, Vec<Time>) =
            own.into_iter().map(|(kind, time)| (kind, Time(time))).unzip();
        let (name, most) = (state.as_str(), i32::try_from(left).unwrap_or(i32::MAX));
        let taken: Params<'_> = &[&workspace, &name, &cutoff, &kinds, &cutoffs, &projects, &most];
        let counted: Params<'_> = &[&workspace, &name, &cutoff, &kinds, &cutoffs, &projects];
        let usual: Params<'_> = &[&workspace, &name, &cutoff, &projects];
        let (sql, params) = match (dry_run, state) {
            (true, State::Succeeded) if kinds.is_empty() => (COUNT_SUCCEEDED, usual),
            (true, State::Succeeded) => (COUNT_BY_KIND, counted),
            (true, State::Failed | State::Canceled | State::Queued | State::Running) => {
                (COUNT_BAD_ENDS, counted)
            }
            (false, _) => (TAKE, taken),
        };
        let before = pruned.total();
        for row in session.query(sql, params).await? {
            let mut row = RowReader::new(&row);
            pruned.add(row.value()?, state, row.bigint()?);
        }
        left -= u32::try_from(pruned.total() - before).unwrap_or(left).min(left);
    }
    let act = OperatorAct::pruned(&pruned, retention).filter(|_| !dry_run);
    commit(session, caller, act.map(|act| (act, now))).await?;
    Ok(pruned)
}
