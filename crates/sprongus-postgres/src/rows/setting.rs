//! Rows of `settings`, and the statements that write them.

use sprongus_core::json::Json;
use sprongus_core::workspace::setting::{Setting, SettingWrite};
use tokio_postgres::types::ToSql;

use super::reader::RowReader;
use super::small;
use super::values::Time;
use crate::error::Result;

macro_rules! setting_columns {
    () => {
        "family, id, workspace_id, revision, managed_by, definition, applied, progress, due_at, created_at, updated_at"
    };
}
pub(crate) use setting_columns;

const PUT: &str = concat!(
    "INSERT INTO settings (",
    setting_columns!(),
    ") SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::integer[], $5::text[], $6::text[], $7::text[],
        $8::text[], $9::timestamptz[], $10::timestamptz[], $11::timestamptz[])
    ON CONFLICT (workspace_id, family, id) DO UPDATE SET revision = excluded.revision, managed_by = excluded.managed_by,
        definition = excluded.definition, applied = excluded.applied, progress = excluded.progress, due_at = excluded.due_at,
        created_at = excluded.created_at, updated_at = excluded.updated_at"
);
const DELETE: &str = "
    DELETE FROM settings USING unnest($2::text[], $3::text[]) AS gone (gone_family, gone_id)
    WHERE workspace_id = $1 AND family = gone_family AND id = gone_id";

/// A setting, of [`setting_columns`].
pub fn setting(row: &mut RowReader<'_>) -> Result<Setting> {
    let json = |text: String| Json::from_canonical(text);
    Ok(Setting {
        family: row.parse()?,
        id: row.value()?,
        workspace_id: row.parse()?,
        revision: row.integer()?,
        managed_by: row.parse()?,
        definition: json(row.value()?),
        applied: row.value::<Option<String>>()?.map(json),
        progress: json(row.value()?),
        due_at: row.optional_time()?,
        created_at: row.time()?,
        updated_at: row.time()?,
    })
}

/// Settings as the columns of one statement.
#[derive(Default)]
pub struct SettingColumns<'a> {
    families: Vec<&'static str>,
    ids: Vec<&'a str>,
    workspaces: Vec<&'a str>,
    revisions: Vec<i32>,
    managed_by: Vec<&'static str>,
    definitions: Vec<&'a str>,
    applied: Vec<Option<&'a str>>,
    progress: Vec<&'a str>,
    due: Vec<Option<Time>>,
    created: Vec<Time>,
    updated: Vec<Time>,
    gone: (Vec<&'static str>, Vec<&'a str>),
}

impl<'a> SettingColumns<'a> {
    /// Adds what becomes of one.
    pub fn push(&mut self, write: &'a SettingWrite) {
        match write {
            SettingWrite::Put(setting) => {
                self.families.push(setting.family.as_str());
                self.ids.push(&setting.id);
                self.workspaces.push(setting.workspace_id.as_str());
                self.revisions.push(small(setting.revision));
                self.managed_by.push(setting.managed_by.as_str());
                self.definitions.push(setting.definition.as_str());
                self.applied.push(setting.applied.as_ref().map(Json::as_str));
                self.progress.push(setting.progress.as_str());
                self.due.push(setting.due_at.map(Time));
                self.created.push(Time(setting.created_at));
                self.updated.push(Time(setting.updated_at));
            }
            SettingWrite::Delete(family, id) => {
                self.gone.0.push(family.as_str());
                self.gone.1.push(id);
            }
        }
    }

    /// The statement that puts them, with what it takes and how many rows it writes.
    pub fn put(&self) -> (&'static str, [&(dyn ToSql + Sync); 11], usize) {
        let params: [&(dyn ToSql + Sync); 11] = [
            &self.families,
            &self.ids,
            &self.workspaces,
            &self.revisions,
            &self.managed_by,
            &self.definitions,
            &self.applied,
            &self.progress,
            &self.due,
            &self.created,
            &self.updated,
        ];
        (PUT, params, self.ids.len())
    }

    /// The statement that deletes, likewise; its first parameter is the workspace.
    pub fn delete<'b>(&'b self, workspace: &'b &str) -> (&'static str, [&'b (dyn ToSql + Sync); 3], usize) {
        (DELETE, [workspace, &self.gone.0, &self.gone.1], self.gone.1.len())
    }
}
