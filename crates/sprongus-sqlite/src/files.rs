//! Artifacts: the rows of a run's files, and the places whose bytes are to be deleted.

use async_trait::async_trait;
use rusqlite::Connection;
use sprongus_core::Result;
use sprongus_core::rules::{Act, artifact, record};
use sprongus_core::run::artifact::{Artifact, FileName, NewFile, StoredFile};
use sprongus_core::run::{Hold, Run};
use sprongus_core::runs::Caller;
use sprongus_core::store::Files;
use sprongus_core::values::ids::RunId;
use sprongus_core::values::time::Timestamp;

use crate::connection::writer::Tx;
use crate::runs::load::load;
use crate::{Sqlite, rows};

const EXPECT: &str = "INSERT INTO unwanted_blobs (location, due_at) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
const DUE: &str = "SELECT due_at FROM unwanted_blobs WHERE location = ?1";
const UNWANTED: &str =
    "SELECT location FROM unwanted_blobs WHERE due_at <= ?1 ORDER BY due_at, location LIMIT ?2";
const FORGET: &str = "DELETE FROM unwanted_blobs WHERE location = ?1";
const BESIDE: &str = "SELECT count(*) FROM run_artifacts WHERE run_id = ?1 AND name NOT IN (?2, ?3)";
const FILE: &str = "
    SELECT size, sha256, content_type, created_at, location FROM run_artifacts WHERE run_id = ?1 AND name = ?2";
const ARTIFACTS: &str = "
    SELECT size, sha256, content_type, created_at, name FROM run_artifacts WHERE run_id = ?1 AND name <> ?2
    ORDER BY name";
const PUT: &str = "
    INSERT INTO run_artifacts (run_id, name, size, sha256, content_type, location, created_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
const DROP: &str = "DELETE FROM run_artifacts WHERE run_id = ?1 AND name = ?2";

#[async_trait]
impl Files for Sqlite {
    async fn expect_blob(&self, location: &str, due: Timestamp) -> Result<()> {
        let location = location.to_owned();
        self.writer.write(move |tx| expect(tx, &location, due)).await
    }

    async fn put_file(&self, caller: &Caller, hold: &Hold, file: NewFile) -> Result<StoredFile> {
        let (caller, hold) = (caller.clone(), hold.clone());
        self.writer.write(move |tx| put(tx, &caller, &hold, &file)).await
    }

    async fn drop_file(&self, caller: &Caller, hold: &Hold, name: &FileName) -> Result<()> {
        let (caller, hold, name) = (caller.clone(), hold.clone(), name.clone());
        self.writer.write(move |tx| drop_file(tx, &caller, &hold, &name)).await
    }

    async fn artifacts(&self, caller: &Caller, id: RunId) -> Result<Vec<Artifact>> {
        let caller = caller.clone();
        self.read(move |connection, _| artifacts(connection, &caller, id)).await
    }

    async fn file(&self, caller: &Caller, id: RunId, name: &FileName) -> Result<StoredFile> {
        let (caller, name) = (caller.clone(), name.clone());
        self.read(move |connection, _| file(connection, &caller, id, &name)).await
    }

    async fn unwanted_blobs(&self, limit: u32) -> Result<Vec<String>> {
        self.writer.write(move |tx| unwanted(tx, limit)).await
    }

    async fn forget_blobs(&self, locations: &[String]) -> Result<()> {
        let locations = locations.to_vec();
        self.writer.write(move |tx| forget(tx, &locations)).await
    }
}

fn expect(tx: &Tx<'_>, location: &str, due: Timestamp) -> Result<()> {
    rows::execute(tx.connection, EXPECT, (location, due.to_string())).map(drop)
}

/// Gives written bytes a row, in place of the one of the same name.
fn put(tx: &Tx<'_>, caller: &Caller, hold: &Hold, file: &NewFile) -> Result<StoredFile> {
    let run = load(tx.connection, caller, hold.id)??;
    let (id, name) = (hold.id.to_string(), file.name.as_str());
    let beside = rows::only(tx.connection, BESIDE, (&id, name, FileName::WORKDIR), |row| row.integer())?;
    artifact::put(&run, hold, &file.name, beside, Act { now: tx.now, actor: &caller.actor })?;
    let before = find(tx.connection, hold.id, &file.name)?;
    if let Some(same) = before.filter(|stored| stored.file == *file) {
        return Ok(same);
    }
    let due = rows::first(tx.connection, DUE, [&file.location], |row| row.parse())?;
    artifact::expected(due, tx.now)?;
    let size = rows::number(file.size);
    rows::execute(tx.connection, FORGET, [&file.location])?;
    rows::execute(tx.connection, DROP, (&id, name))?;
    let made = tx.now.to_string();
    let put = (&id, name, size, &file.sha256, &file.content_type, &file.location, made);
    rows::execute(tx.connection, PUT, put)?;
    Ok(StoredFile { file: file.clone(), created_at: tx.now })
}

fn drop_file(tx: &Tx<'_>, caller: &Caller, hold: &Hold, name: &FileName) -> Result<()> {
    let run = load(tx.connection, caller, hold.id)??;
    record::admit(&run, hold, Act { now: tx.now, actor: &caller.actor })?;
    rows::execute(tx.connection, DROP, (hold.id.to_string(), name.as_str())).map(drop)
}

/// The places whose time has come. Read under the write lock, though nothing is written: no upload that is being given its row
/// just now is taken for one whose time is over.
fn unwanted(tx: &Tx<'_>, limit: u32) -> Result<Vec<String>> {
    rows::all(tx.connection, UNWANTED, (tx.now.to_string(), limit), |row| row.value())
}

fn forget(tx: &Tx<'_>, locations: &[String]) -> Result<()> {
    locations.iter().try_for_each(|location| rows::execute(tx.connection, FORGET, [location]).map(drop))
}

fn artifacts(connection: &Connection, caller: &Caller, id: RunId) -> Result<Vec<Artifact>> {
    load(connection, caller, id)??;
    rows::all(connection, ARTIFACTS, (id.to_string(), FileName::WORKDIR), |row| {
        let (size, sha256, content_type) = (row.integer()?, row.value()?, row.value()?);
        let (created_at, name) = (row.parse()?, row.parse()?);
        Ok(Artifact { run_id: id, name, size, sha256, content_type, created_at })
    })
}

fn file(connection: &Connection, caller: &Caller, id: RunId, name: &FileName) -> Result<StoredFile> {
    load(connection, caller, id)??;
    find(connection, id, name)?.ok_or_else(|| artifact::missing(name))
}

/// Whether a run's work directory is kept.
pub fn keeps_workdir(connection: &Connection, run: &Run) -> Result<bool> {
    Ok(find(connection, run.id, &FileName::Workdir)?.is_some())
}

fn find(connection: &Connection, id: RunId, name: &FileName) -> Result<Option<StoredFile>> {
    rows::first(connection, FILE, (id.to_string(), name.as_str()), |row| {
        let (size, sha256, content_type) = (row.integer()?, row.value()?, row.value()?);
        let (created_at, location) = (row.parse()?, row.value()?);
        let file = NewFile { name: name.clone(), size, sha256, content_type, location };
        Ok(StoredFile { file, created_at })
    })
}
