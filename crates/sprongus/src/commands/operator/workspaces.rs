//! `workspaces`: the tenants of one database.

use sprongus_core::Error;
use sprongus_core::run::list::Page;
use sprongus_core::values::names::WorkspaceId;

use crate::app::App;
use crate::commands::confirm;
use crate::connect::Access;
use crate::exit::Exit;
use crate::exit::failure::Outcome;
use crate::render::age::ago;
use crate::render::table::Table;

/// What to do with them.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Create a workspace; succeeds if it already exists
    Create {
        /// Id, chosen by you: lower-case letters, digits and hyphens
        id: WorkspaceId,
    },
    /// List workspaces
    List,
    /// Delete a workspace and everything in it; asks you to type its name
    Delete {
        /// Workspace id
        id: WorkspaceId,
        /// Do not ask for confirmation
        #[arg(long)]
        yes: bool,
    },
}

pub async fn run(command: Command, app: &App) -> Outcome {
    let now = app.screen.now();
    match command {
        Command::Create { id } => {
            let workspace = app.connect(Access::Creating).await?.admin.create_workspace(&id).await?;
            app.screen.answer(&workspace, id.as_str(), || format!("workspace {id}\n"))?;
        }
        Command::List => {
            let page = Page {
                data: app.connect(Access::Existing).await?.admin.workspaces().await?,
                next_cursor: None,
            };
            app.screen.list(
                &page,
                |workspace| workspace.id.to_string(),
                || {
                    let mut table = Table::new(["ID", "CREATED"]);
                    for workspace in &page.data {
                        table.row([workspace.id.as_str().into(), ago(workspace.created_at, now).into()]);
                    }
                    table.render("no workspaces")
                },
            )?;
        }
        Command::Delete { id, yes } => {
            let admin = app.connect(Access::Existing).await?.admin;
            let known = admin.workspaces().await?;
            let Some(workspace) = known.into_iter().find(|workspace| workspace.id == id) else {
                return Err(Error::not_found(format_args!("workspace: {id}"))
                    .with_hint("list them with `sprongus workspaces list`")
                    .into());
            };
            let question = format!("This deletes workspace {id} and every run, project and event in it.");
            if !confirm::ask_for_name(app, &question, id.as_str(), yes)? {
                app.screen.note("nothing was deleted");
                return Ok(Exit::Done);
            }
            admin.delete_workspace(&id).await?;
            app.screen.answer(&workspace, id.as_str(), || format!("workspace {id} is deleted\n"))?;
        }
    }
    Ok(Exit::Done)
}
