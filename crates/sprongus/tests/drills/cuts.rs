//! The connection breaks amid every verb, before the server hears of it or before its answer is heard: what is answered has been
//! done once, and what is refused has been done once or not at all.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use sprongus::core::json::Json;
use sprongus::core::run::lease::LeaseToken;
use sprongus::core::run::retention::{PruneMode, Retention};
use sprongus::core::run::step::{LogLine, Phase, StepReport, StepStatus, StepType, Stream};
use sprongus::core::run::{Answer, ClaimRequest, Hold, NewRun};
use sprongus::core::store::Batch;
use sprongus::core::values::ids::StepId;
use sprongus::core::values::names::WorkspaceId;
use sprongus::core::values::time::{Clock, SystemClock};
use sprongus::core::{ErrorCode, Result};
use sprongus::postgres::{self, Postgres};
use sprongus::{Caller, Runs, RunsExt, RunsService};
use sprongus_throwaway::{Database, Server};

use crate::backing::migrate;
use crate::proxy::{Proxy, Way};
use crate::tempo::{block_on, form};

/// What a verb is tried on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begin {
    Queued,
    Held,
    Failed,
    Waiting,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Enqueue,
    EnqueueTogether,
    Claim,
    Heartbeat,
    Succeed,
    Fail,
    Release,
    Cancel,
    Retry,
    RetryIfEpoch,
    Wait,
    Approve,
    Progress,
    Record,
    Read,
    Prune,
    Administer,
}

const VERBS: [(Verb, Begin); 17] = [
    (Verb::Enqueue, Begin::Queued),
    (Verb::EnqueueTogether, Begin::Queued),
    (Verb::Claim, Begin::Queued),
    (Verb::Heartbeat, Begin::Held),
    (Verb::Succeed, Begin::Held),
    (Verb::Fail, Begin::Held),
    (Verb::Release, Begin::Held),
    (Verb::Cancel, Begin::Held),
    (Verb::Retry, Begin::Failed),
    (Verb::RetryIfEpoch, Begin::Failed),
    (Verb::Wait, Begin::Held),
    (Verb::Approve, Begin::Waiting),
    (Verb::Progress, Begin::Held),
    (Verb::Record, Begin::Held),
    (Verb::Read, Begin::Held),
    (Verb::Prune, Begin::Failed),
    (Verb::Administer, Begin::Queued),
];

/// One try: its run, in a workspace of its own, which nothing else is in.
struct Stage {
    runs: Arc<dyn Runs>,
    hold: Hold,
}

/// All that can be told apart afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Story {
    runs: Vec<(String, u32, u32, Vec<String>)>,
    lines: usize,
    steps: usize,
    kinds: usize,
}

#[test]
fn a_verb_is_done_once_however_its_connection_breaks() {
    let pieces = form(3, 8);
    let database = Database::copy_of("template_of_drills", migrate);
    let (mut cuts, mut refused) = (0, 0);
    block_on(async {
        let port = Server::shared().port();
        let proxy = Proxy::start(format!("127.0.0.1:{port}")).await;
        let url =
            database.tcp_url("sprongus_app", "app").replace(&port.to_string(), &proxy.port().to_string());
        let options = postgres::Options {
            pool_size: 2,
            durability: postgres::Durability::AsConfigured,
            ..postgres::Options::default()
        };
        let service = RunsService::new(Arc::new(Postgres::connect(&url, options).await.unwrap()));
        for (verb, begin) in VERBS {
            // Twice, so that its statements are prepared.
            let mut stories = Vec::new();
            for _ in 0..2 {
                let stage = Stage::set(&service, begin).await;
                let before = stage.story().await;
                verb.carry_out(&stage).await.unwrap();
                stories = vec![before, stage.story().await];
            }
            for way in [Way::ToServer, Way::ToClient] {
                for pieces in 0..pieces {
                    let stage = Stage::set(&service, begin).await;
                    proxy.cut_after(pieces, way);
                    let answer = verb.carry_out(&stage).await;
                    let has_cut = proxy.mend();
                    let at = format!("{verb:?}, {pieces} pieces {way:?}");
                    // The server may still be at what nobody waits for any more.
                    let story = stage.settled(&stories).await;
                    match answer {
                        Ok(()) => assert_eq!(story, stories[1], "{at}"),
                        Err(error) => {
                            assert!(has_cut, "{at}: {error:?}");
                            assert_eq!(error.code(), ErrorCode::Unavailable, "{at}: {error:?}");
                            assert!(
                                stories.contains(&story),
                                "{at}: half done: {story:?}, not of {stories:?}"
                            );
                            refused += 1;
                        }
                    }
                    cuts += u32::from(has_cut);
                }
            }
        }
    });
    assert!(cuts > 17 * 2, "void: the connection was cut {cuts} times");
    println!(
        "cuts: {cuts} connections cut amid {} verbs: {refused} were refused as unavailable and done once or not at all, the \
         others were done once and answered",
        VERBS.len()
    );
}

