//! `runs artifacts`: the files a run keeps, and how a person gets them.

mod download;
mod folder;

use std::path::PathBuf;

use serde::Serialize;
use sprongus_core::Runs;
use sprongus_core::run::artifact::Artifact;
use sprongus_core::run::list::Page;
use sprongus_core::values::text::printable;

use crate::app::App;
use crate::commands::runs::select::run_ref::RunRef;
use crate::connect::Access;
use crate::exit::Exit;
use crate::exit::failure::Outcome;
use crate::render::artifacts::table;
use crate::render::screen::Format;
use folder::Folder;

/// Which run, and where to.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "With --download, existing files are never overwritten: one that is identical to the artifact is reported as unchanged, any other ends the command with exit code 4."
)]
pub struct Args {
    /// Run id, or six or more characters from its beginning or end, or @last
    pub id: RunRef,
    /// Download the files to this folder, verify their SHA-256, and print their paths
    #[arg(long, value_name = "DIR")]
    pub download: Option<PathBuf>,
}

/// A file that is there now.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    #[serde(flatten)]
    artifact: &'a Artifact,
    path: String,
    unchanged: bool,
}

/// Shows them, or fetches them.
pub async fn run(args: Args, app: &App) -> Outcome {
    let runs = app.connect(Access::Existing).await?.runs;
    let id = args.id.find(app, runs.as_ref()).await?;
    let artifacts = runs.artifacts(id).await?;
    let Some(folder) = args.download else {
        let page = Page { data: artifacts, next_cursor: None };
        app.screen.list(&page, |it| it.name.to_string(), || table(&page.data, app.screen.now()))?;
        return Ok(Exit::Done);
    };
    tokio::select! {
        fetched = fetch(app, &*runs, &artifacts, folder) => fetched.map(|()| Exit::Done),
        // What is half there goes with the future that was writing it.
        () = crate::work::interrupted() => Ok(Exit::Interrupted),
    }
}

async fn fetch(app: &App, runs: &dyn Runs, artifacts: &[Artifact], into: PathBuf) -> Outcome<()> {
    if artifacts.is_empty() {
        app.screen.note("the run has no artifacts");
        return Ok(());
    }
    let folder = Folder::open(&into)?;
    for artifact in artifacts {
        let unchanged = download::fetch(runs, artifact, &folder).await?;
        let path = into.join(artifact.name.as_str()).display().to_string();
        match app.screen.format {
            Format::Json => app.screen.json(&Written { artifact, path, unchanged })?,
            Format::People | Format::Quiet => {
                if unchanged {
                    app.screen.note(&format!("unchanged: {}", printable(&path)));
                }
                app.screen.text(&format!("{}\n", printable(&path)))?;
            }
        }
    }
    Ok(())
}
