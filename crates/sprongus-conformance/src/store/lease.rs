//! What proves a hold: the token that its claim told. Worker and epoch stand in every run, for everybody to read.

use std::time::Duration;

use serde_json::json;
use sprongus_core::run::artifact::{FileName, NewFile};
use sprongus_core::run::command::RunCommand;
use sprongus_core::run::lease::LeaseToken;
use sprongus_core::run::step::StepStatus;
use sprongus_core::run::{Answer, ClaimRequest, Claimed, Hold, Outcome};
use sprongus_core::values::ids::StepId;
use sprongus_core::{Error, ErrorCode};

use crate::fixture::{
    Fixture, bare, failure, forged, hold_of, line, of_kind, only, refused, step, success, worker,
};

/// The same hold without a token.
fn tokenless(hold: &Hold) -> Hold {
    Hold { token: LeaseToken::default(), ..hold.clone() }
}

fn named(by: &str, name: &str) -> ClaimRequest {
    ClaimRequest { claim_id: Some(name.parse().unwrap()), ..ClaimRequest::new(worker(by), 5) }
}

fn a_file(location: &str, name: FileName) -> NewFile {
    NewFile {
        name,
        size: 1,
        sha256: "0".repeat(64),
        content_type: "text/plain".to_owned(),
        location: location.to_owned(),
    }
}

/// Every report there is, under this hold, each with a word for it.
async fn every_report(f: &Fixture, hold: &Hold) -> Vec<(&'static str, Result<(), Error>)> {
    let (id, held) = (hold.id, || hold.clone());
    let location = format!("default/{id}/{:?}", hold.token.hash());
    f.store.expect_blob(&location, f.now().plus(Duration::from_secs(60))).await.unwrap();
    let name = FileName::Artifact("a.md".parse().unwrap());
    let step_id = StepId::of(id, hold.epoch, 0);
    vec![
        ("heartbeat", f.beat(hold).await.map(drop)),
        ("step", f.record(hold, vec![step(0, "s", StepStatus::Running)], vec![]).await.map(drop)),
        ("line", f.record(hold, vec![], vec![line("x", f.now())]).await.map(drop)),
        (
            "progress",
            f.apply(id, RunCommand::Progress { hold: held(), percent: 7, message: None }).await.map(drop),
        ),
        ("artifact", f.store.put_file(&f.caller, hold, a_file(&location, name.clone())).await.map(drop)),
        ("workdir", f.store.put_file(&f.caller, hold, a_file(&location, FileName::Workdir)).await.map(drop)),
        ("drop", f.store.drop_file(&f.caller, hold, &name).await),
        ("wait", f.apply(id, RunCommand::Wait { hold: held(), step_id, timeout: None }).await.map(drop)),
        ("cleaned", f.cleaned(hold).await.map(drop)),
        ("success", f.finish(hold, success(json!("forged"))).await.map(drop)),
        ("failure", f.finish(hold, failure("forged")).await.map(drop)),
        ("release", f.finish(hold, Outcome::Release).await.map(drop)),
    ]
}

/// A running run and a canceled one: the right worker and the right epoch move neither.
pub async fn nothing_is_reported_without_the_claims_token(f: Fixture) {
    for cancels in [false, true] {
        let hold = f.held(of_kind("work")).await;
        if cancels {
            f.cancel(hold.id).await.unwrap();
        }
        let before = (f.get(hold.id).await, f.events(hold.id).await);
        for foreign in [forged(&hold), tokenless(&hold)] {
            for (report, answer) in every_report(&f, &foreign).await {
                let answer = answer.map_err(|error| error.code());
                assert_eq!(answer, Err(ErrorCode::LeaseLost), "{report}");
            }
        }
        assert_eq!((f.get(hold.id).await, f.events(hold.id).await), before);
        assert!(f.store.artifacts(&f.caller, hold.id).await.unwrap().is_empty());
        assert!(f.store.logs(&f.caller, hold.id, 0, 10).await.unwrap().is_empty());
        f.beat(&hold).await.expect("its own token is good");
        // In a batch, each item has its own.
        let reports = [forged(&hold), hold.clone()].map(|hold| sprongus_core::store::DrawnReport {
            report: hold.report(success(json!(1))),
            draw: 0.5,
        });
        let answers = f.store.finish(&f.caller, &hold.worker_id, reports.to_vec()).await.unwrap();
        assert_eq!(answers[0].as_ref().unwrap_err().code(), ErrorCode::LeaseLost);
        assert_eq!(answers[1].is_ok(), !cancels);
    }
}

