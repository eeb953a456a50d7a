//! What a slip in a rule would break: the fence, the counting of attempts and crashes, the closing lease, repeats.

use std::time::Duration;

use super::claim;
use super::commands::cancel::cancel;
use super::commands::cleaned::cleaned;
use super::commands::gate::{answer, wait};
use super::commands::retry::retry;
use super::dispatch::{block, claim_unless, select, taken};
use super::enqueue::{enqueue, prepare};
use super::expire::expire;
use super::finish::finish;
use super::heartbeat::heartbeat;
use super::order::Order;
use super::placement::Placement;
use super::record::admit;
use super::*;
use crate::json::Json;
use crate::run::lease::{LeaseHash, LeaseToken};
use crate::run::step::Step;
use crate::run::step::{Phase, StepReport, StepStatus, StepType};
use crate::run::{Answer, ClaimRequest, Cleanup, NewRun, Outcome};
use crate::values::ids::StepId;
use crate::values::names::{WorkerId, WorkspaceId};
use crate::workspace::caller::Caller;

const LEASE: Duration = Duration::from_secs(30);

fn at(seconds: i64) -> Act<'static> {
    Act { now: Timestamp::from_millis(1_700_000_000_000 + seconds * 1_000), actor: "tester" }
}

fn worker(name: &str) -> WorkerId {
    name.parse().unwrap()
}

fn queued(most: u32) -> Run {
    let new = NewRun { max_attempts: Some(most), ..NewRun::new("work", Json::empty_object()) };
    one(enqueue(&prepare(&new, None).unwrap(), &WorkspaceId::local(), at(0))).run
}

/// The token that the claim which makes `epoch` tells.
fn token(epoch: u64) -> LeaseToken {
    LeaseToken::given(format!("token {epoch}"))
}

fn claim(run: &Run, worker: &WorkerId, lease: Duration, act: Act<'_>) -> Option<Transition> {
    let request = ClaimRequest { lease, ..ClaimRequest::new(worker.clone(), 1) };
    claim::claim(run, &request, token(run.epoch + 1).hash(), act)
}

fn hold(run: &Run, by: &str) -> Hold {
    Hold { id: run.id, worker_id: worker(by), epoch: run.epoch, token: token(run.epoch) }
}

fn claimed(run: &Run, second: i64) -> (Run, Hold) {
    let run = claim(run, &worker("w"), LEASE, at(second)).unwrap().run;
    let hold = hold(&run, "w");
    (run, hold)
}

fn held() -> (Run, Hold) {
    claimed(&queued(3), 0)
}

fn after(decided: Result<WriteSet>) -> Run {
    one(decided.unwrap()).run
}

/// The one run that a set writes.
fn one(set: WriteSet) -> Transition {
    let mut all = set.new_runs.into_iter().chain(set.transitions);
    let only = all.next().expect("something is written");
    assert_eq!(all.next(), None, "one run");
    only
}

/// A run once time has done its part.
fn expired(run: &Run, act: Act<'_>) -> Transition {
    one(expire(run, None, act))
}

fn code<T: std::fmt::Debug>(answer: Result<T>) -> ErrorCode {
    answer.unwrap_err().code()
}

fn fail(error: &str) -> Outcome {
    Outcome::Fail { error: error.to_owned(), retryable: true, retry_in: Some(Duration::ZERO) }
}

fn succeed() -> Outcome {
    Outcome::Succeed { result: None, output_ref: None }
}

#[test]
fn epoch_worker_token_and_expiry_each_fence_alone() {
    let (run, hold) = held();
    let foreign = [
        Hold { token: LeaseToken::default(), ..hold.clone() },
        Hold { token: token(2), ..hold.clone() },
        Hold { epoch: hold.epoch - 1, ..hold.clone() },
        Hold { epoch: hold.epoch + 1, ..hold.clone() },
        Hold { worker_id: worker("other"), ..hold.clone() },
    ];
    for hold in &foreign {
        assert_eq!(code(finish(&run, hold, &succeed(), 0.0, at(1))), ErrorCode::LeaseLost);
        assert_eq!(code(heartbeat(&run, hold, None, at(1))), ErrorCode::LeaseLost);
        assert_eq!(code(admit(&run, hold, at(1))), ErrorCode::LeaseLost);
    }
    assert!(heartbeat(&run, &hold, None, at(29)).is_ok());
    assert_eq!(code(heartbeat(&run, &hold, None, at(30))), ErrorCode::LeaseLost, "its last instant is over");
    assert_eq!(code(finish(&run, &hold, &succeed(), 0.0, at(30))), ErrorCode::LeaseLost);
    assert!(expire(&run, None, at(29)).is_empty());
    assert!(!expire(&run, None, at(30)).is_empty(), "lost and refused at the same instant");
}

