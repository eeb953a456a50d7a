//! `schedules`: runs that the calendar makes.

mod ahead;
mod definition;

use sprongus_core::run::list::Page;
use sprongus_core::schedule::{ScheduleState, ScheduleView};
use sprongus_core::schedules::foresee;
use sprongus_core::values::names::ScheduleId;
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::setting::ManagedBy;

use crate::app::App;
use crate::cli::times;
use crate::commands::confirm;
use crate::connect::Access;
use crate::exit::Exit;
use crate::exit::failure::Outcome;
use crate::render::age::ago;
use crate::render::plural::plural;
use crate::render::run::line as run_line;
use crate::render::style::{ATTENTION, BAD, DIM, GOOD};
use crate::render::table::{Cell, Table};

/// What to do with them.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Create a schedule
    Create(Box<definition::Args>),
    /// Change some fields of a schedule; the others stay
    Update(Box<definition::Args>),
    /// List schedules
    List,
    /// Show a schedule, its next ticks and what was skipped
    Show {
        /// Schedule id
        id: ScheduleId,
    },
    /// Skip its ticks until it is resumed
    Pause {
        /// Schedule id
        id: ScheduleId,
    },
    /// Let its ticks have runs again
    Resume {
        /// Schedule id
        id: ScheduleId,
    },
    /// Delete a schedule; its runs stay. Asks for confirmation
    Delete {
        /// Schedule id
        id: ScheduleId,
        /// Do not ask for confirmation
        #[arg(long)]
        yes: bool,
    },
    /// Enqueue a run of it now
    Trigger {
        /// Schedule id
        id: ScheduleId,
    },
    /// Show its next ticks
    Next {
        /// Schedule id
        id: ScheduleId,
        /// How many
        #[arg(short, default_value_t = 10, value_name = "N")]
        n: u32,
    },
    /// Explain a cron expression: in words, its next ticks, and what the next clock change does to it
    Preview(ahead::PreviewArgs),
    /// Enqueue runs for past ticks; one whose run is kept gets no second one
    Backfill {
        /// Schedule id
        id: ScheduleId,
        /// First tick, inclusive
        #[arg(long, value_name = "TIME", value_parser = times::instant)]
        from: Timestamp,
        /// End, exclusive; not in the future
        #[arg(long, value_name = "TIME", value_parser = times::instant)]
        to: Timestamp,
        /// Show the ticks, and enqueue nothing
        #[arg(long)]
        dry_run: bool,
    },
}

/// Does it.
pub async fn run(command: Command, app: &App) -> Outcome {
    match command {
        Command::Create(args) => definition::create(*args, app).await?,
        Command::Update(args) => definition::update(*args, app).await?,
        Command::List => list(app).await?,
        Command::Show { id } => show(&id, app).await?,
        Command::Pause { id } => {
            let view = app.connect(Access::Existing).await?.schedules.pause(&id).await?;
            answer(&view, app)?;
            comes_back(&view, app);
        }
        Command::Resume { id } => {
            let view = app.connect(Access::Existing).await?.schedules.resume(&id).await?;
            answer(&view, app)?;
        }
        Command::Delete { id, yes } => delete(&id, yes, app).await?,
        Command::Trigger { id } => {
            let run = app.connect(Access::Existing).await?.schedules.trigger(&id).await?;
            app.screen.answer(&run, &run.id.to_string(), || run_line(&run))?;
        }
        Command::Next { id, n } => ahead::next(&id, n, app).await?,
        Command::Preview(args) => ahead::preview(args, app).await?,
        Command::Backfill { id, from, to, dry_run } => backfill(&id, (from, to), dry_run, app).await?,
    }
    Ok(Exit::Done)
}

async fn list(app: &App) -> Outcome<()> {
    let schedules = app.connect(Access::Existing).await?.schedules;
    let mut all: Vec<ScheduleView> = Vec::new();
    loop {
        let page = schedules.list(all.last().map(|last| &last.id), 100).await?;
        let is_last = page.len() < 100;
        all.extend(page);
        if is_last {
            break;
        }
    }
    let page = Page { data: all, next_cursor: None };
    app.screen.list(&page, |view| view.id.to_string(), || table(&page.data, app))
}