impl Stage {
    async fn set(service: &RunsService, begin: Begin) -> Self {
        let workspace: WorkspaceId = format!("stage-{}", fastrand::u32(..)).parse().unwrap();
        let caller = Caller::new(workspace.clone(), "drill");
        service.store().create_workspace(&caller, &workspace).await.unwrap();
        let runs = service.for_caller(caller);
        let attempts = if begin == Begin::Failed { 1 } else { 3 };
        let run = NewRun { max_attempts: Some(attempts), ..NewRun::new("note", Json::empty_object()) };
        let id = runs.enqueue_one(run).await.unwrap().run.id;
        let hold = Hold { id, worker_id: "worker".parse().unwrap(), epoch: 1, token: LeaseToken::default() };
        let mut stage = Self { runs, hold };
        match begin {
            Begin::Queued => {}
            Begin::Held => stage.hold = stage.claim().await.unwrap(),
            Begin::Failed => {
                stage.hold = stage.claim().await.unwrap();
                stage.runs.fail(&stage.hold, "no", true).await.unwrap();
            }
            Begin::Waiting => {
                stage.hold = stage.claim().await.unwrap();
                Verb::Wait.carry_out(&stage).await.unwrap();
            }
        }
        stage
    }

    async fn claim(&self) -> Result<Hold> {
        let request = ClaimRequest::new(self.hold.worker_id.clone(), 1);
        let claimed = self.runs.claim(request).await?;
        assert_eq!(claimed.len(), 1, "somebody else has it");
        Ok(claimed[0].hold())
    }

    fn step(&self, kind: StepType, status: StepStatus) -> StepReport {
        let (name, output) = ("step".to_owned(), None);
        StepReport {
            ordinal: 0,
            name,
            phase: Phase::Execution,
            kind,
            status,
            output,
            tokens_in: None,
            tokens_out: None,
        }
    }

    /// The story once it is one of those told, or after a while.
    async fn settled(&self, stories: &[Story]) -> Story {
        for _ in 0..20 {
            let story = self.story().await;
            if stories.contains(&story) {
                return story;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.story().await
    }

    async fn story(&self) -> Story {
        let listed = self.runs.list(&Default::default()).await.unwrap().data;
        let mut runs = Vec::new();
        for run in &listed {
            let events = self.runs.events(run.id, 0, 100).await.unwrap();
            let events = events.iter().map(|event| event.kind.as_str().to_owned()).collect();
            runs.push((run.state.as_str().to_owned(), run.attempt, run.max_attempts, events));
        }
        let is_there = listed.iter().any(|run| run.id == self.hold.id);
        let (mut lines, mut steps) = (0, 0);
        if is_there {
            lines = self.runs.logs(self.hold.id, 0, 100).await.unwrap().len();
            steps = self.runs.steps(self.hold.id).await.unwrap().len();
        }
        let kinds = self.runs.kinds().await.unwrap().len() + self.runs.projects().await.unwrap().len();
        Story { runs, lines, steps, kinds }
    }
}

impl Verb {
    async fn carry_out(self, stage: &Stage) -> Result<()> {
        let (runs, hold) = (&stage.runs, &stage.hold);
        let step_id = StepId::of(hold.id, hold.epoch, 0);
        let new = || NewRun::new("note", Json::empty_object());
        match self {
            Self::Enqueue => runs.enqueue_one(new()).await.map(drop),
            Self::EnqueueTogether => runs.enqueue(vec![new(), new()], Batch::AllOrNothing).await.map(drop),
            Self::Claim => stage.claim().await.map(drop),
            Self::Heartbeat => runs.heartbeat(vec![hold.clone()], None).await?.remove(0).map(drop),
            Self::Succeed => {
                runs.succeed(hold, Some(Json::from_value(json!({"n": 1}))), None).await.map(drop)
            }
            Self::Fail => runs.fail(hold, "no", true).await.map(drop),
            Self::Release => runs.release(hold).await.map(drop),
            Self::Cancel => runs.cancel(hold.id).await.map(drop),
            Self::Retry => runs.retry(hold.id, None).await.map(drop),
            Self::RetryIfEpoch => runs.retry(hold.id, Some(1)).await.map(drop),
            Self::Wait => runs.wait(hold, step_id, Some(Duration::from_secs(60))).await.map(drop),
            Self::Approve => runs.answer(hold.id, Some(step_id), Answer::Approved, None).await.map(drop),
            Self::Progress => runs.progress(hold, 50, Some("half".to_owned())).await.map(drop),
            Self::Record => {
                let line = LogLine {
                    stream: Stream::Stdout,
                    at: SystemClock.now(),
                    step: None,
                    text: "a".to_owned(),
                };
                let steps = vec![stage.step(StepType::Command, StepStatus::Running)];
                runs.record(hold, steps, vec![line]).await
            }
            Self::Read => {
                runs.get(hold.id).await?;
                runs.stats().await?;
                runs.find_by_key("key").await.map(drop)
            }
            Self::Prune => runs.prune(&Retention::default(), PruneMode::Checked).await.map(drop),
            Self::Administer => {
                runs.pause_kind(&"note".parse().unwrap(), true).await?;
                runs.create_project(&"p".parse().unwrap()).await.map(drop)
            }
        }
    }
}