#[test]
fn attempts_are_counted_from_starts_and_given_back_by_a_release() {
    let (run, hold) = claimed(&queued(2), 0);
    assert_eq!((run.attempt, run.epoch), (1, 1));
    let released = after(finish(&run, &hold, &Outcome::Release, 0.0, at(1)));
    assert_eq!((released.state, released.attempt, released.epoch), (State::Queued, 0, 1));
    let (run, hold) = claimed(&released, 2);
    let failed = after(finish(&run, &hold, &fail("a"), 0.0, at(3)));
    assert_eq!((failed.state, failed.attempt), (State::Queued, 1));
    let (run, hold) = claimed(&failed, 4);
    assert_eq!((run.attempt, run.epoch), (2, 3));
    assert_eq!(after(finish(&run, &hold, &fail("b"), 0.0, at(5))).state, State::Failed, "two of two");
}

#[test]
fn the_last_attempt_or_the_third_crash_ends_a_lost_run() {
    let lost = |most, crashes| {
        let (mut run, _) = claimed(&queued(most), 0);
        run.crashes = crashes;
        expired(&run, at(30)).run
    };
    assert_eq!(lost(2, 0).state, State::Queued);
    assert_eq!(lost(1, 0).state, State::Failed, "one attempt is never run twice");
    assert_eq!((lost(100, 1).state, lost(100, 1).crashes), (State::Queued, 2));
    assert_eq!((lost(100, 2).state, lost(100, 2).crashes), (State::Failed, 3));
    assert_eq!(lost(100, 2).cleanup, Cleanup::Owed);
}

#[test]
fn a_closing_lease_lasts_ten_minutes_at_most() {
    let (run, hold) = held();
    let canceled = after(cancel(&run, None, at(10)));
    assert_eq!(canceled.lease_expires_at, Some(at(30).now), "cancel makes no lease longer");
    let hour = Some(Duration::from_secs(3_600));
    let beat = heartbeat(&canceled, &hold, hour, at(20)).unwrap();
    assert_eq!(beat.lease_expires_at, at(610).now);
    assert!(beat.beat.cancel);
    let long = Run { lease_expires_at: Some(at(3_600).now), ..run };
    assert_eq!(after(cancel(&long, None, at(10))).lease_expires_at, Some(at(610).now));
}

#[test]
fn a_cleanup_is_handed_out_once_under_a_new_epoch() {
    let (run, hold) = held();
    let canceled = after(cancel(&run, None, at(1)));
    assert!(claim(&canceled, &worker("v"), LEASE, at(2)).is_none(), "its holder is there");
    let alone = expired(&canceled, at(30));
    assert!(alone.events.is_empty());
    let given = claim(&alone.run, &worker("v"), hour_long(), at(31)).unwrap();
    assert!(given.events.is_empty());
    let (given, old) = (given.run, hold);
    assert_eq!((given.state, given.epoch, given.attempt), (State::Canceled, 2, 1));
    assert_eq!(given.lease, CLOSING_LEASE);
    assert_eq!(code(cleaned(&given, &old, at(32).now, at(32))), ErrorCode::LeaseLost);
    let alone = expired(&given, at(631)).run;
    assert!(claim(&alone, &worker("u"), LEASE, at(632)).is_none());
    let own = self::hold(&given, "v");
    assert_eq!(after(cleaned(&given, &own, at(40).now, at(40))).cleanup, Cleanup::None);
}

fn hour_long() -> Duration {
    Duration::from_secs(3_600)
}

