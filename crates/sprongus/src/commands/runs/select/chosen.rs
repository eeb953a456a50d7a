//! Which runs `cancel` and `retry` are about: those named, or those a filter finds; and whether that is meant.

use sprongus_core::run::list::{ListFilter, MAX_PAGE};
use sprongus_core::run::state::State;
use sprongus_core::run::view::RunView;
use sprongus_core::{Error, ErrorCode, Result, Runs};

use super::filter::FilterArgs;
use crate::app::App;
use crate::commands::confirm;
use crate::commands::runs::select::run_ref::RunRef;
use crate::exit::Exit;
use crate::exit::failure::Outcome;
use crate::render::fault;
use crate::render::plural::plural;
use crate::render::run::line;
use crate::render::screen::Format;

/// Ids, or filters.
#[derive(Debug, clap::Args)]
pub struct ChosenArgs {
    /// Run ids, as in `runs status`; or use filters
    #[arg(conflicts_with_all = ["project", "state", "kind", "agent_task", "schedule", "tag", "since", "before", "waiting"])]
    pub ids: Vec<RunRef>,
    /// Do not ask for confirmation
    #[arg(long)]
    pub yes: bool,
    /// Show the matching runs without changing them
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub filter: FilterArgs,
}

/// What is to happen to them.
pub struct Verb {
    /// For the question.
    pub name: &'static str,
    /// The states a filter looks in when it names none.
    pub states: &'static [State],
}

impl ChosenArgs {
    fn by_filter(&self) -> bool {
        self.ids.is_empty()
    }

    async fn find(&self, app: &App, runs: &dyn Runs, verb: &Verb) -> Result<Vec<RunView>> {
        if !self.by_filter() {
            // All of them before the first is touched: a mistyped id leaves nothing half done.
            let mut found = Vec::with_capacity(self.ids.len());
            for id in &self.ids {
                found.push(runs.get(id.find(app, runs).await?).await?);
            }
            return Ok(found);
        }
        if self.filter.is_empty() {
            return Err(Error::validation(format!("specify which runs to {}", verb.name))
                .with_hint("give ids, or filters such as --state, --kind or --project"));
        }
        let mut filter = ListFilter { limit: MAX_PAGE, ..self.filter.filter() };
        if filter.states.is_empty() && filter.waiting.is_none() {
            filter.states = verb.states.to_vec();
        }
        let mut found = Vec::new();
        loop {
            let page = runs.list(&filter).await?;
            found.extend(page.data);
            match page.next_cursor {
                Some(cursor) => filter.cursor = Some(cursor),
                None => return Ok(found),
            }
        }
    }
}

/// Finds the runs and asks. None when there is nothing to do, or it is not meant.
///
/// # Errors
/// `not_found`; `validation` when nobody could be asked.
pub async fn choose(
    args: &ChosenArgs,
    app: &App,
    runs: &dyn Runs,
    verb: &Verb,
) -> Outcome<Option<Vec<RunView>>> {
    let found = args.find(app, runs, verb).await?;
    if args.dry_run {
        for run in &found {
            app.screen.answer(run, &run.id.to_string(), || line(run))?;
        }
        app.screen.note(&format!("{}; nothing changed", plural(found.len(), "run")));
        return Ok(None);
    }
    let question = match found.as_slice() {
        [] => {
            app.screen.note(&format!("no runs to {}", verb.name));
            return Ok(None);
        }
        [run] => format!("{} run {} ({}, {})?", verb.name, run.id, run.kind, run.state),
        many => format!("{} {}?", verb.name, plural(many.len(), "run")),
    };
    if !confirm::ask(app, &question, args.yes)? {
        app.screen.note("nothing changed");
        return Ok(None);
    }
    Ok(Some(found))
}

/// Prints what became of each run, and says how the command exits: as the first refusal.
pub struct Report<'a> {
    app: &'a App,
    by_filter: bool,
    exit: Exit,
    passed_over: usize,
}

impl<'a> Report<'a> {
    /// An empty report.
    pub fn new(app: &'a App, args: &ChosenArgs) -> Self {
        Self { app, by_filter: args.by_filter(), exit: Exit::Done, passed_over: 0 }
    }

    /// Adds what became of a run.
    pub fn add(&mut self, answer: Result<RunView>) -> Outcome<()> {
        match answer {
            Ok(run) => self.app.screen.answer(&run, &run.id.to_string(), || line(&run)),
            // Found by a filter, it may have moved on since; nobody named it, so nobody is told about it alone.
            Err(error) if self.by_filter && error.code() == ErrorCode::IllegalTransition => {
                self.passed_over += 1;
                Ok(())
            }
            Err(error) => {
                fault::print(&self.app.screen, &error);
                if self.exit == Exit::Done {
                    self.exit = error.code().into();
                }
                Ok(())
            }
        }
    }

    /// How the command exits.
    pub fn finish(self) -> Exit {
        if self.passed_over > 0 && self.app.screen.format == Format::People {
            self.app
                .screen
                .note(&format!("skipped {}: state changed in the meantime", plural(self.passed_over, "run")));
        }
        self.exit
    }
}
