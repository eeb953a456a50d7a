//! Rows of `settings`.

use sprongus_core::Result;
use sprongus_core::json::Json;
use sprongus_core::runs::Caller;
use sprongus_core::workspace::setting::{Setting, SettingWrite};

use super::reader::{Read, RowReader, execute};
use crate::connection::writer::Tx;

macro_rules! setting_columns {
    () => {
        "family, id, workspace_id, revision, managed_by, definition, applied, progress, due_at, created_at, updated_at"
    };
}
pub(crate) use setting_columns;

const PUT: &str = concat!(
    "INSERT OR REPLACE INTO settings (",
    setting_columns!(),
    ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
);
const DELETE: &str = "DELETE FROM settings WHERE workspace_id = ?1 AND family = ?2 AND id = ?3";

/// Writes what became of a setting.
pub fn put_setting(tx: &Tx<'_>, caller: &Caller, change: &SettingWrite) -> Result<()> {
    match change {
        SettingWrite::Put(setting) => {
            let params = rusqlite::params![
                setting.family.as_str(),
                setting.id,
                setting.workspace_id.as_str(),
                setting.revision,
                setting.managed_by.as_str(),
                setting.definition.as_str(),
                setting.applied.as_ref().map(Json::as_str),
                setting.progress.as_str(),
                setting.due_at.map(|due| due.to_string()),
                setting.created_at.to_string(),
                setting.updated_at.to_string(),
            ];
            execute(tx.connection, PUT, params)?;
        }
        SettingWrite::Delete(family, id) => {
            let params = (caller.workspace.as_str(), family.as_str(), id);
            execute(tx.connection, DELETE, params)?;
        }
    }
    Ok(())
}

/// A setting, of [`setting_columns`].
pub fn setting(row: &mut RowReader<'_, '_>) -> Read<Setting> {
    Ok(Setting {
        family: row.parse()?,
        id: row.value()?,
        workspace_id: row.parse()?,
        revision: row.integer()?,
        managed_by: row.parse()?,
        definition: row.json()?,
        applied: row.optional_json()?,
        progress: row.json()?,
        due_at: row.parse_optional()?,
        created_at: row.parse()?,
        updated_at: row.parse()?,
    })
}
