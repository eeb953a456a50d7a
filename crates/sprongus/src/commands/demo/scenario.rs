//! The steps, in the order in which a storyboard comes about.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::json;
use sprongus_core::json::Json;
use sprongus_core::run::event::{Event, EventType};
use sprongus_core::run::follow::{MAX_NEWS, ReadSoFar};
use sprongus_core::run::state::State;
use sprongus_core::run::view::RunView;
use sprongus_core::run::{Enqueue, Enqueued, NewRun};
use sprongus_core::values::ids::RunId;
use sprongus_core::{Error, Result, Runs, RunsExt};
use sprongus_worker::declaration::{Declaration, FILE_NAME};
use storyboard::Spreadsheet;

use super::folder::{DemoFolder, EditorLock};
use super::narration;
use crate::commands::follow::{Limits, Show, to_the_end};
use crate::commands::runs::enqueue::declared;
use crate::exit::Exit;
use crate::exit::failure::Outcome;
use crate::render::run::{ending, line};
use crate::render::screen::{Format, Screen};
use crate::work;

const PULL: &str = "script.pull";
const SYNC: &str = "sync.storyboard";

/// The column a person adds to the board, and what is written there.
const COLUMN: &str = "notes";
const NOTES: [(&str, &str); 2] = [("sc-3", "long lens, no boat"), ("sc-5", "rolls: ask the baker")];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DemoStep {
    /// The script is pulled while somebody edits it.
    Pull,
    /// The same is asked for again.
    Again,
    /// The board is made.
    Sync,
    /// Script and board have both been edited.
    Revise,
}

pub const STEPS: [DemoStep; 4] = [DemoStep::Pull, DemoStep::Again, DemoStep::Sync, DemoStep::Revise];

impl DemoStep {
    fn title(self) -> &'static str {
        match self {
            Self::Pull => {
                "Pull the script while its writer has it open: one attempt fails, the next succeeds"
            }
            Self::Again => "Repeat the request with the same key: the existing run is returned",
            Self::Sync => "Sync the storyboard: a table with a row for each scene",
            Self::Revise => "Revise the script, add notes to the table, and sync again: the notes are kept",
        }
    }
}

/// The demo, and what it remembers from one step to the next.
pub struct Demo<'a> {
    screen: Screen,
    folder: &'a DemoFolder,
    runs: Arc<dyn Runs>,
    key: String,
    pulled: Option<RunId>,
}

/// What a step came to, for programs.
#[derive(Serialize)]
struct StepReport<'a> {
    step: usize,
    title: &'static str,
    commands: Vec<String>,
    /// Whether it made its runs, or found one.
    created: bool,
    runs: &'a [RunView],
}

impl<'a> Demo<'a> {
    /// A demo that has not begun.
    pub fn new(screen: &Screen, folder: &'a DemoFolder, runs: Arc<dyn Runs>) -> Self {
        // A key of its own, so that a second demo does not get the first one's run.
        let key = format!("draft-{}", screen.now());
        Self { screen: screen.indented(), folder, runs, key, pulled: None }
    }

    pub async fn play(&mut self, step: DemoStep) -> Outcome {
        let requests = match step {
            DemoStep::Pull | DemoStep::Again => {
                vec![NewRun { idempotency_key: Some(self.key.clone()), ..pull() }]
            }
            DemoStep::Sync => vec![sync()],
            DemoStep::Revise => vec![pull(), sync()],
        };
        let commands: Vec<String> = requests.iter().map(narration::command).collect();
        if self.is_for_people() {
            self.screen.outdented().text(&narration::heading(number(step), step.title()))?;
            self.before(step)?;
            self.screen.text(&narration::commands(&commands))?;
        }
        let mut lock = if step == DemoStep::Pull { Some(self.folder.open_in_editor()?) } else { None };
        if step == DemoStep::Revise {
            self.write_notes()?;
            self.folder.revise()?;
        }
        let (mut ended, mut created) = (Vec::new(), true);
        for request in requests {
            let (run, outcome) = self.work(request, lock.take()).await?;
            created &= outcome == Enqueue::Created;
            let exit = Exit::of_run(run.state);
            ended.push(run);
            if exit != Exit::Done {
                self.report(step, commands, created, &ended)?;
                return Ok(exit);
            }
        }
        if step == DemoStep::Pull {
            self.pulled = ended.first().map(|run| run.id);
        }
        self.report(step, commands, created, &ended)?;
        Ok(Exit::Done)
    }

