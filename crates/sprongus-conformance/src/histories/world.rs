//! The world of one history: the runs made and the holds given so far, and how an operation becomes a call on a store.

use std::time::Duration;

use serde_json::json;
use sprongus_core::Caller;
use sprongus_core::json::Json;
use sprongus_core::rules::enqueue::prepare;
use sprongus_core::rules::schedule::change::{Change, Exists};
use sprongus_core::run::artifact::{FileName, NewFile};
use sprongus_core::run::command::RunCommand;
use sprongus_core::run::lease::LeaseToken;
use sprongus_core::run::list::ListFilter;
use sprongus_core::run::retention::{KindRetention, Retention};
use sprongus_core::run::{Answer, ClaimRequest, Due, Hold, NewRun, Outcome};
use sprongus_core::schedule::Definition;
use sprongus_core::store::{Batch, DrawnReport, Store};
use sprongus_core::values::ids::{RunId, StepId, TokenId};
use sprongus_core::values::names::{Kind, ScheduleId, WorkerId, WorkspaceId};
use sprongus_core::values::time::{Clock, Timestamp};
use sprongus_core::workspace::directory::WorkerInfo;
use sprongus_core::workspace::setting::ManagedBy;

use super::operation::{Asked, End, Operation, Scheduling};
use super::telling;
use crate::clock::TurnedClock;
use crate::fixture::{forged, line, step, worker};

mod calls;
mod ending;

use calls::Call;

/// What is known of a history so far; the model's answers teach it.
pub(super) struct World {
    clock: TurnedClock,
    /// Who asks, of [`callers`].
    caller: Caller,
    made: Vec<RunId>,
    numbers: u64,
    claims: u64,
    /// Tokens told so far.
    tokens: u64,
    holds: Vec<Hold>,
    named: Option<ClaimRequest>,
    finished: Option<Call>,
    put: Option<Call>,
}

/// Who takes turns: somebody who may see all of a workspace, the same with an API token, somebody narrowed to a project there, and
/// somebody of another workspace.
fn callers() -> [Caller; 4] {
    let everything = Caller::new(WorkspaceId::local(), "somebody");
    let with_token = Caller { token_id: Some(TokenId::from_bits(7)), ..everything.clone() };
    let projects = Some(vec!["project-0".parse().expect("a project id")]);
    let narrowed = Caller { projects, ..Caller::new(WorkspaceId::local(), "narrowed") };
    let elsewhere = Caller::new("elsewhere".parse().expect("a workspace id"), "somebody else");
    [everything, with_token, narrowed, elsewhere]
}

fn kind(number: u8) -> Kind {
    format!("kind-{number}").parse().expect("a kind")
}

fn worker_at(number: u8) -> WorkerId {
    worker(&format!("w{number}"))
}

/// Ids that every store is given alike.
fn id_at(number: u64) -> RunId {
    format!("019b0000-0000-7000-8000-{number:012x}").parse().expect("an id")
}

/// Two artifacts, whose names sort by their bytes alone, and the work directory.
fn file_at(number: u8) -> FileName {
    match number {
        0 => FileName::Artifact("Z/report.md".parse().expect("an artifact's name")),
        1 => FileName::Artifact("a.md".parse().expect("an artifact's name")),
        _ => FileName::Workdir,
    }
}

fn new_file(number: u8, location: String) -> NewFile {
    let (size, sha256, content_type) = (location.len() as u64, "0".repeat(64), "text/plain".to_owned());
    NewFile { name: file_at(number), size, sha256, content_type, location }
}

fn seconds(number: u16) -> Duration {
    Duration::from_secs(number.into())
}

fn schedule_at(number: u8) -> ScheduleId {
    format!("schedule-{number}").parse().expect("a schedule's id")
}

/// Schedules that tick often enough for a history, and whose ticks are missed soon.
fn definition(timing: u8, missed: u8, overlap: u8, input: u8) -> Definition {
    let mut fields = json!({
        "kind": "kind-0",
        "input": {"n": input},
        "missed": (["skip", "last", "all"][usize::from(missed)]),
        "missedAfter": "20s",
        "maxMissed": 4,
        "overlap": (["allow", "skip", "queue_one", "queue_all", "cancel_running"][usize::from(overlap)]),
    });
    let (name, value) = match timing {
        0 => ("every", "7s"),
        1 => ("every", "90s"),
        2 => ("cron", "* * * * *"),
        _ => ("cron", "*/20 * * * * *"),
    };
    fields[name] = value.into();
    Definition::read(&fields).expect("a sound definition")
}

impl World {
    pub(super) fn new(clock: TurnedClock) -> Self {
        Self {
            clock,
            caller: callers()[0].clone(),
            made: Vec::new(),
            numbers: 0,
            claims: 0,
            tokens: 0,
            holds: Vec::new(),
            named: None,
            finished: None,
            put: None,
        }
    }

