//! Enqueue: make the run, or find the one that the same key or id and request had made.

use std::collections::HashSet;

use sprongus_core::Result;
use sprongus_core::rules::Act;
use sprongus_core::rules::enqueue::{
    Prepared, enqueue, not_made, taken, unknown_agent_task, unknown_project,
};
use sprongus_core::run::Enqueue;
use sprongus_core::runs::Caller;
use sprongus_core::store::{Batch, Inserted};
use sprongus_core::values::names::{AgentTaskId, ProjectId};
use sprongus_core::workspace::directory::unknown_workspace;

use crate::connection::writer::Tx;
use crate::rows::{self, run_columns};
use crate::runs::write_set::write_unless_taken;

const WORKSPACE: &str = "SELECT 1 FROM workspaces WHERE id = ?1";
const PROJECT: &str = "SELECT 1 FROM projects WHERE workspace_id = ?1 AND id = ?2";
const AGENT_TASK: &str = "SELECT project_id FROM agent_tasks WHERE workspace_id = ?1 AND id = ?2";
pub(crate) const BY_KEY: &str =
    concat!("SELECT ", run_columns!(), " FROM runs WHERE workspace_id = ?1 AND idempotency_key = ?2");
pub(crate) const BY_ID: &str =
    concat!("SELECT ", run_columns!(), " FROM runs WHERE id = ?1 AND workspace_id = ?2");

/// Makes or finds each run; with [`Batch::AllOrNothing`] the first refusal undoes all.
pub fn run(
    tx: &Tx<'_>,
    caller: &Caller,
    requests: &[Prepared],
    batch: Batch,
) -> Result<Vec<Result<Inserted>>> {
    if !rows::exists(tx.connection, WORKSPACE, [caller.workspace.as_str()])? {
        return Err(unknown_workspace(&caller.workspace));
    }
    let mut known = HashSet::new();
    let mut answers = Vec::with_capacity(requests.len());
    for request in requests {
        let answer = match check_references(tx, caller, request, &mut known)? {
            Ok(()) => insert(tx, caller, request)?,
            Err(refused) => Err(refused),
        };
        answers.push(answer);
    }
    if batch == Batch::AllOrNothing && answers.iter().any(Result::is_err) {
        tx.undo();
        return Ok(answers.into_iter().map(|answer| answer.and_then(|_| Err(not_made()))).collect());
    }
    Ok(answers)
}

fn insert(tx: &Tx<'_>, caller: &Caller, request: &Prepared) -> Result<Result<Inserted>> {
    if let Some(key) = &request.idempotency_key
        && let Some(found) = rows::first(tx.connection, BY_KEY, (caller.workspace.as_str(), key), rows::run)?
    {
        return Ok(Inserted::found(found, request, caller));
    }
    let set = enqueue(request, &caller.workspace, Act { now: tx.now, actor: &caller.actor });
    if !write_unless_taken(tx, caller, &set)? {
        let by_id = (request.id.to_string(), caller.workspace.as_str());
        return Ok(match rows::first(tx.connection, BY_ID, by_id, rows::run)? {
            Some(found) => Inserted::found(found, request, caller),
            None => Err(taken()),
        });
    }
    Ok(Ok(Inserted { applied: set.into_made()?, outcome: Enqueue::Created }))
}

/// Whether what the run refers to exists. What does, is remembered for the rest of the batch.
fn check_references(
    tx: &Tx<'_>,
    caller: &Caller,
    request: &Prepared,
    known: &mut HashSet<String>,
) -> Result<Result<()>> {
    let workspace = caller.workspace.as_str();
    if let Some(id) = &request.project_id
        && !known.contains(&format!("project {id}"))
    {
        if !rows::exists(tx.connection, PROJECT, [workspace, id.as_str()])? {
            return Ok(Err(unknown_project(id)));
        }
        known.insert(format!("project {id}"));
    }
    if let Some(id) = &request.agent_task_id
        && !known.contains(&format!("task {id}"))
    {
        if !may_name(tx, caller, id)? {
            return Ok(Err(unknown_agent_task(id)));
        }
        known.insert(format!("task {id}"));
    }
    Ok(Ok(()))
}

/// Whether an agent task was made that the caller may see.
fn may_name(tx: &Tx<'_>, caller: &Caller, id: &AgentTaskId) -> Result<bool> {
    let params = [caller.workspace.as_str(), id.as_str()];
    let found: Option<Option<ProjectId>> =
        rows::first(tx.connection, AGENT_TASK, params, |row| row.parse_optional())?;
    Ok(found.is_some_and(|project| caller.may_touch(project.as_ref())))
}
