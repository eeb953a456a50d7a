//! `backup`: a consistent copy of the database and the artifacts, in a folder that is there as a whole or not at all.

mod bytes;
mod draft;
mod dump;

use std::path::{Path, PathBuf};

use serde::Serialize;
use sprongus_artifacts::Place;
use sprongus_core::values::time::{Clock, SystemClock, Timestamp};
use sprongus_core::{Error, Result};

use crate::app::App;
use crate::connect::{self, Access, Target};
use crate::exit::Exit;
use crate::exit::failure::Outcome;
use crate::render::plural::plural;
use crate::version::VERSION;
use bytes::Kept;
pub use bytes::measure;
use draft::Draft;

/// The name of the manifest in a backup.
pub const MANIFEST: &str = "manifest.json";

/// Where the artifacts' bytes lie in a backup.
pub const ARTIFACTS: &str = "artifacts";

/// How often the database is copied anew because artifacts went while their bytes were copied.
const PASSES: u32 = 3;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder to create; if it exists, it must be empty
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
}

/// What is in a backup.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    /// The version of this form.
    format: u32,
    /// The sprongus that made it.
    sprongus: &'static str,
    /// The database's own version.
    engine: String,
    /// The schema of the copy.
    schema: u32,
    made_at: Timestamp,
    database: Database,
    runs: u64,
    events: u64,
    artifacts: Artifacts,
    /// What is not in it.
    left_out: Vec<&'static str>,
}

/// The copy of the database.
#[derive(Debug, Serialize)]
struct Database {
    file: &'static str,
    bytes: u64,
    sha256: String,
}

/// The artifacts' bytes, kept work directories included.
#[derive(Debug, Default, Serialize)]
struct Artifacts {
    /// Whether they were copied: a folder's are, a bucket's are not.
    copied: bool,
    files: u64,
    bytes: u64,
    /// Where bytes should be and are not.
    missing: Vec<String>,
    /// Where bytes are not those that were kept.
    damaged: Vec<String>,
}

/// What was copied of a database.
struct Copy {
    engine: String,
    schema: u32,
    runs: u64,
    events: u64,
}

/// Makes the backup.
pub async fn run(args: Args, app: &App) -> Outcome {
    let place = connect::choose(&app.wish(), &app.around, Access::Existing)?;
    if let Target::Server(_) = &place.target {
        return Err(Error::validation("cannot back up through a server")
            .with_hint("run it on the database's machine, with --db")
            .into());
    }
    let keeping = connect::artifacts::choose(&place.target, &app.around)?;
    let folder = app.around.folder.join(&args.folder);
    let draft = Draft::begin(&folder)?;
    let name = match &place.target {
        Target::Postgres(_) => "runs.dump",
        Target::File(_) | Target::Server(_) => "runs.db",
    };
    let file = draft.path().join(name);
    let root = match &keeping.place {
        Place::Folder(root) => Some(root.as_path()),
        Place::Bucket { .. } => None,
    };
    let (copy, kept) = copy(&place.target, &file, root, &draft.path().join(ARTIFACTS)).await?;
    let artifacts = Artifacts {
        copied: root.is_some(),
        files: kept.files,
        bytes: kept.bytes,
        missing: kept.missing,
        damaged: kept.damaged,
    };
    let (bytes, sha256) = measure(&file).map_err(|error| draft::failed("read", &file, &error))?;
    let mut left_out =
        vec!["secrets (.sprongus/secrets)", "the first server's token (runs.db.token)", "sprongus.toml"];
    if root.is_none() {
        left_out.push("artifacts: they are in a bucket; back it up separately");
    }
    let manifest = Manifest {
        format: 1,
        sprongus: VERSION.as_str(),
        engine: copy.engine,
        schema: copy.schema,
        made_at: SystemClock.now(),
        database: Database { file: name, bytes, sha256 },
        runs: copy.runs,
        events: copy.events,
        artifacts,
        left_out,
    };
    let text = serde_json::to_string_pretty(&manifest).unwrap_or_default() + "\n";
    draft.write(MANIFEST, text.as_bytes())?;
    draft.finish()?;
    print(app, &args.folder, &manifest)
}

fn print(app: &App, folder: &Path, manifest: &Manifest) -> Outcome {
    let shown = folder.display().to_string();
    app.screen.answer(manifest, &shown, || {
        let files = &manifest.artifacts;
        let kept = match files.copied {
            true => format!("{}, {} bytes", plural(files.files, "file"), files.bytes),
            false => "not copied: they are in a bucket".to_owned(),
        };
        format!(
            "backup {shown}\n  database   {}, schema {}, runs: {}, events: {}\n  artifacts  {kept}\n  left out   {}\n",
            manifest.database.file,
            manifest.schema,
            manifest.runs,
            manifest.events,
            manifest.left_out.join("; ")
        )
    })?;
    let (missing, damaged) = (&manifest.artifacts.missing, &manifest.artifacts.damaged);
    for (what, locations) in [("missing", missing), ("damaged", damaged)] {
        if let Some(first) = locations.first() {
            app.screen.note(&format!("{what} artifacts: {}, such as {first}", locations.len()));
        }
    }
    Ok(if missing.is_empty() && damaged.is_empty() { Exit::Done } else { Exit::Fault })
}

/// Copies the database, then the bytes that the copy refers to. Where some went meanwhile, with their runs or in favour of others, a
/// file is copied once more: the next copy does not refer to them.
async fn copy(target: &Target, file: &Path, root: Option<&Path>, to: &Path) -> Result<(Copy, Kept)> {
    match target {
        Target::Server(_) => Err(Error::internal("a server is not a database")),
        Target::Postgres(url) => {
            let snapshot = sprongus_postgres::snapshot(url, dump::SCHEMA).await?;
            dump::write(url, &snapshot.id, file).await?;
            let kept = bytes::copy(root, to, &snapshot.kept)?;
            let sprongus_postgres::Snapshot { engine, schema, runs, events, .. } = snapshot;
            Ok((Copy { engine, schema, runs, events }, kept))
        }
        Target::File(path) => {
            let mut pass = 0;
            loop {
                pass += 1;
                let made = sprongus_sqlite::copy(path, file)?;
                let kept = bytes::copy(root, to, &made.kept)?;
                if kept.missing.is_empty() || pass == PASSES {
                    let sprongus_sqlite::Copied { engine, schema, runs, events, .. } = made;
                    return Ok((Copy { engine, schema, runs, events }, kept));
                }
                draft::remove(file)?;
            }
        }
    }
}
