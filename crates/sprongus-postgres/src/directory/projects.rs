//! Projects, and the agent tasks in them.

use sprongus_core::rules::enqueue::unknown_project;
use sprongus_core::runs::Caller;
use sprongus_core::values::names::ProjectId;
use sprongus_core::workspace::directory::{AgentTask, NewAgentTask, Project};
use sprongus_core::workspace::operator::OperatorAct;

use crate::connection::clock::now_sql;
use crate::connection::session::{Database, Params};
use crate::directory::{KNOWN_WORKSPACE, check_workspace};
use crate::error::Result;
use crate::events::operator::commit;
use crate::rows::{self, RowReader, restricted_to};

const PROJECTS: &str = "
    SELECT id, created_at FROM projects
    WHERE workspace_id = $1 AND ($2::text[] IS NULL OR id = ANY ($2::text[])) ORDER BY id COLLATE \"C\"";
const PROJECT: &str = "SELECT id, created_at FROM projects WHERE workspace_id = $1 AND id = $2";
const CREATE_PROJECT: &str = concat!(
    "INSERT INTO projects (workspace_id, id, created_at) SELECT $1, $2, ",
    now_sql!("$3"),
    " WHERE EXISTS (SELECT FROM workspaces WHERE id = $1) ON CONFLICT DO NOTHING RETURNING id"
);
const AGENT_TASKS: &str = "
    SELECT id, title, project_id, created_at FROM agent_tasks
    WHERE workspace_id = $1 AND ($2::text[] IS NULL OR project_id = ANY ($2::text[]))
    ORDER BY created_at DESC, id COLLATE \"C\" DESC LIMIT 100";
const AGENT_TASK: &str =
    "SELECT id, title, project_id, created_at FROM agent_tasks WHERE workspace_id = $1 AND id = $2";
const CREATE_AGENT_TASK: &str = concat!(
    "INSERT INTO agent_tasks (workspace_id, id, title, project_id, created_at) SELECT $1, $2, $3, $4, ",
    now_sql!("$5"),
    " WHERE EXISTS (SELECT FROM workspaces WHERE id = $1)
        AND ($4::text IS NULL OR EXISTS (SELECT FROM projects WHERE workspace_id = $1 AND id = $4))
    ON CONFLICT DO NOTHING"
);

fn project(row: &mut RowReader<'_>) -> Result<Project> {
    Ok(Project { id: row.parse()?, created_at: row.time()? })
}

fn agent_task(row: &mut RowReader<'_>) -> Result<AgentTask> {
    Ok(AgentTask {
        id: row.parse()?,
        title: row.value()?,
        project_id: row.parse_optional()?,
        created_at: row.time()?,
    })
}

/// The projects the caller may touch.
pub async fn list(database: &Database, caller: &Caller) -> Result<Vec<Project>> {
    let (workspace, restricted) = (caller.workspace.as_str(), restricted_to(caller));
    let [found] = database.read(&caller.workspace, [(PROJECTS, &[&workspace, &restricted])]).await?;
    rows::all(&found, project)
}

/// Makes a project.
pub async fn create(database: &Database, caller: &Caller, id: &ProjectId) -> Result<Project> {
    let (workspace, name, clock) = (caller.workspace.as_str(), id.as_str(), database.clock_override());
    let asked: [(&str, Params<'_>); 3] = [
        (KNOWN_WORKSPACE, &[&workspace]),
        (CREATE_PROJECT, &[&workspace, &name, &clock]),
        (PROJECT, &[&workspace, &name]),
    ];
    let mut session = database.session().await?;
    let [known, created, found] = session.begin_with(&caller.workspace, asked).await?;
    if let Err(unknown) = check_workspace(caller, &known) {
        return session.refuse(unknown).await;
    }
    let made = rows::only(&found, project)?;
    let act = (!created.is_empty()).then(|| (OperatorAct::project_created(&made), made.created_at));
    commit(session, caller, act).await?;
    Ok(made)
}

/// The newest agent tasks that the caller may see.
pub async fn agent_tasks(database: &Database, caller: &Caller) -> Result<Vec<AgentTask>> {
    let (workspace, restricted) = (caller.workspace.as_str(), restricted_to(caller));
    let [found] = database.read(&caller.workspace, [(AGENT_TASKS, &[&workspace, &restricted])]).await?;
    rows::all(&found, agent_task)
}

/// Makes an agent task, in one round trip.
pub async fn create_agent_task(
    database: &Database,
    caller: &Caller,
    task: &NewAgentTask,
) -> Result<AgentTask> {
    let (workspace, name, clock) = (caller.workspace.as_str(), task.id.as_str(), database.clock_override());
    let of = task.project_id.as_ref().map(|project| project.as_str());
    let asked: [(&str, Params<'_>); 4] = [
        (KNOWN_WORKSPACE, &[&workspace]),
        (PROJECT, &[&workspace, &of]),
        (CREATE_AGENT_TASK, &[&workspace, &name, &task.title, &of, &clock]),
        (AGENT_TASK, &[&workspace, &name]),
    ];
    let [known, of, _, made] = database.transact(&caller.workspace, asked).await?;
    check_workspace(caller, &known)?;
    if let Some(project) = task.project_id.as_ref().filter(|_| of.is_empty()) {
        return Err(unknown_project(project).into());
    }
    Ok(rows::only(&made, agent_task)?.answers(task, caller)?)
}
