//! What a case is given: a store, the clock it lives by, somebody to call it, and short ways to say the usual things.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use sprongus_core::json::Json;
use sprongus_core::rules::enqueue::prepare;
use sprongus_core::run::command::RunCommand;
use sprongus_core::run::event::{Event, EventType};
use sprongus_core::run::lease::LeaseToken;
use sprongus_core::run::step::{LogLine, Phase, StepReport, StepStatus, StepType, Stream};
use sprongus_core::run::{Answer, Applied, Beat, ClaimRequest, Claimed, Hold, NewRun, Outcome, Run};
use sprongus_core::store::{Batch, ClaimAnswer, DrawnReport, Inserted, Store};
use sprongus_core::values::ids::{RunId, StepId, TokenId};
use sprongus_core::values::names::{WorkerId, WorkspaceId};
use sprongus_core::values::time::{Clock, Timestamp};
use sprongus_core::{Caller, Error, Result};

use crate::clock::TurnedClock;

/// An empty store and what belongs to it.
#[derive(Clone)]
pub struct Fixture {
    /// The store under test.
    pub store: Arc<dyn Store>,
    /// The clock it lives by.
    pub clock: TurnedClock,
    /// Somebody in the workspace `default` who may touch all of it.
    pub caller: Caller,
}

/// Makes a store and runs one case on it, on a runtime of their own.
pub fn drive<G, Made, Ran>(make: impl FnOnce(TurnedClock) -> Made, case: impl FnOnce(Fixture) -> Ran)
where
    Made: Future<Output = (Arc<dyn Store>, G)>,
    Ran: Future<Output = ()>,
{
    runtime().block_on(async {
        let clock = TurnedClock::new();
        let (store, _guard) = make(clock.clone()).await;
        case(Fixture { store, clock, caller: Caller::new(WorkspaceId::local(), "tester") }).await;
    });
}

/// A runtime with threads enough for callers to get in one another's way.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().expect("a runtime")
}

/// The worker called `name`.
pub fn worker(name: &str) -> WorkerId {
    name.parse().expect("a worker id")
}

/// A run of `kind` without input.
pub fn of_kind(kind: &str) -> NewRun {
    NewRun::new(kind, Json::empty_object())
}

/// A step called `name` at `ordinal`, standing at `status`.
pub fn step(ordinal: u32, name: &str, status: StepStatus) -> StepReport {
    StepReport {
        ordinal,
        name: name.to_owned(),
        phase: Phase::Execution,
        kind: StepType::Command,
        status,
        output: None,
        tokens_in: None,
        tokens_out: None,
    }
}

/// A line on standard output.
pub fn line(text: &str, at: Timestamp) -> LogLine {
    LogLine { stream: Stream::Stdout, at, step: None, text: text.to_owned() }
}

/// A successful end with `result`.
pub fn success(result: serde_json::Value) -> Outcome {
    Outcome::Succeed { result: Some(Json::from_value(result)), output_ref: None }
}

/// A failure that may be retried at once.
pub fn failure(error: &str) -> Outcome {
    Outcome::Fail { error: error.to_owned(), retryable: true, retry_in: Some(Duration::ZERO) }
}

/// A failure that ends the run.
pub fn failed_for_good(error: &str) -> Outcome {
    Outcome::Fail { error: error.to_owned(), retryable: false, retry_in: None }
}

/// The hold a claim gave.
pub fn hold_of(claimed: &Claimed) -> Hold {
    claimed.hold()
}

/// The same hold under a token that nobody was told.
pub fn forged(hold: &Hold) -> Hold {
    Hold { token: LeaseToken::given("a guess"), ..hold.clone() }
}

/// What a claim gave, without what each repeat of it tells anew.
pub fn bare(claimed: &[Claimed]) -> Vec<Claimed> {
    let mut claimed = claimed.to_vec();
    for one in &mut claimed {
        one.lease.token = LeaseToken::default();
        one.run.lease_hash = None;
    }
    claimed
}

/// The one answer of a batch of one.
pub fn only<T>(mut answers: Vec<Result<T>>) -> Result<T> {
    assert_eq!(answers.len(), 1, "one item, one answer");
    answers.remove(0)
}

impl Fixture {
    /// Turns the clock.
    pub fn turn(&self, later: Duration) {
        self.clock.turn(later);
    }

    /// The present.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The same store in a workspace made now.
    pub async fn tenant(&self, name: &str) -> Self {
        let workspace: WorkspaceId = name.parse().expect("a workspace id");
        self.store.create_workspace(&self.caller, &workspace).await.expect("a workspace");
        Self { caller: Caller::new(workspace, "tester"), ..self.clone() }
    }

    /// The same store asked with an API token of its own.
    pub fn with_token(&self) -> Self {
        Self { caller: Caller { token_id: Some(TokenId::new()), ..self.caller.clone() }, ..self.clone() }
    }

    /// The same store seen by somebody narrowed to `projects`.
    pub fn narrowed(&self, projects: &[&str]) -> Self {
        let projects = projects.iter().map(|id| id.parse().expect("a project id")).collect();
        Self { caller: Caller { projects: Some(projects), ..self.caller.clone() }, ..self.clone() }
    }

