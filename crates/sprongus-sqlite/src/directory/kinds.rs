//! Kinds that somebody paused or resumed.

use rusqlite::Connection;
use sprongus_core::Result;
use sprongus_core::runs::Caller;
use sprongus_core::values::names::Kind;
use sprongus_core::workspace::directory::KindSetting;
use sprongus_core::workspace::operator::OperatorAct;

use crate::connection::writer::Tx;
use crate::directory::check_workspace;
use crate::events::operator::note;
use crate::rows::{self, Read, RowReader};

const KINDS: &str =
    "SELECT kind, paused, changed_at, changed_by FROM kinds WHERE workspace_id = ?1 ORDER BY kind";
const KIND: &str =
    "SELECT kind, paused, changed_at, changed_by FROM kinds WHERE workspace_id = ?1 AND kind = ?2";
const PAUSE: &str = "
    INSERT INTO kinds AS k (workspace_id, kind, paused, changed_at, changed_by) VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT (workspace_id, kind) DO UPDATE SET paused = excluded.paused, changed_at = excluded.changed_at,
        changed_by = excluded.changed_by WHERE k.paused <> excluded.paused";

fn kind_setting(row: &mut RowReader<'_, '_>) -> Read<KindSetting> {
    Ok(KindSetting {
        kind: row.parse()?,
        paused: row.value()?,
        changed_at: row.parse_optional()?,
        changed_by: row.value()?,
    })
}

/// The kinds somebody paused or resumed.
pub fn list(connection: &Connection, caller: &Caller) -> Result<Vec<KindSetting>> {
    rows::all(connection, KINDS, [caller.workspace.as_str()], kind_setting)
}

/// Pauses a kind, or resumes it.
pub fn pause(tx: &Tx<'_>, caller: &Caller, kind: &Kind, paused: bool) -> Result<KindSetting> {
    check_workspace(tx, caller)?;
    let (workspace, name) = (caller.workspace.as_str(), kind.as_str());
    let before = rows::first(tx.connection, KIND, (workspace, name), kind_setting)?;
    rows::execute(tx.connection, PAUSE, (workspace, name, paused, tx.now.to_string(), &caller.actor))?;
    note(tx, caller, OperatorAct::kind_set(kind, before.as_ref(), paused))?;
    rows::only(tx.connection, KIND, (workspace, name), kind_setting)
}
