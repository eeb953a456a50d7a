//! An answer is lost after the server has done what was asked. The client asks again, the call succeeds, and what was asked has
//! happened once.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use sprongus_conformance::fixture::{line, of_kind, step, worker};
use sprongus_conformance::{Model, TurnedClock};
use sprongus_core::run::event::EventType;
use sprongus_core::run::list::ListFilter;
use sprongus_core::run::retention::{PruneMode, Retention};
use sprongus_core::run::state::State;
use sprongus_core::run::step::StepStatus;
use sprongus_core::run::{Answer, ClaimRequest, Enqueue, Hold, NewRun};
use sprongus_core::store::Batch;
use sprongus_core::values::ids::{RunId, StepId};
use sprongus_core::values::time::Clock;
use sprongus_core::workspace::directory::NewAgentTask;
use sprongus_core::workspace::token::{NewToken, Scope};
use sprongus_core::{Admin, ErrorCode, Runs, RunsExt};
use sprongus_http::client::RunsClient;

use crate::proxy::Proxy;
use crate::scene::Scene;

struct Stage {
    /// What is asked through the proxy.
    runs: RunsClient,
    /// What looks at the server itself.
    direct: RunsClient,
    proxy: Proxy,
    clock: TurnedClock,
    _scene: Scene,
}

impl Stage {
    async fn new() -> Self {
        let clock = TurnedClock::new();
        let scene = Scene::new(Arc::new(Model::new(Arc::new(clock.clone())))).await;
        let proxy = Proxy::new(scene.address).await;
        Self { runs: scene.client_at(proxy.address), direct: scene.client(), proxy, clock, _scene: scene }
    }

    /// A run held by worker `w`.
    async fn held(&self) -> Hold {
        let run = self.direct.enqueue_one(of_kind("work")).await.unwrap().run;
        let claimed = self.direct.claim_next(&worker("w"), 1).await.unwrap();
        assert_eq!(claimed[0].run.id, run.id);
        claimed[0].hold()
    }

    /// Makes a call whose first two answers are lost.
    async fn lossy<T>(&self, call: impl Future<Output = sprongus_core::Result<T>>) -> T {
        self.lossy_after(0, call).await
    }

    /// Makes a call of which some answers get through before two are lost.
    async fn lossy_after<T>(
        &self,
        passing: usize,
        call: impl Future<Output = sprongus_core::Result<T>>,
    ) -> T {
        let (lost, passed) = self.proxy.counts();
        self.proxy.lose(2, passing);
        let answer = call.await.unwrap();
        let now = self.proxy.counts();
        assert_eq!(now.0, lost + 2, "two answers were lost");
        assert!(now.1 > passed + passing, "and the third one got through");
        answer
    }

    async fn events(&self, id: RunId) -> Vec<EventType> {
        self.direct.events(id, 0, 1_000).await.unwrap().iter().map(|event| event.kind).collect()
    }

    async fn count(&self) -> usize {
        self.direct.list(&ListFilter { limit: 100, ..ListFilter::default() }).await.unwrap().data.len()
    }
}

fn gate(hold: &Hold) -> StepId {
    StepId::of(hold.id, hold.epoch, 0)
}

#[tokio::test]
async fn an_enqueue_makes_one_run_and_says_that_it_is_new() {
    let stage = Stage::new().await;
    let made = stage.lossy(stage.runs.enqueue_one(of_kind("work"))).await;
    assert_eq!(made.outcome, Enqueue::Created, "an earlier try of this very call made it");
    let keyed = NewRun { idempotency_key: Some("k".to_owned()), ..of_kind("work") };
    assert_eq!(stage.lossy(stage.runs.enqueue_one(keyed.clone())).await.outcome, Enqueue::Created);
    assert_eq!(stage.lossy(stage.runs.enqueue_one(keyed)).await.outcome, Enqueue::Existing);
    assert_eq!(stage.count().await, 2);
    assert_eq!(stage.events(made.run.id).await, [EventType::Enqueued]);
    for batch in [Batch::AllOrNothing, Batch::EachAlone] {
        let runs = vec![of_kind("a"), of_kind("b"), of_kind("c")];
        let answers = stage.lossy(stage.runs.enqueue(runs, batch)).await;
        assert!(answers.iter().all(|answer| answer.as_ref().unwrap().outcome == Enqueue::Created));
    }
    assert_eq!(stage.count().await, 8);
}

#[tokio::test]
async fn a_claim_takes_each_run_once() {
    let stage = Stage::new().await;
    for _ in 0..4 {
        stage.direct.enqueue_one(of_kind("work")).await.unwrap();
    }
    let wait = Duration::from_millis(200);
    let claim = || stage.runs.claim(ClaimRequest { wait, ..ClaimRequest::new(worker("w"), 2) });
    let claimed = stage.lossy(claim()).await;
    assert_eq!(claimed.len(), 2);
    for one in &claimed {
        assert_eq!((one.run.epoch, one.run.attempt), (1, 1));
        assert_eq!(stage.events(one.run.id).await, [EventType::Enqueued, EventType::Started]);
    }
    let queued = ListFilter { states: vec![State::Queued], ..ListFilter::default() };
    assert_eq!(stage.direct.list(&queued).await.unwrap().data.len(), 2, "the others are left to others");
}