    /// Asks for runs as the service does: what the request itself makes wrong is not brought before the store.
    pub async fn enqueue(&self, new: Vec<NewRun>, batch: Batch) -> Vec<Result<Inserted>> {
        let requests =
            new.iter().map(|run| prepare(run, None)).collect::<Result<Vec<_>>>().expect("requests");
        self.store.enqueue(&self.caller, requests, batch).await.expect("a store that answers")
    }

    /// Asks for one run.
    pub async fn enqueue_one(&self, new: NewRun) -> Result<Inserted> {
        only(self.enqueue(vec![new], Batch::EachAlone).await)
    }

    /// A queued run.
    pub async fn made(&self, new: NewRun) -> Run {
        self.enqueue_one(new).await.expect("a run").applied.run
    }

    /// Asks for runs under a new token, as the service does.
    pub async fn ask_to_claim(&self, request: &ClaimRequest) -> Result<ClaimAnswer> {
        self.store.claim(&self.caller, request, &LeaseToken::generate()?).await
    }

    /// Claims, without waiting.
    pub async fn claim(&self, request: &ClaimRequest) -> ClaimAnswer {
        self.ask_to_claim(request).await.expect("a store that answers")
    }

    /// Claims up to `limit` runs of any kind.
    pub async fn take(&self, by: &str, limit: u32) -> Vec<Claimed> {
        self.claim(&ClaimRequest::new(worker(by), limit)).await.claimed
    }

    /// Claims one run that must be there.
    pub async fn take_one(&self, by: &str) -> Claimed {
        self.take(by, 1).await.pop().expect("something to claim")
    }

    /// A run made now and held by worker `w1`.
    pub async fn held(&self, new: NewRun) -> Hold {
        let run = self.made(new).await;
        let claimed = self.take_one("w1").await;
        assert_eq!(claimed.run.id, run.id, "the only run there is");
        hold_of(&claimed)
    }

    /// Ends an execution.
    pub async fn finish(&self, hold: &Hold, outcome: Outcome) -> Result<Applied> {
        let drawn = vec![DrawnReport { report: hold.report(outcome), draw: 0.5 }];
        only(self.store.finish(&self.caller, &hold.worker_id, drawn).await.expect("a store that answers"))
    }

    /// Tells that the worker lives.
    pub async fn beat(&self, hold: &Hold) -> Result<Beat> {
        only(
            self.store.heartbeat(&self.caller, vec![hold.clone()], None).await.expect("a store that answers"),
        )
    }

    /// Carries out a command.
    pub async fn apply(&self, id: RunId, command: RunCommand) -> Result<Applied> {
        self.store.apply(&self.caller, id, command).await
    }

    /// Calls a run off.
    pub async fn cancel(&self, id: RunId) -> Result<Applied> {
        self.apply(id, RunCommand::Cancel).await
    }

    /// Gives a run another budget.
    pub async fn retry(&self, id: RunId) -> Result<Applied> {
        self.apply(id, RunCommand::Retry { if_epoch: None }).await
    }

    /// Lets go of a run until somebody answers at its step 0.
    pub async fn wait(&self, hold: &Hold, timeout: Option<Duration>) -> Result<Applied> {
        let step_id = StepId::of(hold.id, hold.epoch, 0);
        self.apply(hold.id, RunCommand::Wait { hold: hold.clone(), step_id, timeout }).await
    }

    /// Answers whatever gate the run waits at.
    pub async fn answer(&self, id: RunId, answer: Answer, comment: Option<&str>) -> Result<Applied> {
        let comment = comment.map(str::to_owned);
        self.apply(id, RunCommand::Answer { step_id: None, answer, comment }).await
    }

    /// Tells that a CLEANUP is done.
    pub async fn cleaned(&self, hold: &Hold) -> Result<Applied> {
        self.apply(hold.id, RunCommand::Cleaned { hold: hold.clone(), gone_at: self.now() }).await
    }

    /// Records steps and lines.
    pub async fn record(
        &self,
        hold: &Hold,
        steps: Vec<StepReport>,
        lines: Vec<LogLine>,
    ) -> Result<Vec<Event>> {
        self.store.record(&self.caller, hold, steps, lines).await
    }

    /// Moves every timer that is due.
    pub async fn expire(&self) -> Vec<Event> {
        self.store.expire(&self.caller, 1_000).await.expect("a store that answers").1
    }

    /// The run as it stands.
    pub async fn get(&self, id: RunId) -> Run {
        self.store.get(&self.caller, id).await.expect("the run")
    }

    /// Its whole history.
    pub async fn events(&self, id: RunId) -> Vec<Event> {
        self.store.events(&self.caller, id, 0, 10_000).await.expect("the run's events")
    }

    /// What its history tells, in order.
    pub async fn event_types(&self, id: RunId) -> Vec<EventType> {
        self.events(id).await.iter().map(|event| event.kind).collect()
    }
}

/// What is common to everything that was refused.
#[track_caller]
pub fn refused<T: std::fmt::Debug>(answer: Result<T>) -> Error {
    answer.expect_err("a refusal")
}

/// An input that tells runs apart.
pub fn numbered(kind: &str, number: usize) -> NewRun {
    NewRun::new(kind, Json::from_value(json!({"n": number})))
}
