//! Every state and every verb: a run is brought into each state there is, in each way that matters for who holds it, and each
//! verb is tried on it. What comes of it is compared with [`permit`], the one table.

use std::time::Duration;

use serde_json::json;
use sprongus_core::run::command::RunCommand;
use sprongus_core::run::lease::LeaseToken;
use sprongus_core::run::state::{Permit, State, Verb, permit};
use sprongus_core::run::step::StepStatus;
use sprongus_core::run::{Answer, ClaimRequest, Hold, NewRun, Outcome};
use sprongus_core::values::ids::StepId;
use sprongus_core::{Error, ErrorCode};

use crate::fixture::{Fixture, failure, forged, hold_of, of_kind, refused, step, success, worker};

/// A way to stand somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scene {
    New,
    BackedOff,
    Waiting,
    Passed,
    Unstarted,
    GateOver,
    Held,
    HeldByAnother,
    LeaseOver,
    Done,
    GivenUp,
    Crashed,
    CalledOff,
    CalledOffQueued,
    Closing,
    ClosingOver,
    HandedOut,
    Cleaned,
}

/// What the hold is worth that the scene leaves its worker with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Worth {
    Live,
    Nothing,
}

use Scene::*;

const SCENES: [(Scene, State, Worth); 18] = [
    (New, State::Queued, Worth::Nothing),
    (BackedOff, State::Queued, Worth::Nothing),
    (Waiting, State::Queued, Worth::Nothing),
    (Passed, State::Queued, Worth::Nothing),
    (Unstarted, State::Queued, Worth::Nothing),
    (GateOver, State::Queued, Worth::Nothing),
    (Held, State::Running, Worth::Live),
    (HeldByAnother, State::Running, Worth::Nothing),
    (LeaseOver, State::Running, Worth::Nothing),
    (Done, State::Succeeded, Worth::Nothing),
    (GivenUp, State::Failed, Worth::Nothing),
    (Crashed, State::Failed, Worth::Nothing),
    (CalledOff, State::Canceled, Worth::Nothing),
    (CalledOffQueued, State::Canceled, Worth::Nothing),
    (Closing, State::Canceled, Worth::Live),
    (ClosingOver, State::Canceled, Worth::Nothing),
    (HandedOut, State::Failed, Worth::Live),
    (Cleaned, State::Canceled, Worth::Nothing),
];

const LEASE: Duration = ClaimRequest::DEFAULT_LEASE;

/// Brings a new run into the scene; answers with the hold its worker has, or had.
async fn set(f: &Fixture, scene: Scene) -> Hold {
    if matches!(scene, New | Unstarted | CalledOffQueued) {
        let expire_at = (scene == Unstarted).then(|| f.now().plus(LEASE));
        let run = f.made(NewRun { expire_at, ..of_kind("work") }).await;
        if scene == CalledOffQueued {
            f.cancel(run.id).await.unwrap();
        }
        if scene == Unstarted {
            f.turn(LEASE);
        }
        return Hold { id: run.id, worker_id: worker("w1"), epoch: run.epoch, token: LeaseToken::default() };
    }
    let mut hold = f.held(of_kind("work")).await;
    match scene {
        New | Unstarted | CalledOffQueued | Held => {}
        BackedOff => {
            let retry_in = Some(Duration::from_secs(60));
            let outcome = Outcome::Fail { error: "earlier".to_owned(), retryable: true, retry_in };
            f.finish(&hold, outcome).await.unwrap();
        }
        Waiting | Passed | GateOver => {
            let step_id = StepId::of(hold.id, hold.epoch, 9);
            let timeout = (scene == GateOver).then_some(LEASE);
            let wait = RunCommand::Wait { hold: hold.clone(), step_id, timeout };
            f.apply(hold.id, wait).await.unwrap();
            if scene == Passed {
                f.answer(hold.id, Answer::Approved, None).await.unwrap();
            }
            if scene == GateOver {
                f.turn(LEASE);
            }
        }
        HeldByAnother => {
            f.finish(&hold, Outcome::Release).await.unwrap();
            f.take_one("w2").await;
        }
        LeaseOver => f.turn(LEASE),
        Done => drop(f.finish(&hold, success(json!("earlier"))).await.unwrap()),
        GivenUp => {
            let outcome = Outcome::Fail { error: "earlier".to_owned(), retryable: false, retry_in: None };
            f.finish(&hold, outcome).await.unwrap();
        }
        Crashed | HandedOut => {
            for crash in 1..=3 {
                f.turn(LEASE);
                f.expire().await;
                if crash < 3 || scene == HandedOut {
                    hold = hold_of(&f.take_one("w1").await);
                }
            }
        }
        CalledOff | ClosingOver | Closing | Cleaned => {
            f.cancel(hold.id).await.unwrap();
            if scene == Cleaned {
                f.cleaned(&hold).await.unwrap();
            }
            if matches!(scene, ClosingOver | CalledOff) {
                f.turn(LEASE);
            }
            if scene == CalledOff {
                f.expire().await;
            }
        }
    }
    hold
}

