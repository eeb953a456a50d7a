//! `runs enqueue`: asks for a run, or for many; with `--wait` follows it, with `--work` executes it here too.

mod batch;
mod child;
pub mod declared;

use std::sync::Arc;
use std::time::Duration;

use sprongus_core::run::view::RunView;
use sprongus_core::run::{Due, Enqueue, Enqueued, NewRun};
use sprongus_core::store::Batch;
use sprongus_core::values::time::Timestamp;
use sprongus_core::{Error, Result, Runs, RunsExt};
use sprongus_worker::declaration::Declaration;

use super::select::filter::tag;
use crate::app::App;
use crate::cli::input;
use crate::cli::times;
use crate::commands::follow::no_worker_hint::{self, Remedy};
use crate::commands::follow::{Limits, PATIENCE, Show, to_the_end};
use crate::commands::runs::select::run_ref;
use crate::connect::Access;
use crate::exit::Exit;
use crate::exit::failure::Outcome;
use crate::render::fault;
use crate::render::plural::plural;
use crate::render::run::{ending, line};
use crate::render::screen::Format;
use crate::work;

/// Requests in one transaction.
const BATCH: usize = 1_000;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// What the run does, such as script.pull
    #[arg(required_unless_present = "from", conflicts_with = "from")]
    pub kind: Option<String>,
    /// Project it belongs to
    #[arg(long, value_name = "ID")]
    pub project: Option<String>,
    /// Input: JSON, or @ and the name of a JSON file
    #[arg(long, value_name = "JSON|@FILE", allow_hyphen_values = true)]
    pub input: Option<String>,
    /// Read the input from stdin
    #[arg(long, conflicts_with = "input")]
    pub stdin: bool,
    /// Return the existing run if the same request was made with this key before
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
    /// Maximum number of attempts, 1 to 100 (default: the kind's, else 3)
    #[arg(long, value_name = "N")]
    pub max_attempts: Option<u32>,
    /// Priority, 0 to 100; higher runs first
    #[arg(long, value_name = "N")]
    pub priority: Option<u32>,
    /// Do not start before this time
    #[arg(long, value_name = "TIME", value_parser = times::instant, conflicts_with = "delay")]
    pub run_at: Option<Timestamp>,
    /// Do not start before this much time has passed, such as 30s or 1h30m
    #[arg(long, value_name = "DURATION", value_parser = times::span)]
    pub delay: Option<Duration>,
    /// Fail the run if it has not started by this time
    #[arg(long, value_name = "TIME", value_parser = times::instant)]
    pub expire_at: Option<Timestamp>,
    /// Agent task it belongs to
    #[arg(long, value_name = "ID")]
    pub agent_task: Option<String>,
    /// Tag for filtering (repeatable, up to 16)
    #[arg(long, value_name = "K=V", value_parser = tag)]
    pub tag: Vec<(String, String)>,
    /// Follow the run until it ends, and exit with its outcome
    #[arg(long)]
    pub wait: bool,
    /// Stop following after this long; the run continues
    #[arg(long, value_name = "DURATION", value_parser = times::span)]
    pub timeout: Option<Duration>,
    /// How long to keep retrying when the server does not respond (default: 5m)
    #[arg(long, value_name = "DURATION", value_parser = times::span)]
    pub patience: Option<Duration>,
    /// Execute the run here, and follow it until it ends
    #[arg(long)]
    pub work: bool,
    /// Inside a run: let that run's worker enqueue this one
    #[arg(long, conflicts_with_all = ["wait", "work", "timeout", "patience"])]
    pub child: bool,
    /// Enqueue many: a file with one JSON request per line, or - for stdin
    #[arg(long, value_name = "FILE.jsonl", conflicts_with_all = [
        "project", "input", "stdin", "idempotency_key", "max_attempts", "priority", "run_at", "delay", "expire_at",
        "agent_task", "tag", "wait", "work", "child",
    ])]
    pub from: Option<String>,
}

pub async fn run(args: Args, app: &App) -> Outcome {
    let declaration = app.usable_declaration()?;
    if (args.timeout.is_some() || args.patience.is_some()) && !args.wait && !args.work {
        let option = if args.timeout.is_some() { "--timeout" } else { "--patience" };
        return Err(Error::validation(format!("{option}: only valid with --wait or --work"))
            .with_hint("add --wait")
            .into());
    }
    if let Some(path) = &args.from {
        return many(batch::read(path, declaration.as_ref())?, declaration.as_ref(), app).await;
    }
    let request = request(&args, declaration.as_ref())?;
    if args.child {
        return child::hand_over(request, app);
    }
    let unknown = no_worker_hint::unknown(declaration.as_ref(), &request.kind);
    let crew = if args.work { Some(work::crew(declaration, &request.kind)?) } else { None };
    for warning in crew.iter().flat_map(work::Crew::warnings) {
        app.screen.note(&format!("warning: {warning}"));
    }
    let connection = app.connect(Access::Creating).await?;
    let (runs, is_remote) = (Arc::clone(&connection.runs), connection.is_remote());
    let Enqueued { run, outcome } = runs.enqueue_one(request).await?;
    run_ref::remember(&app.around, run.id);
    if outcome == Enqueue::Existing {
        app.screen.note("this request was already enqueued with this key; showing its run");
    }
    if !args.wait && !args.work {
        app.screen.answer(&run, &run.id.to_string(), || line(&run))?;
        no_worker_hint::note(app, runs.as_ref(), &run, Remedy::WorkerOrWork, unknown.as_ref()).await?;
        return Ok(Exit::Done);
    }
    let show = if app.screen.format == Format::People { Show::Lines } else { Show::Nothing };
    if app.screen.format != Format::Json {
        app.screen.answer(&run, &run.id.to_string(), || line(&run))?;
    }
    let limits = Limits { timeout: args.timeout, patience: args.patience.unwrap_or(PATIENCE) };
    let ended = match crew {
        Some(crew) => {
            no_worker_hint::note(app, runs.as_ref(), &run, Remedy::Here, unknown.as_ref()).await?;
            let following = to_the_end(&app.screen, runs.as_ref(), run.id, limits, show);
            work::beside(crew, (runs.clone(), is_remote), following).await?
        }
        None => {
            no_worker_hint::note(app, runs.as_ref(), &run, Remedy::WorkerOrWork, unknown.as_ref()).await?;
            to_the_end(&app.screen, runs.as_ref(), run.id, limits, show).await?
        }
    };
    conclude(app, &ended)
}

