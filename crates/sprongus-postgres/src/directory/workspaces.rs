//! Workspaces.

use sprongus_core::Error;
use sprongus_core::runs::Caller;
use sprongus_core::values::names::WorkspaceId;
use sprongus_core::workspace::directory::Workspace;
use sprongus_core::workspace::operator::OperatorAct;

use crate::connection::clock::{PRESENT, now_sql, present};
use crate::connection::session::{Database, Params};
use crate::error::Result;
use crate::events::operator::commit;
use crate::rows::{self, RowReader};

const WORKSPACES: &str = "SELECT id, created_at FROM every_workspace()";
const WORKSPACE: &str = "SELECT id, created_at FROM workspaces WHERE id = $1";
const CREATE: &str = concat!(
    "INSERT INTO workspaces (id, created_at) VALUES ($1, ",
    now_sql!("$2"),
    ") ON CONFLICT DO NOTHING RETURNING id"
);
const DROP: &str = "SELECT drop_workspace($1, $1)";

fn workspace(row: &mut RowReader<'_>) -> Result<Workspace> {
    Ok(Workspace { id: row.parse()?, created_at: row.time()? })
}

/// Every workspace.
pub async fn list(database: &Database) -> Result<Vec<Workspace>> {
    let [found] = database.read(&WorkspaceId::local(), [(WORKSPACES, &[])]).await?;
    rows::all(&found, workspace)
}

/// Makes a workspace.
pub async fn create(database: &Database, caller: &Caller, id: &WorkspaceId) -> Result<Workspace> {
    let (name, clock) = (id.as_str(), database.clock_override());
    let asked: [(&str, Params<'_>); 2] = [(CREATE, &[&name, &clock]), (WORKSPACE, &[&name])];
    let mut session = database.session().await?;
    let [created, found] = session.begin_with(id, asked).await?;
    let made = rows::only(&found, workspace)?;
    let act = (!created.is_empty()).then(|| (OperatorAct::workspace_created(&made), made.created_at));
    commit(session, caller, act).await?;
    Ok(made)
}

/// Deletes a workspace; the database takes along what is its own.
pub async fn delete(database: &Database, caller: &Caller, id: &WorkspaceId) -> Result<()> {
    let (name, clock) = (id.as_str(), database.clock_override());
    let asked: [(&str, Params<'_>); 3] = [(WORKSPACE, &[&name]), (DROP, &[&name]), (PRESENT, &[&clock])];
    let mut session = database.session().await?;
    let [gone, dropped, now] = session.begin_with(id, asked).await?;
    let (gone, is_gone, now) =
        (rows::first(&gone, workspace)?, rows::only(&dropped, |row| row.value())?, present(&now)?);
    let Some(gone) = gone.filter(|_| is_gone) else {
        let unknown = Error::not_found(format_args!("workspace: {id}"));
        return session.refuse(unknown).await;
    };
    commit(session, caller, Some((OperatorAct::workspace_deleted(&gone), now))).await
}