/// What time has to do to a run in the scene.
fn due(scene: Scene) -> Option<Verb> {
    match scene {
        LeaseOver | ClosingOver => Some(Verb::LoseLease),
        Unstarted | GateOver => Some(Verb::Expire),
        New | BackedOff | Waiting | Passed | Held | HeldByAnother | Done | GivenUp | Crashed | CalledOff
        | CalledOffQueued | Closing | HandedOut | Cleaned => None,
    }
}

/// Whether a claim gives the run.
fn is_given(scene: Scene) -> bool {
    matches!(scene, New | Passed | GateOver | LeaseOver | Crashed | CalledOff | ClosingOver)
}

/// The state from which a claim gives it: a claim does first what time has to do.
fn given_from(scene: Scene, state: State) -> State {
    match scene {
        LeaseOver => State::Queued,
        Unstarted | GateOver => State::Failed,
        New | BackedOff | Waiting | Passed | Held | HeldByAnother | Done | GivenUp | Crashed | CalledOff
        | CalledOffQueued | Closing | ClosingOver | HandedOut | Cleaned => state,
    }
}

/// Nobody is refused what only happens to a run, or does not.
fn does_not_happen() -> Error {
    Error::new(ErrorCode::IllegalTransition, "it does not happen")
}

/// Uses the verb as the hold's worker, as a person or as time does; answers with the state the run is in then.
async fn use_verb(f: &Fixture, verb: Verb, hold: &Hold) -> Result<State, Error> {
    let id = hold.id;
    let held = || hold.clone();
    let done = match verb {
        Verb::Heartbeat => f.beat(hold).await.map(drop),
        Verb::Record => f.record(hold, vec![step(5, "x", StepStatus::Running)], vec![]).await.map(drop),
        Verb::Succeed => f.finish(hold, success(json!("now"))).await.map(drop),
        Verb::Fail => f.finish(hold, failure("now")).await.map(drop),
        Verb::Release => f.finish(hold, Outcome::Release).await.map(drop),
        Verb::Wait => f.wait(hold, None).await.map(drop),
        Verb::Progress => {
            f.apply(id, RunCommand::Progress { hold: held(), percent: 50, message: None }).await.map(drop)
        }
        Verb::Cleaned => f.apply(id, RunCommand::Cleaned { hold: held(), gone_at: f.now() }).await.map(drop),
        Verb::Cancel => f.cancel(id).await.map(drop),
        Verb::Retry => f.retry(id).await.map(drop),
        Verb::Approve => f.answer(id, Answer::Approved, None).await.map(drop),
        Verb::Reject => f.answer(id, Answer::Rejected, Some("no")).await.map(drop),
        Verb::Claim => {
            let is_given = f.take("w3", 5).await.iter().any(|one| one.run.id == id);
            if is_given { Ok(()) } else { Err(does_not_happen()) }
        }
        Verb::LoseLease | Verb::Expire => {
            let before = f.get(id).await;
            f.expire().await;
            if f.get(id).await == before { Err(does_not_happen()) } else { Ok(()) }
        }
    };
    done?;
    Ok(f.get(id).await.state)
}

/// What the table, and the hold's worth, say of it.
fn expected(scene: Scene, state: State, worth: Worth, verb: Verb) -> Result<&'static [State], ErrorCode> {
    const STAYS: [&[State]; 5] =
        [&[State::Queued], &[State::Running], &[State::Succeeded], &[State::Failed], &[State::Canceled]];
    let stays = STAYS.into_iter().find(|states| states[0] == state).unwrap();
    if matches!((scene, verb), (Cleaned, Verb::Cleaned)) {
        return Ok(stays); // The same report again.
    }
    let from = if verb == Verb::Claim { given_from(scene, state) } else { state };
    match permit(from, verb) {
        Permit::To(_) if verb == Verb::Claim && !is_given(scene) => Err(ErrorCode::IllegalTransition),
        Permit::To(_) if matches!(verb, Verb::LoseLease | Verb::Expire) && due(scene) != Some(verb) => {
            Err(ErrorCode::IllegalTransition)
        }
        // A person's answer needs a gate that waits for one.
        Permit::To(_) if matches!(verb, Verb::Approve | Verb::Reject) && scene != Waiting => {
            Err(ErrorCode::IllegalTransition)
        }
        Permit::To(targets) => Ok(targets),
        Permit::Holding(targets) if worth == Worth::Live => Ok(targets),
        Permit::Closing if worth == Worth::Live => Ok(stays),
        Permit::Holding(_) | Permit::Closing => Err(ErrorCode::LeaseLost),
        Permit::Already => Ok(stays),
        // Another result under the epoch that succeeded is a conflict; every other report here is a new one.
        Permit::Repeat(_) if (scene, verb) == (Done, Verb::Succeed) => Err(ErrorCode::Conflict),
        Permit::Repeat(code) | Permit::Refused(code) => Err(code),
    }
}

