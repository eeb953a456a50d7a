//! Workspaces.

use rusqlite::Connection;
use sprongus_core::runs::Caller;
use sprongus_core::values::names::WorkspaceId;
use sprongus_core::workspace::directory::Workspace;
use sprongus_core::workspace::operator::OperatorAct;
use sprongus_core::{Error, Result};

use crate::connection::writer::Tx;
use crate::events::operator::note;
use crate::rows::{self, Read, RowReader};

const WORKSPACES: &str = "SELECT id, created_at FROM workspaces ORDER BY id";
const WORKSPACE: &str = "SELECT id, created_at FROM workspaces WHERE id = ?1";
const CREATE: &str = "INSERT INTO workspaces (id, created_at) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
const DELETE: &str = "DELETE FROM workspaces WHERE id = ?1 RETURNING id, created_at";

fn workspace(row: &mut RowReader<'_, '_>) -> Read<Workspace> {
    Ok(Workspace { id: row.parse()?, created_at: row.parse()? })
}

/// Every workspace.
pub fn list(connection: &Connection) -> Result<Vec<Workspace>> {
    rows::all(connection, WORKSPACES, [], workspace)
}

/// Makes a workspace.
pub fn create(tx: &Tx<'_>, caller: &Caller, id: &WorkspaceId) -> Result<Workspace> {
    let is_new = rows::execute(tx.connection, CREATE, (id.as_str(), tx.now.to_string()))? > 0;
    let made = rows::only(tx.connection, WORKSPACE, [id.as_str()], workspace)?;
    note(tx, caller, is_new.then(|| OperatorAct::workspace_created(&made)))?;
    Ok(made)
}

/// Deletes a workspace; the database takes along what is its own.
pub fn delete(tx: &Tx<'_>, caller: &Caller, id: &WorkspaceId) -> Result<()> {
    match rows::first(tx.connection, DELETE, [id.as_str()], workspace)? {
        None => Err(Error::not_found(format_args!("workspace: {id}"))),
        Some(gone) => note(tx, caller, Some(OperatorAct::workspace_deleted(&gone))),
    }
}