fn table(views: &[ScheduleView], app: &App) -> String {
    let now = app.screen.now();
    let mut table = Table::new(["ID", "STATE", "KIND", "WHEN", "NEXT", "LAST", "WAITING", "FROM"]);
    for view in views {
        let (word, style) = state(view);
        let time = |time: Option<Timestamp>| time.map_or_else(String::new, |at| ago(at, now));
        let from = if view.drifted { "file, changed since" } else { view.managed_by.as_str() };
        table.row([
            view.id.as_str().into(),
            Cell::styled(word, style),
            view.definition.run.kind.clone().into(),
            when(view).into(),
            time(view.next_tick).into(),
            time(view.last_tick).into(),
            if view.waiting_ticks.is_empty() { "".into() } else { Cell::number(view.waiting_ticks.len()) },
            from.into(),
        ]);
    }
    table.render("No schedules. Create one with `sprongus schedules create`, or in sprongus.toml with [schedules.\"NAME\"].")
}

fn state(view: &ScheduleView) -> (&'static str, anstyle::Style) {
    let style = match view.state {
        ScheduleState::Active => GOOD,
        ScheduleState::Paused => ATTENTION,
        ScheduleState::Ended => DIM,
        ScheduleState::Broken => BAD,
    };
    (view.state.as_str(), style)
}

/// The timing, as it was written.
fn when(view: &ScheduleView) -> String {
    use sprongus_core::schedule::definition::Timing;
    match &view.definition.timing {
        Timing::Cron { cron, time_zone, .. } => format!("{cron} {time_zone}"),
        Timing::Every(interval) => {
            format!("every {}", sprongus_core::values::duration::format_duration(*interval))
        }
    }
}

fn answer(view: &ScheduleView, app: &App) -> Outcome<()> {
    let now = app.screen.now();
    app.screen.answer(view, view.id.as_str(), || {
        let next =
            view.next_tick.map_or_else(String::new, |at| format!("; next run {} ({at})", ago(at, now)));
        format!("{} is {}{next}\n", view.id, view.state.as_str())
    })
}

async fn show(id: &ScheduleId, app: &App) -> Outcome<()> {
    let connection = app.connect(Access::Existing).await?;
    let mut view = connection.schedules.get(id).await?;
    let next = foresee(connection.schedules.as_ref(), &mut view, 3).await?;
    let skipped = ahead::skipped(connection.admin.as_ref(), id).await?;
    app.screen.answer(&view, view.id.as_str(), || ahead::page(&view, &next, &skipped, app.screen.now()))
}

async fn delete(id: &ScheduleId, yes: bool, app: &App) -> Outcome<()> {
    let schedules = app.connect(Access::Existing).await?.schedules;
    let view = schedules.get(id).await?;
    if !confirm::ask(app, &format!("delete schedule {id} ({})?", when(&view)), yes)? {
        app.screen.note("nothing changed");
        return Ok(());
    }
    schedules.delete(id).await?;
    app.screen.answer(&view, id.as_str(), || format!("deleted schedule {id}\n"))?;
    comes_back(&view, app);
    Ok(())
}

/// What a file made is made again by it.
fn comes_back(view: &ScheduleView, app: &App) {
    match view.managed_by {
        ManagedBy::File => app.screen.note(&format!(
            "a sprongus.toml created {}: while it has that schedule, the next apply or worker start beside it brings it back",
            view.id
        )),
        ManagedBy::Api => {}
    }
}

async fn backfill(
    id: &ScheduleId,
    (from, to): (Timestamp, Timestamp),
    dry_run: bool,
    app: &App,
) -> Outcome<()> {
    let schedules = app.connect(Access::Existing).await?.schedules;
    let done = schedules.backfill(id, from, to, dry_run).await?;
    app.screen.answer(&done, "", || {
        let verb = if dry_run { "would enqueue" } else { "enqueued" };
        let mut text = format!("{verb} {}", plural(done.ticks.len(), "run"));
        if !done.kept.is_empty() {
            text.push_str(&format!("; {} already had one", plural(done.kept.len(), "tick")));
        }
        text.push('\n');
        done.ticks.iter().for_each(|tick| text.push_str(&format!("  {tick}\n")));
        text
    })
}