#[tokio::test]
async fn reports_of_a_worker_count_once() {
    let stage = Stage::new().await;
    let hold = stage.held().await;
    stage.clock.turn(Duration::from_secs(20));
    let beat = stage.lossy(stage.runs.heartbeat(vec![hold.clone()], None)).await.remove(0).unwrap();
    assert_eq!(beat.lease_ms, 30_000);
    stage.lossy(stage.runs.progress(&hold, 40, None)).await;
    stage.lossy(stage.runs.record(&hold, vec![step(0, "s", StepStatus::Running)], vec![])).await;
    let waiting = stage.lossy(stage.runs.wait(&hold, gate(&hold), None)).await;
    assert!(waiting.waiting_for.is_some());
    let wanted = [
        EventType::Enqueued,
        EventType::Started,
        EventType::Progressed,
        EventType::StepStarted,
        EventType::Waiting,
    ];
    assert_eq!(stage.events(hold.id).await, wanted);
}

#[tokio::test]
async fn executions_end_once() {
    let stage = Stage::new().await;
    let hold = stage.held().await;
    let run = stage.lossy(stage.runs.succeed(&hold, Some(json!({"n": 1}).into()), None)).await;
    assert_eq!(run.state, State::Succeeded);
    assert_eq!(stage.events(hold.id).await[2..], [EventType::Succeeded]);

    let hold = stage.held().await;
    let run = stage.lossy(stage.runs.fail(&hold, "boom", true)).await;
    assert_eq!((run.state, run.attempt), (State::Queued, 1));
    assert_eq!(stage.events(hold.id).await[2..], [EventType::RetryScheduled]);
    stage.direct.cancel(hold.id).await.unwrap();

    let hold = stage.held().await;
    let run = stage.lossy(stage.runs.release(&hold)).await;
    assert_eq!((run.state, run.attempt), (State::Queued, 0));
    assert_eq!(stage.events(hold.id).await[2..], [EventType::Released]);
}

#[tokio::test]
async fn a_run_is_called_off_cleaned_up_and_retried_once() {
    let stage = Stage::new().await;
    let hold = stage.held().await;
    assert_eq!(stage.lossy(stage.runs.cancel(hold.id)).await.state, State::Canceled);
    stage.lossy(stage.runs.cleaned(&hold, stage.clock.now())).await;
    assert_eq!(stage.lossy(stage.runs.retry(hold.id, Some(1))).await.state, State::Queued);
    let wanted = [EventType::Canceled, EventType::Cleaned, EventType::Retried];
    assert_eq!(stage.events(hold.id).await[2..], wanted);
    stage.direct.cancel(hold.id).await.unwrap();
    // Without an epoch it reads the run first: the answers to the read are lost, then those to the retry itself.
    for passing in [0, 1] {
        let run = stage.lossy_after(passing, stage.runs.retry(hold.id, None)).await;
        assert_eq!(run.state, State::Queued);
        stage.direct.cancel(hold.id).await.unwrap();
    }
    let retried = stage.events(hold.id).await.into_iter().filter(|kind| *kind == EventType::Retried).count();
    assert_eq!(retried, 3);
}

#[tokio::test]
async fn a_gate_is_answered_once() {
    for (answer, event) in [(Answer::Approved, EventType::Approved), (Answer::Rejected, EventType::Rejected)]
    {
        for (named, passing) in [(true, 0), (false, 0), (false, 1)] {
            let stage = Stage::new().await;
            let hold = stage.held().await;
            stage.direct.wait(&hold, gate(&hold), None).await.unwrap();
            let (step, said) = (named.then(|| gate(&hold)), Some("because".to_owned()));
            stage.lossy_after(passing, stage.runs.answer(hold.id, step, answer, said)).await;
            let events = stage.events(hold.id).await;
            assert_eq!(events.into_iter().filter(|kind| *kind == event).count(), 1);
        }
    }
}

#[tokio::test]
async fn the_directory_is_kept_once() {
    let stage = Stage::new().await;
    stage.lossy(stage.runs.create_project(&"p".parse().unwrap())).await;
    stage.lossy(stage.runs.create_agent_task(NewAgentTask::new("T".parse().unwrap()))).await;
    stage.lossy(stage.runs.create_workspace(&"w".parse().unwrap())).await;
    stage.lossy(stage.runs.delete_workspace(&"w".parse().unwrap())).await;
    assert_eq!(stage.direct.workspaces().await.unwrap().len(), 1);
    let error = stage.runs.delete_workspace(&"w".parse().unwrap()).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::NotFound, "this call took nothing");
}

/// What is not safe is not repeated: the error says that nobody knows.
#[tokio::test]
async fn what_would_be_done_twice_is_not_repeated() {
    let stage = Stage::new().await;
    let hold = stage.held().await;
    let lines = vec![line("once", stage.clock.now())];
    let new = NewToken { name: "n".to_owned(), scopes: vec![Scope::Read], projects: None, expires_in: None };
    let calls: [std::pin::Pin<Box<dyn Future<Output = Option<sprongus_core::Error>>>>; 4] = [
        Box::pin(async { stage.runs.record(&hold, vec![], lines).await.err() }),
        Box::pin(async { stage.runs.progress(&hold, 50, Some("half".to_owned())).await.err() }),
        Box::pin(async { stage.runs.create_token(new).await.err() }),
        Box::pin(async { stage.runs.prune(&Retention::default(), PruneMode::Checked).await.err() }),
    ];
    for call in calls {
        stage.proxy.lose(1, 0);
        let error = call.await.expect("nobody knows");
        assert_eq!(error.code(), ErrorCode::Unavailable);
        assert_eq!(error.hint(), "it may have been done; check before you repeat it");
    }
    assert_eq!(stage.proxy.counts(), (4, 0));
    assert_eq!(stage.direct.logs(hold.id, 0, 10).await.unwrap().len(), 1);
    assert_eq!(stage.events(hold.id).await[2..], [EventType::Progressed]);
    assert_eq!(stage.direct.tokens().await.unwrap().len(), 2);
}