    /// Enqueues a run, executes it here, and follows it to its end; a lock goes when an attempt has failed for it.
    async fn work(&self, mut request: NewRun, lock: Option<EditorLock>) -> Outcome<(RunView, Enqueue)> {
        let declaration = Declaration::load(&self.folder.path(FILE_NAME));
        let declaration = declaration.map_err(|fault| Error::validation(fault.to_string()))?;
        declared::apply(Some(&declaration), &mut request)?;
        let crew = work::crew(Some(declaration), &request.kind)?;
        let Enqueued { run, outcome } = self.runs.enqueue_one(request).await?;
        if self.is_for_people() {
            self.screen.text(&line(&run))?;
        }
        if run.state.is_final() {
            return Ok((run, outcome));
        }
        let show = if self.is_for_people() { Show::Lines } else { Show::Nothing };
        let limits = Limits { timeout: None, patience: Duration::ZERO };
        let following = to_the_end(&self.screen, self.runs.as_ref(), run.id, limits, show);
        let mut working = pin!(work::beside(crew, (self.runs.clone(), false), following));
        let mut closing = pin!(close_when_retried(self.runs.as_ref(), run.id, lock));
        let ended = tokio::select! {
            ended = &mut working => ended?,
            closed = &mut closing => {
                closed?;
                working.await?
            }
        };
        if self.is_for_people() {
            self.screen.text(&ending(&ended))?;
        }
        Ok((ended, outcome))
    }

    fn is_for_people(&self) -> bool {
        self.screen.format == Format::People
    }

    /// What happens outside of any command.
    fn before(&self, step: DemoStep) -> Outcome<()> {
        let aside = match step {
            DemoStep::Pull => {
                "an editor's lock file is next to screenplay.fountain, and is removed once an attempt has failed"
            }
            DemoStep::Revise => {
                "two scenes change, one is cut, one is new; storyboard.csv has a new column `notes`"
            }
            DemoStep::Again | DemoStep::Sync => return Ok(()),
        };
        self.screen.text(&narration::aside(aside))
    }

    fn report(&self, step: DemoStep, commands: Vec<String>, created: bool, runs: &[RunView]) -> Outcome<()> {
        match self.screen.format {
            Format::Json => {
                self.screen.json(&StepReport {
                    step: number(step),
                    title: step.title(),
                    commands,
                    created,
                    runs,
                })?;
            }
            Format::Quiet => {
                let ids = runs.iter().map(|run| format!("{}\n", run.id));
                self.screen.text(&ids.collect::<String>())?;
            }
            Format::People if runs.iter().all(|run| run.state == State::Succeeded) => {
                self.screen.text(&self.seen(step)?)?;
            }
            Format::People => {}
        }
        Ok(())
    }

    /// What there is to see at the end of a step.
    fn seen(&self, step: DemoStep) -> Result<String> {
        Ok(match step {
            DemoStep::Pull => String::new(),
            DemoStep::Again => narration::aside("the same id: the run already exists"),
            DemoStep::Sync => {
                narration::board(&self.board()?.rows(["scene", "heading", "cast", "eighths", "status"]))
            }
            DemoStep::Revise => {
                let page = std::fs::read_to_string(self.folder.path("storyboard.md")).unwrap_or_default();
                let mut rows = self.board()?.rows(["scene", "heading", "status", COLUMN]);
                rows.retain(|row| !row[3].is_empty());
                narration::page(&page) + &narration::notes(&rows)
            }
        })
    }

    fn board(&self) -> Result<Spreadsheet> {
        Spreadsheet::open(&self.folder.path("storyboard.csv"))
            .map_err(|error| Error::validation(error.to_string()))
    }

    fn write_notes(&self) -> Result<()> {
        let mut board = self.board()?;
        NOTES.iter().for_each(|(scene, note)| board.write(scene, COLUMN, note));
        board.save().map_err(|error| Error::validation(error.to_string()))
    }

    /// The run of the first step, and its history.
    pub async fn retried_run(&self) -> Result<(RunId, Vec<Event>)> {
        let id = self.pulled.ok_or_else(|| Error::internal("the first step has not been played"))?;
        Ok((id, self.runs.events(id, 0, MAX_NEWS).await?))
    }
}

/// Lets the writer close the script as soon as an attempt has failed for it.
async fn close_when_retried(runs: &dyn Runs, id: RunId, lock: Option<EditorLock>) -> Result<()> {
    let Some(lock) = lock else { return Ok(()) };
    let mut read = ReadSoFar::default();
    loop {
        let news = runs.follow(id, read, Duration::from_secs(30)).await?;
        let is_retried = news.events.iter().any(|event| event.kind == EventType::RetryScheduled);
        if is_retried || news.run.state.is_final() {
            drop(lock);
            return Ok(());
        }
        read = news.read;
    }
}

fn number(step: DemoStep) -> usize {
    STEPS.iter().position(|other| *other == step).map_or(0, |place| place + 1)
}

fn pull() -> NewRun {
    let input = Json::from_value(json!({"path": "screenplay.fountain"}));
    NewRun { kind: PULL.to_owned(), input: Some(input), ..NewRun::default() }
}

fn sync() -> NewRun {
    let input = Json::from_value(json!({"scenes": "scenes.json"}));
    NewRun { kind: SYNC.to_owned(), input: Some(input), ..NewRun::default() }
}
