//! Runs that a command hands to its worker: `child=` in `$SPRONGUS_OUTPUT`, as `sprongus runs enqueue --child` writes it.
//!
//! The worker enqueues them on its own way to the store, under the id that the line names, so that one that is asked for twice is there
//! once. A command says what its own run's input steers it to, so it reaches no further than its run: a child of a run in a project is in
//! that project. One that is refused is named in the log, and its step fails: it must not pass for done.

use std::collections::VecDeque;

use sprongus_core::error::{Error, ErrorCode};
use sprongus_core::run::NewRun;
use sprongus_core::run::request;
use sprongus_core::runs::RunsExt as _;
use sprongus_core::values::ids::RunId;
use sprongus_core::values::names::ProjectId;

use crate::execution::recorder::repeated;
use crate::execution::transient::is_fault_of_content;
use crate::secrets::Masks;
use crate::steps::context::StepContext;

/// The children that a command has asked for.
pub(crate) struct ChildRuns<'a> {
    context: &'a StepContext<'a>,
    masks: &'a Masks,
    project: Option<&'a ProjectId>,
    /// Those that were not answered yet, the first of them perhaps asked for already.
    waiting: VecDeque<NewRun>,
    refused: Option<ChildRefusal>,
}

/// Why there is no such child.
#[derive(Debug)]
pub(crate) struct ChildRefusal {
    pub(crate) why: String,
    pub(crate) retryable: bool,
}

impl ChildRefusal {
    fn for_good(why: impl Into<String>) -> Self {
        Self { why: why.into(), retryable: false }
    }
}

impl<'a> ChildRuns<'a> {
    pub(crate) fn new(
        context: &'a StepContext<'a>,
        masks: &'a Masks,
        project: Option<&'a ProjectId>,
    ) -> Self {
        Self { context, masks, project, waiting: VecDeque::new(), refused: None }
    }

    /// Takes a line's value.
    pub(crate) async fn push(&mut self, text: &str) {
        match self.request(text) {
            Ok(run) => self.waiting.push_back(run),
            Err(refused) => self.refuse(refused).await,
        }
    }

    fn request(&self, text: &str) -> Result<NewRun, ChildRefusal> {
        // What is kept of a run is not masked, for its input is what it works on.
        if self.masks.data(text).is_some() {
            return Err(ChildRefusal::for_good("it contains a secret's value: pass the reference instead"));
        }
        let mut run =
            request::parse(text.as_bytes()).map_err(|error| ChildRefusal::for_good(with_hint(&error)))?;
        // One without an id of its own must not be made twice either.
        run.id.get_or_insert_with(RunId::default);
        match (self.project, &run.project_id) {
            (Some(own), None) => run.project_id = Some(own.as_str().to_owned()),
            (Some(own), Some(named)) if named != own.as_str() => {
                let why = format!("its project is {named}, but this run's is {own}");
                return Err(ChildRefusal::for_good(why));
            }
            (Some(_), Some(_)) | (None, _) => {}
        }
        Ok(run)
    }

    /// Enqueues what waits. May be dropped and called again: what was on its way then is asked for again, and found.
    pub(crate) async fn send(&mut self) {
        while let Some(run) = self.waiting.front().cloned() {
            let (kind, runs) = (run.kind.clone(), &self.context.tools.runs);
            let ask = || async {
                match runs.enqueue_one(run.clone()).await {
                    // What this worker may not do it will hardly be allowed while the step waits.
                    Err(error)
                        if matches!(error.code(), ErrorCode::Forbidden | ErrorCode::Unauthenticated) =>
                    {
                        Ok(Err(error))
                    }
                    answer => answer.map(Ok),
                }
            };
            let answer = repeated(self.context.active, ask).await.flatten();
            match answer {
                Ok(made) => {
                    let text = format!("[enqueued run {} of kind {kind}]", made.run.id);
                    self.say(&text).await;
                }
                Err(error) => {
                    let retryable = !is_fault_of_content(error.code()) && error.code() != ErrorCode::Conflict;
                    self.refuse(ChildRefusal { why: format!("{kind}: {}", with_hint(&error)), retryable })
                        .await;
                }
            }
            self.waiting.pop_front();
        }
    }

    async fn refuse(&mut self, refused: ChildRefusal) {
        self.say(&format!("[a child run was refused: {}]", refused.why)).await;
        self.refused.get_or_insert(refused);
    }

    async fn say(&self, text: &str) {
        self.context.recorder.say(Some(&self.context.step.name), self.masks.text(text)).await;
    }

    /// The first that was refused, if one was. What was not sent is lost.
    pub(crate) fn refused(self) -> Option<ChildRefusal> {
        self.refused
    }
}

fn with_hint(error: &Error) -> String {
    format!("{}; {}", error.message(), error.hint())
}