    /// What every history finds in place: two workspaces, and in each two projects and three workers.
    pub(super) async fn furnish(&self, store: &dyn Store) {
        let [local, .., elsewhere] = callers();
        store.create_workspace(&local, &elsewhere.workspace).await.expect("a workspace");
        for caller in [local, elsewhere] {
            for project in ["project-0", "project-1"] {
                let id = project.parse().expect("a project id");
                store.create_project(&caller, &id).await.expect("a project");
            }
            for number in 0..3 {
                let (host, version) = ("host".to_owned(), "0".to_owned());
                let id = worker_at(number);
                let info =
                    WorkerInfo { id, kinds: None, host, pid: 1, version, concurrency: 1, zone_data: None };
                store.see_worker(&caller, &info).await.expect("a worker");
            }
        }
    }

    /// Turns an operation into a call on what there is; nothing when there is nothing to call on.
    pub(super) fn aim(&mut self, operation: &Operation) -> Option<Call> {
        Some(match operation {
            Operation::As { caller } => {
                self.caller = callers().into_iter().nth(usize::from(*caller))?;
                return None;
            }
            Operation::Enqueue { runs, whole } => {
                let runs: Vec<NewRun> = runs.iter().map(|asked| self.new_run(asked)).collect();
                let prepared = runs.iter().map(|run| prepare(run, None).expect("a sound request"));
                let batch = if *whole { Batch::AllOrNothing } else { Batch::EachAlone };
                Call::Enqueue(prepared.collect(), batch)
            }
            Operation::Claim { worker, kind: wanted, limit, lease, named } => {
                self.claims += 1;
                let claim_id = named.then(|| format!("claim-{}", self.claims).parse().expect("a claim id"));
                let kinds = wanted.map(|number| vec![kind(number)]);
                let lease = seconds(*lease);
                let worker_id = worker_at(*worker);
                let (limit, wait) = (*limit, Duration::ZERO);
                Call::Claim(ClaimRequest { worker_id, kinds, limit, lease, wait, claim_id }, self.new_token())
            }
            Operation::ClaimAgain => Call::Claim(self.named.clone()?, self.new_token()),
            Operation::Heartbeat { holds, lease } => {
                let mut holds: Vec<Hold> = holds.iter().filter_map(|&number| self.hold(number)).collect();
                holds.sort_by_key(|hold| hold.id);
                // The service refuses a batch that names a run twice.
                holds.dedup_by_key(|hold| hold.id);
                Call::Heartbeat(holds, lease.map(seconds))
            }
            Operation::Finish { ends, draw } => {
                let worker = self.hold(ends.first()?.0)?.worker_id;
                let reports = ends.iter().filter_map(|(number, end)| {
                    let hold = self.hold(*number)?;
                    Some(DrawnReport { report: hold.report(outcome(end)), draw: *draw })
                });
                Call::Finish(worker, reports.collect())
            }
            Operation::FinishAgain => self.finished.clone()?,
            Operation::Wait { hold, ordinal, timeout } => {
                let hold = self.hold(*hold)?;
                let step_id = StepId::of(hold.id, hold.epoch, *ordinal);
                Call::Command(hold.id, RunCommand::Wait { hold, step_id, timeout: timeout.map(seconds) })
            }
            Operation::Answer { run, approve, named } => {
                let id = self.run(*run)?;
                let held = self.holds.iter().rev().find(|hold| hold.id == id);
                let step_id = held.filter(|_| *named).map(|hold| StepId::of(id, hold.epoch, 0));
                let answer = if *approve { Answer::Approved } else { Answer::Rejected };
                Call::Command(
                    id,
                    RunCommand::Answer { step_id, answer, comment: Some("so be it".to_owned()) },
                )
            }
            Operation::Cancel { run } => Call::Command(self.run(*run)?, RunCommand::Cancel),
            Operation::Retry { run, epoch } => {
                let id = self.run(*run)?;
                let last = self.holds.iter().rev().find(|hold| hold.id == id).map_or(0, |hold| hold.epoch);
                let if_epoch = epoch.map(|before| last.saturating_sub(before.into()));
                Call::Command(id, RunCommand::Retry { if_epoch })
            }
            Operation::Cleaned { hold } => {
                let hold = self.hold(*hold)?;
                Call::Command(hold.id, RunCommand::Cleaned { hold, gone_at: self.clock.now() })
            }
            Operation::Progress { hold, percent, message } => {
                let hold = self.hold(*hold)?;
                let message = message.then(|| "on the way".to_owned());
                Call::Command(hold.id, RunCommand::Progress { hold, percent: *percent, message })
            }
            Operation::Record { hold, steps, lines } => {
                let steps = steps.iter().map(|(ordinal, status)| step(*ordinal, "work", *status));
                let lines = (0..*lines).map(|n| line(&format!("line {n}"), self.clock.now()));
                Call::Record(self.hold(*hold)?, steps.collect(), lines.collect())
            }
            Operation::Put { hold, file, expected } => {
                self.numbers += 1;
                let (hold, location) = (self.hold(*hold)?, format!("default/{}", self.numbers));
                // Some last no longer than the clock may be turned on by.
                let due = expected.then(|| self.clock.now().plus(Duration::from_secs(600)));
                Call::Put(hold, due, new_file(*file, location))
            }
            Operation::PutAgain => self.put.clone()?,
            Operation::Drop { hold, file } => Call::Drop(self.hold(*hold)?, file_at(*file)),
            Operation::Sweep { limit } => Call::Sweep(*limit),
            Operation::Turn { later } => {
                self.clock.turn(*later);
                return None;
            }
            Operation::ExpireEarlier { earlier } => Call::ExpireEarlier(*earlier),
            Operation::Schedule { schedule, what } => {
                self.numbers += 1;
                Call::Schedule(schedule_at(*schedule), self.change(what), self.numbers)
            }
            Operation::Expire => Call::Expire,
            Operation::Prune { minutes, own } => {
                let kept = seconds(*minutes) * 60;
                let own = own.map(|(number, succeeded, failed)| {
                    let kept = |minutes: Option<u16>| minutes.map(|minutes| seconds(minutes) * 60);
                    (kind(number), KindRetention { succeeded: kept(succeeded), failed: kept(failed) })
                });
                Call::Prune(Retention { kinds: own.into_iter().collect(), ..Retention::new(kept, kept * 2) })
            }
            Operation::Pause { kind: number, paused } => Call::Pause(kind(*number), *paused),
            Operation::Drain { worker } => Call::Drain(worker_at(*worker)),
            Operation::Block { run, blocked } => Call::Block(self.run(*run)?, *blocked),
            Operation::List { oldest_first, limit } => {
                Call::List(ListFilter { oldest_first: *oldest_first, limit: *limit, ..ListFilter::default() })
            }
        })
    }

