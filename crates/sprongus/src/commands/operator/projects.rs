//! `projects`: the groups of runs.

use sprongus_core::run::list::Page;
use sprongus_core::values::names::ProjectId;

use crate::app::App;
use crate::connect::Access;
use crate::exit::Exit;
use crate::exit::failure::Outcome;
use crate::render::age::ago;
use crate::render::table::Table;

/// What to do with them.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Create a project; succeeds if it already exists
    Create {
        /// Id, chosen by you: lower-case letters, digits and hyphens
        id: ProjectId,
    },
    /// List projects
    List,
}

pub async fn run(command: Command, app: &App) -> Outcome {
    let now = app.screen.now();
    match command {
        Command::Create { id } => {
            let runs = app.connect(Access::Creating).await?.runs;
            let project = runs.create_project(&id).await?;
            app.screen.answer(&project, id.as_str(), || format!("project {id}\n"))?;
        }
        Command::List => {
            let runs = app.connect(Access::Existing).await?.runs;
            let page = Page { data: runs.projects().await?, next_cursor: None };
            app.screen.list(
                &page,
                |project| project.id.to_string(),
                || {
                    let mut table = Table::new(["ID", "CREATED"]);
                    for project in &page.data {
                        table.row([project.id.as_str().into(), ago(project.created_at, now).into()]);
                    }
                    table.render("no projects; create one with `sprongus projects create <id>`")
                },
            )?;
        }
    }
    Ok(Exit::Done)
}