#[test]
fn a_repeat_is_the_same_report_by_the_same_hold_not_claimed_since() {
    let (run, hold) = held();
    let failed = after(finish(&run, &hold, &fail("a"), 0.0, at(1)));
    assert_eq!(finish(&failed, &hold, &fail("a"), 0.9, at(99)).unwrap(), WriteSet::default());
    assert_eq!(code(finish(&failed, &hold, &fail("b"), 0.0, at(2))), ErrorCode::LeaseLost);
    assert_eq!(code(finish(&failed, &hold, &Outcome::Release, 0.0, at(2))), ErrorCode::LeaseLost);
    let other = Hold { worker_id: worker("other"), ..hold.clone() };
    assert_eq!(code(finish(&failed, &other, &fail("a"), 0.0, at(2))), ErrorCode::LeaseLost);
    let (again, _) = claimed(&failed, 3);
    assert_eq!(code(finish(&again, &hold, &fail("a"), 0.0, at(4))), ErrorCode::LeaseLost);

    let done = after(finish(&run, &hold, &succeed(), 0.0, at(1)));
    assert_eq!(finish(&done, &hold, &succeed(), 0.0, at(99)).unwrap(), WriteSet::default());
    let another = Outcome::Succeed { result: Some(Json::empty_object()), output_ref: None };
    assert_eq!(code(finish(&done, &hold, &another, 0.0, at(2))), ErrorCode::Conflict);
    assert_eq!(code(finish(&done, &other, &succeed(), 0.0, at(2))), ErrorCode::LeaseLost);
}

#[test]
fn a_report_is_repeated_with_its_token_alone_and_not_once_the_run_has_gone_on() {
    let (run, hold) = held();
    let step_id = StepId::of(run.id, 1, 0);
    let let_go = [
        after(finish(&run, &hold, &succeed(), 0.0, at(1))),
        after(finish(&run, &hold, &fail("a"), 0.0, at(1))),
        after(finish(&run, &hold, &Outcome::Release, 0.0, at(1))),
        after(wait(&run, &hold, step_id, None, at(1))),
    ];
    let repeat = |run: &Run, hold: &Hold, number: usize| match number {
        0 => finish(run, hold, &succeed(), 0.0, at(2)),
        1 => finish(run, hold, &fail("a"), 0.0, at(2)),
        2 => finish(run, hold, &Outcome::Release, 0.0, at(2)),
        _ => wait(run, hold, step_id, None, at(2)),
    };
    for (number, run) in let_go.iter().enumerate() {
        assert_eq!(repeat(run, &hold, number).unwrap(), WriteSet::default(), "{number}");
        for token in [LeaseToken::default(), token(2)] {
            let foreign = Hold { token, ..hold.clone() };
            assert_eq!(code(repeat(run, &foreign, number)), ErrorCode::LeaseLost, "{number}");
        }
    }
    let lost = expired(&run, at(30)).run;
    assert_eq!(lost.lease_hash, None, "a lost lease leaves nothing to repeat");
    let canceled = expired(&after(cancel(&run, None, at(1))), at(60)).run;
    assert_eq!(canceled.lease_hash, None, "nor does a closing lease");
    assert_eq!(after(retry(&canceled, None, at(61))).lease_hash, None);
}

#[test]
fn a_run_that_was_claimed_before_there_were_tokens_is_lost_and_claimed_again() {
    let (run, hold) = held();
    let old = Run { lease_hash: None, ..run };
    for token in [hold.token.clone(), LeaseToken::default()] {
        let hold = Hold { token, ..hold.clone() };
        assert_eq!(code(heartbeat(&old, &hold, None, at(1))), ErrorCode::LeaseLost);
        assert_eq!(code(finish(&old, &hold, &succeed(), 0.0, at(1))), ErrorCode::LeaseLost);
    }
    let lost = expired(&old, at(30)).run;
    let (again, hold) = claimed(&lost, 31);
    assert!(heartbeat(&again, &hold, None, at(32)).is_ok());
}

#[test]
fn a_repeated_claim_voids_the_token_before() {
    let (run, old) = held();
    let caller = Caller::new(WorkspaceId::local(), "tester");
    let hash: LeaseHash = token(7).hash();
    let anew = claim::replay(&run, &caller, &worker("w"), 1, hash, at(1).now).unwrap().unwrap();
    assert_eq!(anew, Run { lease_hash: Some(hash), ..run.clone() }, "nothing else is changed");
    assert_eq!(code(heartbeat(&anew, &old, None, at(2))), ErrorCode::LeaseLost);
    let new = Hold { token: token(7), ..old };
    assert!(heartbeat(&anew, &new, None, at(2)).is_ok());
    assert_eq!(claim::replay(&run, &caller, &worker("v"), 1, hash, at(1).now).unwrap(), None);
    assert_eq!(claim::replay(&run, &caller, &worker("w"), 2, hash, at(1).now).unwrap(), None);
    assert_eq!(
        claim::replay(&run, &caller, &worker("w"), 1, hash, at(30).now).unwrap(),
        None,
        "lost by then"
    );
    let narrowed = Caller { projects: Some(vec!["p2".parse().unwrap()]), ..caller };
    assert_eq!(code(claim::replay(&run, &narrowed, &worker("w"), 1, hash, at(1).now)), ErrorCode::Conflict);
}

