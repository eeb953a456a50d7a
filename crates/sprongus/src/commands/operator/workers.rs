//! `workers`: those that are alive.

use sprongus_core::run::list::Page;
use sprongus_core::values::names::WorkerId;
use sprongus_core::values::text::excerpt;
use sprongus_core::workspace::directory::Worker;

use crate::app::App;
use crate::connect::Access;
use crate::exit::Exit;
use crate::exit::failure::Outcome;
use crate::render::age::ago;
use crate::render::style::{ATTENTION, GOOD};
use crate::render::table::{Cell, Table};

/// What to do with them.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List workers seen in the last 15 seconds
    List,
    /// Stop a worker from claiming; it finishes its current runs
    Drain {
        /// Worker id
        id: WorkerId,
    },
}

pub async fn run(command: Command, app: &App) -> Outcome {
    let now = app.screen.now();
    match command {
        Command::List => {
            let runs = app.connect(Access::Existing).await?.runs;
            let page = Page { data: runs.workers().await?, next_cursor: None };
            app.screen.list(
                &page,
                |worker| worker.id.to_string(),
                || {
                    let differs = Worker::zone_data_differs(&page.data);
                    let mut table = Table::new([
                        "ID",
                        "STATE",
                        "HOST",
                        "PID",
                        "CONCURRENCY",
                        "KINDS",
                        "SEEN",
                        "VERSION",
                        "ZONE DATA",
                    ]);
                    for worker in &page.data {
                        let data = worker.zone_data.as_ref().filter(|_| differs);
                        table.row([
                            worker.id.as_str().into(),
                            state(worker),
                            excerpt(worker.host.as_deref().unwrap_or("-"), 32).into(),
                            worker.pid.map_or_else(|| "-".into(), Cell::number),
                            Cell::number(worker.concurrency),
                            kinds(worker).into(),
                            ago(worker.seen_at, now).into(),
                            excerpt(&worker.version, 24).into(),
                            // A column in which nothing stands is left out.
                            data.map_or_else(String::new, |data| excerpt(&data.to_string(), 48)).into(),
                        ]);
                    }
                    table.render("No workers are running. Start one with `sprongus worker`.")
                },
            )?;
        }
        Command::Drain { id } => {
            let runs = app.connect(Access::Existing).await?.runs;
            runs.drain_worker(&id).await?;
            let workers = runs.workers().await?;
            let worker = workers.into_iter().find(|worker| worker.id == id);
            app.screen.answer(&worker, id.as_str(), || format!("worker {id} is draining\n"))?;
        }
    }
    Ok(Exit::Done)
}

fn state(worker: &Worker) -> Cell {
    if worker.draining { Cell::styled("draining", ATTENTION) } else { Cell::styled("claiming", GOOD) }
}

fn kinds(worker: &Worker) -> String {
    match &worker.kinds {
        None => "any".to_owned(),
        Some(kinds) => {
            let names = kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(",");
            excerpt(&names, 48)
        }
    }
}
