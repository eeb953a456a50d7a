//! `agent-tasks`: what runs are made for.

use sprongus_core::directory::NewAgentTask;
use sprongus_core::list::Page;
use sprongus_core::names::{AgentTaskId, ProjectId};
use sprongus_core::text::excerpt;

use crate::app::App;
use crate::connect::Access;
use crate::exit::Exit;
use crate::exit::failure::Outcome;
use crate::render::age::ago;
use crate::render::table::Table;

/// What to do with them.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make an agent task; the same again is no error
    Create {
        /// Its id, which you pick: letters, digits and . _ -
        id: AgentTaskId,
        /// What it is about, for people
        #[arg(long)]
        title: Option<String>,
        /// The project it belongs to; without one, all of the workspace
        #[arg(long)]
        project: Option<ProjectId>,
    },
    /// The agent tasks, newest first, 100 at most
    List,
}

/// Does it.
pub async fn run(command: Command, app: &App) -> Outcome {
    let now = app.screen.now();
    match command {
        Command::Create { id, title, project } => {
            let runs = app.connect(Access::Creating).await?.runs;
            let new = NewAgentTask { id: id.clone(), title, project_id: project };
            let task = runs.create_agent_task(new).await?;
            app.screen.answer(&task, id.as_str(), || format!("agent task {id}\n"))?;
        }
        Command::List => {
            let runs = app.connect(Access::Existing).await?.runs;
            let page = Page { data: runs.agent_tasks().await?, next_cursor: None };
            app.screen.list(
                &page,
                |task| task.id.to_string(),
                || {
                    let mut table = Table::new(["ID", "PROJECT", "TITLE", "CREATED"]);
                    for task in &page.data {
                        let title = excerpt(task.title.as_deref().unwrap_or_default(), 64);
                        let project = task.project_id.as_ref().map_or("-", |project| project.as_str());
                        let created = ago(task.created_at, now);
                        table.row([task.id.as_str().into(), project.into(), title.into(), created.into()]);
                    }
                    table.render("no agent tasks; make one with `sprongus agent-tasks create <id>`")
                },
            )?;
        }
    }
    Ok(Exit::Done)
}