    fn change(&mut self, what: &Scheduling) -> Change {
        match what {
            Scheduling::Put { timing, missed, overlap, input } => {
                let definition = Box::new(definition(*timing, *missed, *overlap, *input));
                Change::Put { definition, by: ManagedBy::Api, exists: Exists::May }
            }
            Scheduling::Pause => Change::Pause,
            Scheduling::Resume => Change::Resume,
            Scheduling::Delete => Change::Delete,
            Scheduling::Trigger => {
                self.numbers += 1;
                Change::Trigger(id_at(self.numbers))
            }
            Scheduling::Backfill { minutes } => {
                let minute = self.clock.now().as_millis() / 60_000;
                let ticks = (1..=3).map(|back| minute - i64::from(*minutes) + back);
                Change::Backfill(ticks.map(|tick| Timestamp::from_millis(tick * 60_000)).collect())
            }
        }
    }

    /// A token that every store is given alike.
    fn new_token(&mut self) -> LeaseToken {
        self.tokens += 1;
        LeaseToken::given(format!("token {}", self.tokens))
    }

    fn new_run(&mut self, asked: &Asked) -> NewRun {
        let again = asked.again.and_then(|number| self.run(number));
        let id = again.unwrap_or_else(|| {
            self.numbers += 1;
            id_at(self.numbers)
        });
        NewRun {
            id: Some(id),
            project_id: asked.project.map(|number| format!("project-{number}")),
            idempotency_key: asked.key.map(|number| format!("key-{number}")),
            max_attempts: Some(asked.most),
            priority: Some(asked.priority),
            due: asked.delay.map_or(Due::Now, |delay| Due::After(seconds(delay))),
            expire_at: asked.expire.map(|later| self.clock.now().plus(seconds(later))),
            ..NewRun::new(kind(asked.kind).as_str(), Json::from_value(json!({"n": asked.input})))
        }
    }

    /// A run made before: mostly one of the last few.
    fn run(&self, number: u8) -> Option<RunId> {
        self.made.get(recent(self.made.len(), number)?).copied()
    }

    /// A hold given before, by now perhaps lost: mostly one of the last few; now and then as another worker, an epoch ahead, or
    /// with a token that is wrong or missing.
    fn hold(&self, number: u8) -> Option<Hold> {
        let hold = self.holds.get(recent(self.holds.len(), number)?)?.clone();
        Some(match number {
            250.. => Hold { worker_id: worker("stranger"), ..hold },
            245.. => Hold { epoch: hold.epoch + 1, ..hold },
            236.. => forged(&hold),
            232.. => Hold { token: LeaseToken::default(), ..hold },
            _ => hold,
        })
    }
}

fn recent(length: usize, number: u8) -> Option<usize> {
    let reach = if number < 200 { length.min(6) } else { length };
    let back = usize::from(number).checked_rem(reach)?;
    Some(length - 1 - back)
}

fn outcome(end: &End) -> Outcome {
    match end {
        End::Succeed(number) => {
            Outcome::Succeed { result: Some(Json::from_value(json!({"r": number}))), output_ref: None }
        }
        End::Fail { error, retryable, retry_in } => Outcome::Fail {
            error: format!("error {error}"),
            retryable: *retryable,
            retry_in: retry_in.map(seconds),
        },
        End::Release => Outcome::Release,
    }
}
