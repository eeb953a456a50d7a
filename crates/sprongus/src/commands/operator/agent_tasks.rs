//! `agent-tasks`: what runs are made for.

use sprongus_core::run::list::Page;
use sprongus_core::values::names::{AgentTaskId, ProjectId};
use sprongus_core::values::text::excerpt;
use sprongus_core::workspace::directory::NewAgentTask;

use crate::app::App;
use crate::connect::Access;
use crate::exit::Exit;
use crate::exit::failure::Outcome;
use crate::render::age::ago;
use crate::render::table::Table;

/// What to do with them.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Create an agent task; succeeds if it already exists
    Create {
        /// Id, chosen by you: letters, digits and . _ -
        id: AgentTaskId,
        /// Title, for people
        #[arg(long)]
        title: Option<String>,
        /// Project it belongs to (default: the whole workspace)
        #[arg(long)]
        project: Option<ProjectId>,
    },
    /// List agent tasks, newest first, at most 100
    List,
}

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
                    table.render("no agent tasks; create one with `sprongus agent-tasks create <id>`")
                },
            )?;
        }
    }
    Ok(Exit::Done)
}