#[test]
fn a_retry_resets_the_counts_and_keeps_the_epoch() {
    let (run, hold) = claimed(&queued(1), 0);
    let failed = after(finish(&run, &hold, &fail("a"), 0.0, at(1)));
    let failed = Run { crashes: 2, ..failed };
    assert_eq!(code(retry(&failed, Some(0), at(2))), ErrorCode::Conflict);
    let again = after(retry(&failed, Some(1), at(2)));
    assert_eq!((again.attempt, again.crashes, again.epoch), (0, 0, 1));
    assert_eq!((&again.error, again.finished_at), (&None, None));
    assert_eq!(retry(&again, Some(1), at(3)).unwrap(), WriteSet::default());
    assert_eq!(code(retry(&again, None, at(3))), ErrorCode::IllegalTransition);
    assert_eq!(code(retry(&again, Some(0), at(3))), ErrorCode::IllegalTransition);
    assert_eq!(code(retry(&run, Some(1), at(3))), ErrorCode::IllegalTransition, "running");
}

#[test]
fn a_gate_keeps_the_attempt_and_takes_one_answer() {
    let (run, hold) = held();
    let step_id = StepId::of(run.id, 1, 4);
    let waiting = after(wait(&run, &hold, step_id, Some(LEASE), at(1)));
    assert!(claim(&waiting, &worker("w"), LEASE, at(2)).is_none());
    assert_eq!(
        code(answer(&waiting, Some(step_id), Answer::Approved, None, None, at(31))),
        ErrorCode::IllegalTransition
    );
    let passed = after(answer(&waiting, Some(step_id), Answer::Approved, None, None, at(30)));
    assert_eq!(
        answer(&passed, Some(step_id), Answer::Approved, None, None, at(3)).unwrap(),
        WriteSet::default()
    );
    assert_eq!(
        code(answer(&passed, None, Answer::Approved, None, None, at(3))),
        ErrorCode::IllegalTransition
    );
    let (again, _) = claimed(&passed, 32);
    assert_eq!((again.attempt, again.epoch), (1, 2));
    let lost = expired(&again, at(100)).run;
    assert_eq!(claimed(&lost, 101).0.attempt, 2, "a gate is passed once");
}

#[test]
fn a_kept_work_directory_is_wanted_until_no_cleanup_needs_it() {
    use super::artifact::is_done_with_workdir;
    let (run, hold) = held();
    let waiting = after(wait(&run, &hold, StepId::of(run.id, 1, 4), None, at(1)));
    let canceled = after(cancel(&waiting, None, at(2)));
    let given = claim(&canceled, &worker("v"), LEASE, at(3)).unwrap().run;
    for wanted in [&run, &waiting, &canceled, &given] {
        assert!(!is_done_with_workdir(wanted), "{wanted:?}");
    }
    let own = self::hold(&given, "v");
    assert!(is_done_with_workdir(&after(cleaned(&given, &own, at(4).now, at(4)))));
    assert!(is_done_with_workdir(&expired(&given, at(40)).run), "nobody is given it again");
    let passed = after(answer(&waiting, None, Answer::Approved, None, None, at(2)));
    let (run, hold) = claimed(&passed, 3);
    assert!(is_done_with_workdir(&after(finish(&run, &hold, &succeed(), 0.0, at(4)))));
    let failed = after(finish(&run, &hold, &fail("a"), 0.0, at(4)));
    assert!(!is_done_with_workdir(&failed), "it is to be attempted again");
}

#[test]
fn a_carried_step_keeps_its_id() {
    let (run, hold) = held();
    let report = |status| StepReport {
        ordinal: 4,
        name: "sign-off".to_owned(),
        phase: Phase::Validation,
        kind: StepType::Gate,
        status,
        output: None,
        tokens_in: None,
        tokens_out: None,
    };
    let steps = record::steps(&run, &hold, &[], &[report(StepStatus::Running)], at(1)).unwrap().steps;
    let id = steps[0].id;
    let waiting = after(wait(&run, &hold, id, None, at(2)));
    let (run, hold) = claimed(&after(answer(&waiting, None, Answer::Approved, None, None, at(3))), 4);
    let carried: Vec<_> = steps.into_iter().map(|step| Step { epoch: 2, ..step }).collect();
    let change = record::steps(&run, &hold, &carried, &[report(StepStatus::Completed)], at(5)).unwrap();
    assert_eq!((change.steps[0].id, change.steps[0].epoch), (id, 2));
    assert_eq!(change.events[0].step_id, Some(id));
    assert_eq!(claim::carried(&run, change.steps).len(), 1);
}