/// The answer to a claim may be lost, or read by somebody on the way: its repeat is the one that counts.
pub async fn a_repeated_claim_tells_a_new_token_and_voids_the_one_before(f: Fixture) {
    for _ in 0..3 {
        f.made(of_kind("work")).await;
    }
    let first = f.claim(&named("w", "claim-1")).await.claimed;
    let events = f.events(first[0].run.id).await;
    let second = f.claim(&named("w", "claim-1")).await.claimed;
    assert_eq!(bare(&second), bare(&first));
    assert_eq!(f.events(first[0].run.id).await, events, "nothing happened");
    for (old, new) in first.iter().zip(&second) {
        assert_ne!(old.lease.token, new.lease.token);
        assert_eq!(f.get(new.run.id).await, new.run);
        assert_eq!(refused(f.beat(&hold_of(old)).await).code(), ErrorCode::LeaseLost);
        assert_eq!(refused(f.finish(&hold_of(old), success(json!(1))).await).code(), ErrorCode::LeaseLost);
        f.beat(&hold_of(new)).await.unwrap();
    }
    f.finish(&hold_of(&second[1]), success(json!(1))).await.unwrap();
    let third = f.claim(&named("w", "claim-1")).await.claimed;
    assert_eq!(bare(&third), bare(&[second[0].clone(), second[2].clone()]), "in their order, what is left");
    f.finish(&hold_of(&second[1]), success(json!(1))).await.expect("what was let go keeps its token");
}

/// Worker ids are known to all, and claim ids are what clients make them.
pub async fn a_named_claim_is_for_its_own_api_token_alone(f: Fixture) {
    f.made(of_kind("work")).await;
    let (own, other) = (f.with_token(), f.with_token());
    let given = own.claim(&named("w", "claim-1")).await.claimed.remove(0);
    let before = f.get(given.run.id).await;
    for stranger in [&other, &f] {
        let error = refused(stranger.ask_to_claim(&named("w", "claim-1")).await);
        assert_eq!((error.code(), error.message()), (ErrorCode::Conflict, "the claim id is already in use"));
    }
    assert_eq!(f.get(given.run.id).await, before);
    f.beat(&hold_of(&given)).await.expect("the hold is as it was");
    assert_eq!(own.claim(&named("w", "claim-1")).await.claimed.len(), 1);
}

/// What a caller may not touch is not given by a repeat either, and is not told of.
pub async fn a_named_claim_gives_a_narrowed_caller_nothing_it_may_not_touch(f: Fixture) {
    for project in ["p1", "p2"] {
        f.store.create_project(&f.caller, &project.parse().unwrap()).await.unwrap();
        let new = sprongus_core::run::NewRun { project_id: Some(project.to_owned()), ..of_kind("work") };
        f.made(new).await;
    }
    let one = f.narrowed(&["p1"]).claim(&named("w", "one")).await.claimed.remove(0);
    let all = f.claim(&named("w", "all")).await.claimed.remove(0);
    for (narrowed, name) in [("p2", "one"), ("p1", "all")] {
        let error = refused(f.narrowed(&[narrowed]).ask_to_claim(&named("w", name)).await);
        assert_eq!((error.code(), error.message()), (ErrorCode::Conflict, "the claim id is already in use"));
    }
    f.beat(&hold_of(&one)).await.expect("the hold is as it was");
    f.beat(&hold_of(&all)).await.expect("the hold is as it was");
    assert_eq!(f.narrowed(&["p1"]).claim(&named("w", "one")).await.claimed.len(), 1);
}

