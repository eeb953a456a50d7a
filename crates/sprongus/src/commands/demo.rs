//! `demo`: the main job on real input, start to finish, through the same calls as every other command.
//!
//! A screenplay is pulled and a storyboard kept in step with it, in a folder of its own. [`folder`] lays the folder out,
//! [`scenario`] is what happens, [`narration`] says what is seen. Nothing here is a shortcut: what a step announces is what a person would
//! type, and the runs it leaves are there for `sprongus runs` afterwards.

mod folder;
mod narration;
mod scenario;

use std::path::PathBuf;

use sprongus_core::Error;
use sprongus_core::values::names::WorkspaceId;

use crate::app::App;
use crate::connect::{self, Access, Wish};
use crate::env::Environment;
use crate::exit::Exit;
use crate::exit::failure::{Failure, Outcome};
use crate::render::screen::Format;
use crate::telemetry;
use folder::DemoFolder;
use scenario::Demo;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder for the demo, created if missing
    #[arg(long = "in", value_name = "FOLDER", default_value = "sprongus-demo")]
    pub folder: PathBuf,
}

/// Plays it. Exits as the first run did that ended otherwise than the demo means it to.
pub async fn run(args: Args, app: &App) -> Outcome {
    let is_elsewhere = app.globals.db.is_some() || app.globals.remote.is_some();
    if is_elsewhere || app.globals.workspace.as_deref().is_some_and(|named| named != WorkspaceId::LOCAL) {
        return Err(Error::validation("the demo uses its own database, in its own folder")
            .with_hint("remove --db, --remote and --workspace; use `--in FOLDER` to choose the folder")
            .into());
    }
    if app.screen.verbose > 0 {
        telemetry::log(&app.screen);
    }
    let folder = DemoFolder::open(&args.folder, &app.around.folder)?;
    for kept in folder.set(&app.screen)? {
        app.screen.note(&format!("you changed {}; your version is saved as {}", kept.was, kept.is));
    }
    let place =
        Environment { folder: folder.folder.clone(), user: app.around.user.clone(), ..Default::default() };
    let connection =
        connect::connect(&Wish::default(), app.globals.workspace.as_deref(), &place, Access::Creating)
            .await?;
    let mut demo = Demo::new(&app.screen, &folder, connection.runs);
    match play(&mut demo, app, &folder).await {
        // The run that was followed went back to a queue that nobody else serves.
        Err(Failure::Interrupted(_)) => {
            app.screen.note("stopped; run `sprongus demo` to start over");
            Ok(Exit::Interrupted)
        }
        outcome => outcome,
    }
}

async fn play(demo: &mut Demo<'_>, app: &App, folder: &DemoFolder) -> Outcome {
    if app.screen.format == Format::People {
        app.screen.text(&narration::title(folder))?;
    }
    for step in scenario::STEPS {
        let exit = demo.play(step).await?;
        if exit != Exit::Done {
            return Ok(exit);
        }
    }
    if app.screen.format == Format::People {
        let (retried, history) = demo.retried_run().await?;
        app.screen.text(&narration::end(folder, retried, &history, app.around.names_a_database()))?;
    }
    Ok(Exit::Done)
}