#[test]
fn a_run_is_ready_or_has_a_time_to_look_again() {
    let new = NewRun { expire_at: Some(at(50).now), ..NewRun::new("work", Json::empty_object()) };
    let run = one(enqueue(&prepare(&new, None).unwrap(), &WorkspaceId::local(), at(0))).run;
    let due = |run: &Run, second| format!("{:?}", Placement::of(run, at(second).now));
    let text = |placement: Placement<'_>| format!("{placement:?}");
    assert_eq!(due(&run, 0), text(Placement::Ready { until: Some(at(50).now) }));
    let delayed = Run { run_at: at(20).now, ..run.clone() };
    assert_eq!(due(&delayed, 0), text(Placement::At(at(20).now)));
    assert_eq!(due(&delayed, 20), text(Placement::Ready { until: Some(at(50).now) }));
    let late = Run { run_at: at(70).now, ..run.clone() };
    assert_eq!(due(&late, 0), text(Placement::At(at(50).now)));
    assert!(expire(&run, None, at(49)).is_empty());
    assert_eq!(expired(&run, at(50)).run.state, State::Failed);
    let (started, _) = claimed(&run, 1);
    assert_eq!(due(&started, 1), text(Placement::At(at(31).now)));
    let lost = expired(&started, at(60)).run;
    assert_eq!(due(&lost, 60), text(Placement::Ready { until: None }), "once started it does not expire");
    let done = after(cancel(&run, None, at(1)));
    assert_eq!(due(&done, 1), text(Placement::None));
}

fn on(name: &str) -> crate::values::names::BlockedOn {
    name.parse().unwrap()
}

#[test]
fn a_blocked_run_is_queued_and_not_claimed_until_it_is_freed() {
    let new = NewRun { expire_at: Some(at(50).now), ..NewRun::new("work", Json::empty_object()) };
    let run = one(enqueue(&prepare(&new, None).unwrap(), &WorkspaceId::local(), at(0))).run;
    let blocked = block(&run, Some(on("limit:a"))).run;
    assert_eq!(blocked.state, State::Queued);
    let until = Some(at(50).now);
    assert_eq!(Placement::of(&blocked, at(1).now), Placement::Blocked { on: &on("limit:a"), until });
    assert_eq!(claim(&blocked, &worker("w"), LEASE, at(1)), None);
    assert_eq!(block(&blocked, None).run, run, "back where it was");
    for ended in [after(cancel(&blocked, None, at(1))), expired(&blocked, at(50)).run] {
        assert_eq!(ended.blocked_on, None, "what has ended waits for nothing");
    }
}

#[test]
fn candidates_are_taken_in_their_order_and_what_blocks_one_costs_no_other() {
    let run = |priority: u8, due: i64| Run { priority, run_at: at(due).now, ..queued(3) };
    let candidates = [run(0, 3), run(9, 4), run(0, 1), run(0, 99), run(5, 0), run(0, 2)];
    let place = |wanted: &Run| candidates.iter().position(|run| run.id == wanted.id).unwrap();
    let mut asked = Vec::new();
    let selection = select(&candidates, 3, at(10).now, |run| {
        asked.push(place(run));
        (run.priority == 5).then(|| on("limit:five"))
    });
    let places: Vec<usize> = selection.taken.into_iter().map(place).collect();
    assert_eq!((places, asked), (vec![1, 2, 5], vec![1, 4, 2, 5]), "nothing behind the last one is decided");
    let blocked: Vec<_> = selection.blocked.into_iter().map(|(run, on)| (place(run), on)).collect();
    assert_eq!(blocked, [(4, on("limit:five"))]);
    assert!(Order::of(&candidates[1]) < Order::of(&candidates[4]), "by priority first");

    let request = ClaimRequest::new(worker("w"), 9);
    let set = claim_unless(&candidates, &request, token(1).hash(), at(10), |run| {
        (run.priority == 5).then(|| on("limit:five"))
    });
    let given: Vec<usize> = taken(&set).map(|transition| place(&transition.run)).collect();
    assert_eq!((given, set.transitions.len()), (vec![1, 2, 5, 0], 5));
}