/// The run as it ended; its id was printed at once, so that it is there whatever happens.
fn conclude(app: &App, run: &RunView) -> Outcome {
    match app.screen.format {
        Format::People => app.screen.text(&ending(run))?,
        Format::Json => app.screen.json(run)?,
        Format::Quiet => {}
    }
    Ok(Exit::of_run(run.state))
}

fn request(args: &Args, declaration: Option<&Declaration>) -> Result<NewRun> {
    let input = match &args.input {
        Some(text) => Some(input::from_option(text)?),
        None if args.stdin => Some(input::from_stdin()?),
        None => None,
    };
    let due = match (args.run_at, args.delay) {
        (Some(time), _) => Due::At(time),
        (None, Some(delay)) => Due::After(delay),
        (None, None) => Due::Now,
    };
    let mut run = NewRun {
        kind: args.kind.clone().unwrap_or_default(),
        project_id: args.project.clone(),
        agent_task_id: args.agent_task.clone(),
        input,
        idempotency_key: args.idempotency_key.clone(),
        max_attempts: args.max_attempts,
        priority: args.priority,
        due,
        expire_at: args.expire_at,
        tags: args.tag.iter().cloned().collect(),
        ..NewRun::default()
    };
    declared::apply(declaration, &mut run)?;
    Ok(run)
}

/// Enqueues all, in batches that are each made whole or not at all. As JSON one run a line, in the order of the requests.
async fn many(requests: Vec<NewRun>, declaration: Option<&Declaration>, app: &App) -> Outcome {
    let runs = app.connect(Access::Creating).await?.runs;
    let (mut made, mut found) = (0, 0);
    let mut latest = None;
    let mut requests = requests.into_iter().peekable();
    while requests.peek().is_some() {
        let batch: Vec<NewRun> = requests.by_ref().take(BATCH).collect();
        let answers = enqueue_batch(app, runs.as_ref(), batch, made + found).await?;
        let Some(answers) = answers else { return Ok(Exit::Usage) };
        made += answers.iter().filter(|answer| answer.outcome == Enqueue::Created).count();
        found += answers.iter().filter(|answer| answer.outcome == Enqueue::Existing).count();
        let answers: Vec<RunView> = answers.into_iter().map(|answer| answer.run).collect();
        match app.screen.format {
            Format::People => {}
            Format::Json => app.screen.json_lines(&answers)?,
            Format::Quiet => {
                app.screen.text(&answers.iter().map(|run| format!("{}\n", run.id)).collect::<String>())?;
            }
        }
        if let Some(run) = answers.last() {
            run_ref::remember(&app.around, run.id);
        }
        latest = answers.into_iter().next_back();
    }
    if app.screen.format == Format::People {
        let before = if found > 0 { format!(", {found} already existed") } else { String::new() };
        app.screen.text(&format!("enqueued {}{before}\n", plural(made, "run")))?;
    }
    if let Some(run) = latest {
        let unknown = no_worker_hint::unknown(declaration, run.kind.as_str());
        no_worker_hint::note(app, runs.as_ref(), &run, Remedy::Worker, unknown.as_ref()).await?;
    }
    Ok(Exit::Done)
}

/// One batch. None when the store refused some of it, which has been printed then; nothing of the batch was made.
async fn enqueue_batch(
    app: &App,
    runs: &dyn Runs,
    batch: Vec<NewRun>,
    before: usize,
) -> Outcome<Option<Vec<Enqueued>>> {
    let answers = runs.enqueue(batch, Batch::AllOrNothing).await?;
    if answers.iter().all(Result::is_ok) {
        return Ok(Some(answers.into_iter().filter_map(Result::ok).collect()));
    }
    for (place, answer) in answers.into_iter().enumerate() {
        if let Err(error) = answer {
            let message = format!("request {}: {}", before + place + 1, error.message());
            let named = Error::new(error.code(), message).with_hint(error.hint().to_owned());
            fault::print(&app.screen, &named);
        }
    }
    app.screen.note(&format!("already enqueued: {before}"));
    Ok(None)
}