/// Release, failure, a lost lease, a retry: the next claim has a token of its own, and the one before proves nothing.
pub async fn a_token_is_void_once_its_claim_is_over(f: Fixture) {
    let mut old = f.held(of_kind("work")).await;
    for over in 0..4 {
        match over {
            0 => drop(f.finish(&old, Outcome::Release).await.unwrap()),
            1 => drop(f.finish(&old, failure("a")).await.unwrap()),
            2 => f.turn(Duration::from_secs(31)),
            _ => {
                f.cancel(old.id).await.unwrap();
                f.cleaned(&old).await.unwrap();
                f.retry(old.id).await.unwrap();
            }
        }
        let new: Claimed = f.take_one("w1").await;
        assert_ne!(new.lease.token, old.token, "{over}");
        let replayed = Hold { epoch: new.lease.epoch, ..old.clone() };
        for foreign in [&old, &replayed] {
            assert_eq!(refused(f.beat(foreign).await).code(), ErrorCode::LeaseLost, "{over}");
            let answer = f.finish(foreign, success(json!(1))).await;
            assert_eq!(refused(answer).code(), ErrorCode::LeaseLost, "{over}");
        }
        old = hold_of(&new);
        f.beat(&old).await.unwrap();
    }
}

/// A report whose answer was lost is made again; to anybody else it tells nothing, not even that there was one.
pub async fn a_report_is_repeated_with_its_own_token_alone(f: Fixture) {
    for number in 0..5 {
        let hold = f.held(of_kind("work")).await;
        let report = async |hold: &Hold| match number {
            0 => f.finish(hold, success(json!(1))).await,
            1 => f.finish(hold, failure("a")).await,
            2 => f.finish(hold, Outcome::Release).await,
            3 => f.wait(hold, None).await,
            _ => f.cleaned(hold).await,
        };
        if number == 4 {
            f.cancel(hold.id).await.unwrap();
        }
        report(&hold).await.unwrap();
        let events = f.events(hold.id).await;
        for foreign in [forged(&hold), tokenless(&hold)] {
            assert_eq!(refused(report(&foreign).await).code(), ErrorCode::LeaseLost, "{number}");
        }
        let again = report(&hold).await.unwrap();
        assert!(again.events.is_empty(), "{number}");
        assert_eq!(f.events(hold.id).await, events, "{number}");
        // Out of the way of the next.
        if again.run.state == sprongus_core::run::state::State::Queued {
            f.cancel(hold.id).await.unwrap();
            for cleanup in f.take("janitor", 5).await {
                f.cleaned(&hold_of(&cleanup)).await.unwrap();
            }
        }
    }
}

/// Whoever held an ended run last cannot close what was handed out to somebody else.
pub async fn a_cleanup_has_a_token_of_its_own(f: Fixture) {
    let old = f.held(of_kind("work")).await;
    f.cancel(old.id).await.unwrap();
    f.beat(&old).await.expect("it closes what it held");
    f.turn(Duration::from_secs(31));
    let handed = f.take_one("w1").await;
    assert!(handed.cleanup);
    let new = hold_of(&handed);
    let replayed = Hold { epoch: new.epoch, ..old };
    assert_ne!(replayed.token, new.token);
    assert_eq!(refused(f.cleaned(&replayed).await).code(), ErrorCode::LeaseLost);
    assert_eq!(refused(f.beat(&replayed).await).code(), ErrorCode::LeaseLost);
    f.cleaned(&new).await.unwrap();
    let answer = only(f.store.heartbeat(&f.caller, vec![new], None).await.unwrap());
    assert_eq!(refused(answer).code(), ErrorCode::LeaseLost, "it is closed");
    assert_eq!(
        refused(f.answer(replayed.id, Answer::Approved, None).await).code(),
        ErrorCode::IllegalTransition
    );
}
