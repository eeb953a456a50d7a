//! Files of a run, and the places whose bytes are to be deleted.

use async_trait::async_trait;
use sprongus_core::rules::{self, Act};
use sprongus_core::run::Hold;
use sprongus_core::run::artifact::{Artifact, FileName, NewFile, StoredFile};
use sprongus_core::store::Files;
use sprongus_core::values::ids::RunId;
use sprongus_core::values::names::WorkspaceId;
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::directory::Workspace;
use sprongus_core::{Caller, Result};

use crate::model::Model;
use crate::model::tables::{Row, Tables, Tenant};

impl Tables {
    pub(super) fn expect_blob(&mut self, location: &str, due: Timestamp) {
        self.unwanted.entry(location.to_owned()).or_insert(due);
    }

    pub(super) fn put_file(
        &mut self,
        caller: &Caller,
        hold: &Hold,
        file: NewFile,
        act: Act<'_>,
    ) -> Result<StoredFile> {
        let due = self.unwanted.get(&file.location).copied();
        let tenant = self.tenant_mut(&caller.workspace)?;
        let row = tenant.row(caller, hold.id)?;
        rules::artifact::put(&row.run, hold, &file.name, row.artifacts_beside(&file.name), act)?;
        if let Some(stored) = row.files.get(file.name.as_str()).filter(|stored| stored.file == file) {
            return Ok(stored.clone());
        }
        rules::artifact::expected(due, act.now)?;
        let stored = StoredFile { file, created_at: act.now };
        tenant.take_file(hold.id, &stored.file.name);
        if let Some(row) = tenant.rows.get_mut(&hold.id) {
            row.files.insert(stored.file.name.as_str().to_owned(), stored.clone());
        }
        self.unwanted.remove(&stored.file.location);
        Ok(stored)
    }

    /// Up to `limit` places whose time has come, those due longest first.
    pub(super) fn unwanted_blobs(&self, now: Timestamp, limit: u32) -> Vec<String> {
        let due = self.unwanted.iter().filter(|(_, due)| **due <= now);
        let mut due: Vec<(Timestamp, &String)> = due.map(|(location, due)| (*due, location)).collect();
        due.sort();
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        due.into_iter().take(limit).map(|(_, location)| location.clone()).collect()
    }

    /// Lists the places of the files that a call on the workspace has taken away.
    pub(super) fn list_gone(&mut self, id: &WorkspaceId) {
        let gone = self.tenants.get_mut(id).map(|tenant| std::mem::take(&mut tenant.gone));
        self.unwanted.extend(gone.into_iter().flatten().map(at_once));
    }

    /// Takes a workspace, if it is there.
    pub(super) fn delete_workspace(&mut self, id: &WorkspaceId) -> Option<Workspace> {
        let tenant = self.tenants.remove(id)?;
        let files = tenant.rows.into_values().flat_map(|row| row.files.into_values());
        self.unwanted.extend(files.map(|stored| at_once(stored.file.location)));
        Some(Workspace { id: id.clone(), created_at: tenant.created_at })
    }
}

#[async_trait]
impl Files for Model {
    async fn expect_blob(&self, location: &str, due: Timestamp) -> Result<()> {
        self.tables().expect_blob(location, due);
        Ok(())
    }

    async fn put_file(&self, caller: &Caller, hold: &Hold, file: NewFile) -> Result<StoredFile> {
        let act = self.present(caller);
        let mut tables = self.tables();
        let answer = tables.put_file(caller, hold, file, act);
        tables.list_gone(&caller.workspace);
        answer
    }

    async fn drop_file(&self, caller: &Caller, hold: &Hold, name: &FileName) -> Result<()> {
        let act = self.present(caller);
        self.write(caller, |tenant| tenant.drop_file(caller, hold, name, act))
    }

    async fn artifacts(&self, caller: &Caller, id: RunId) -> Result<Vec<Artifact>> {
        self.read(caller, |tenant| Ok(tenant.row(caller, id)?.artifacts()))
    }

    async fn file(&self, caller: &Caller, id: RunId, name: &FileName) -> Result<StoredFile> {
        self.read(caller, |tenant| tenant.row(caller, id)?.file(name))
    }

    async fn unwanted_blobs(&self, limit: u32) -> Result<Vec<String>> {
        let now = self.clock.now();
        Ok(self.tables().unwanted_blobs(now, limit))
    }

    async fn forget_blobs(&self, locations: &[String]) -> Result<()> {
        self.tables().unwanted.retain(|location, _| !locations.contains(location));
        Ok(())
    }
}

/// Before everything that is due at a time.
fn at_once(location: String) -> (String, Timestamp) {
    (location, Timestamp::from_millis(0))
}

impl Tenant {
    pub(super) fn drop_file(
        &mut self,
        caller: &Caller,
        hold: &Hold,
        name: &FileName,
        act: Act<'_>,
    ) -> Result<()> {
        rules::record::admit(&self.row(caller, hold.id)?.run, hold, act)?;
        self.take_file(hold.id, name);
        Ok(())
    }

    fn take_file(&mut self, id: RunId, name: &FileName) {
        let taken = self.rows.get_mut(&id).and_then(|row| row.files.remove(name.as_str()));
        self.gone.extend(taken.map(|stored| stored.file.location));
    }
}

impl Row {
    /// The artifacts that a file of this name does not replace.
    fn artifacts_beside(&self, name: &FileName) -> usize {
        let others = self.files.keys().filter(|other| *other != name.as_str());
        others.filter(|other| *other != FileName::WORKDIR).count()
    }

    pub(super) fn keeps_workdir(&self) -> bool {
        self.files.contains_key(FileName::WORKDIR)
    }

    pub(super) fn artifacts(&self) -> Vec<Artifact> {
        let artifact = |stored: &StoredFile| match &stored.file.name {
            FileName::Artifact(name) => Some(Artifact {
                run_id: self.run.id,
                name: name.clone(),
                size: stored.file.size,
                sha256: stored.file.sha256.clone(),
                content_type: stored.file.content_type.clone(),
                created_at: stored.created_at,
            }),
            FileName::Workdir => None,
        };
        self.files.values().filter_map(artifact).collect()
    }

    pub(super) fn file(&self, name: &FileName) -> Result<StoredFile> {
        self.files.get(name.as_str()).cloned().ok_or_else(|| rules::artifact::missing(name))
    }
}
