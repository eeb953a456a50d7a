//! Projects, and the agent tasks in them.

use rusqlite::Connection;
use sprongus_core::Result;
use sprongus_core::rules::enqueue::unknown_project;
use sprongus_core::runs::Caller;
use sprongus_core::values::names::ProjectId;
use sprongus_core::workspace::directory::{AgentTask, NewAgentTask, Project};
use sprongus_core::workspace::operator::OperatorAct;

use crate::connection::writer::Tx;
use crate::directory::{KNOWN_PROJECT, check_workspace};
use crate::events::operator::note;
use crate::rows::{self, Read, RowReader, restricted_to};

const PROJECTS: &str = "
    SELECT id, created_at FROM projects WHERE workspace_id = ?1
        AND (?2 IS NULL OR id IN (SELECT value FROM json_each(?2))) ORDER BY id";
const PROJECT: &str = "SELECT id, created_at FROM projects WHERE workspace_id = ?1 AND id = ?2";
const CREATE_PROJECT: &str =
    "INSERT INTO projects (workspace_id, id, created_at) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
const AGENT_TASKS: &str = "
    SELECT id, title, project_id, created_at FROM agent_tasks WHERE workspace_id = ?1
        AND (?2 IS NULL OR project_id IN (SELECT value FROM json_each(?2))) ORDER BY created_at DESC, id DESC LIMIT 100";
const AGENT_TASK: &str =
    "SELECT id, title, project_id, created_at FROM agent_tasks WHERE workspace_id = ?1 AND id = ?2";
const CREATE_AGENT_TASK: &str = "
    INSERT INTO agent_tasks (workspace_id, id, title, project_id, created_at) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING";

fn project(row: &mut RowReader<'_, '_>) -> Read<Project> {
    Ok(Project { id: row.parse()?, created_at: row.parse()? })
}

fn agent_task(row: &mut RowReader<'_, '_>) -> Read<AgentTask> {
    Ok(AgentTask {
        id: row.parse()?,
        title: row.value()?,
        project_id: row.parse_optional()?,
        created_at: row.parse()?,
    })
}

/// The projects the caller may touch.
pub fn list(connection: &Connection, caller: &Caller) -> Result<Vec<Project>> {
    rows::all(connection, PROJECTS, (caller.workspace.as_str(), restricted_to(caller)?), project)
}

/// Makes a project.
pub fn create(tx: &Tx<'_>, caller: &Caller, id: &ProjectId) -> Result<Project> {
    check_workspace(tx, caller)?;
    let (workspace, name) = (caller.workspace.as_str(), id.as_str());
    let is_new = rows::execute(tx.connection, CREATE_PROJECT, (workspace, name, tx.now.to_string()))? > 0;
    let made = rows::only(tx.connection, PROJECT, (workspace, name), project)?;
    note(tx, caller, is_new.then(|| OperatorAct::project_created(&made)))?;
    Ok(made)
}

/// The newest agent tasks that the caller may see.
pub fn agent_tasks(connection: &Connection, caller: &Caller) -> Result<Vec<AgentTask>> {
    rows::all(connection, AGENT_TASKS, (caller.workspace.as_str(), restricted_to(caller)?), agent_task)
}

/// Makes an agent task.
pub fn create_agent_task(tx: &Tx<'_>, caller: &Caller, task: &NewAgentTask) -> Result<AgentTask> {
    check_workspace(tx, caller)?;
    let (workspace, id) = (caller.workspace.as_str(), task.id.as_str());
    let project = task.project_id.as_ref().map(|project| project.as_str());
    if let Some(named) = &task.project_id
        && !rows::exists(tx.connection, KNOWN_PROJECT, [workspace, named.as_str()])?
    {
        return Err(unknown_project(named));
    }
    let new = (workspace, id, &task.title, project, tx.now.to_string());
    rows::execute(tx.connection, CREATE_AGENT_TASK, new)?;
    rows::only(tx.connection, AGENT_TASK, (workspace, id), agent_task)?.answers(task, caller)
}