/// Each verb in each state: success or refusal as the table says, and a refusal changes nothing.
pub async fn every_verb_in_every_state_does_what_the_table_says(f: Fixture) {
    for (number, (scene, state, worth)) in SCENES.into_iter().enumerate() {
        for verb in Verb::ALL {
            // Time does what is due, not what it is asked for.
            if matches!(verb, Verb::LoseLease | Verb::Expire) && due(scene).is_some_and(|due| due != verb) {
                continue;
            }
            let f = f.tenant(&format!("t{number}-{}", verb as usize)).await;
            let hold = set(&f, scene).await;
            let before = (f.get(hold.id).await, f.events(hold.id).await);
            assert_eq!(before.0.state, state, "{scene:?}");
            match (use_verb(&f, verb, &hold).await, expected(scene, state, worth, verb)) {
                (Ok(now), Ok(targets)) => assert!(targets.contains(&now), "{verb:?} in {scene:?}: {now}"),
                (Err(error), Err(code)) => {
                    assert_eq!(error.code(), code, "{verb:?} in {scene:?}: {error:?}");
                    if verb == Verb::Claim && due(scene).is_some() {
                        continue; // It moves due timers on its way.
                    }
                    let after = (f.get(hold.id).await, f.events(hold.id).await);
                    assert_eq!(after, before, "{verb:?} in {scene:?} was refused and changed something");
                }
                (answer, wanted) => panic!("{verb:?} in {scene:?}: {answer:?}, not {wanted:?}"),
            }
        }
    }
}

/// S4: in every state, a hold of another epoch or worker, or without the claim's token, is worth nothing.
pub async fn a_foreign_hold_is_refused_in_every_state(f: Fixture) {
    use Verb::{Cleaned, Fail, Heartbeat, Progress, Record, Release, Succeed, Wait};
    for (number, (scene, ..)) in SCENES.into_iter().enumerate() {
        let f = f.tenant(&format!("t{number}")).await;
        let hold = set(&f, scene).await;
        let now = f.get(hold.id).await;
        let stale =
            Hold { epoch: now.epoch.saturating_sub(1), worker_id: worker("stranger"), ..hold.clone() };
        let ahead = Hold { epoch: now.epoch + 1, ..hold.clone() };
        let stranger = Hold { epoch: now.epoch, worker_id: worker("stranger"), ..hold.clone() };
        let guessed = Hold { epoch: now.epoch, ..forged(&hold) };
        let bare = Hold { token: LeaseToken::default(), ..guessed.clone() };
        let before = (now, f.events(hold.id).await);
        for foreign in [&stale, &ahead, &stranger, &guessed, &bare] {
            for verb in [Heartbeat, Progress, Record, Succeed, Fail, Release, Wait, Cleaned] {
                let error = refused(use_verb(&f, verb, foreign).await);
                assert_eq!(error.code(), ErrorCode::LeaseLost, "{verb:?} in {scene:?}");
            }
        }
        assert_eq!((f.get(hold.id).await, f.events(hold.id).await), before, "{scene:?}");
    }
}

/// Time and claims: a claim gives what is due and the CLEANUPs owed, and nothing else.
pub async fn a_claim_in_every_state_gives_what_the_table_says(f: Fixture) {
    for (number, (scene, state, _)) in SCENES.into_iter().enumerate() {
        let f = f.tenant(&format!("t{number}")).await;
        let hold = set(&f, scene).await;
        let claimed = f.take("w3", 5).await;
        assert_eq!(claimed.len(), usize::from(is_given(scene)), "{scene:?}");
        for one in claimed {
            let from = given_from(scene, state);
            let Permit::To(targets) = permit(from, Verb::Claim) else {
                panic!("{scene:?} cannot be claimed")
            };
            assert_eq!(one.run.id, hold.id);
            assert!(targets.contains(&one.run.state), "{scene:?}");
            assert_eq!(one.cleanup, from.is_final(), "{scene:?}");
        }
    }
}
