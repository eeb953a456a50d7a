//! Taking runs, and holding them.

use std::time::Duration;

use sprongus_core::run::artifact::ArtifactName;
use sprongus_core::run::event::EventType;
use sprongus_core::run::follow::ReadSoFar;
use sprongus_core::run::lease::LeaseToken;
use sprongus_core::run::list::ListFilter;
use sprongus_core::run::state::State;
use sprongus_core::run::step::StepStatus;
use sprongus_core::run::view::ClaimedView;
use sprongus_core::run::{ClaimRequest, Hold, NewRun};
use sprongus_core::values::names::ClaimId;
use sprongus_core::{ErrorCode, RunsExt};

use super::Api;
use crate::blobs::body;
use crate::fixture::{forged, line, numbered, of_kind, refused, step, worker};

/// A worker gets the kinds it serves, of those that are not paused.
pub async fn a_claim_gives_the_kinds_it_asks_for(api: Api) {
    for kind in ["sync.aux/props", "b", "c"] {
        api.runs.enqueue_one(of_kind(kind)).await.unwrap();
    }
    let asking = |names: &[&str]| ClaimRequest {
        kinds: Some(names.iter().map(|name| name.parse().unwrap()).collect()),
        ..ClaimRequest::new(worker("w"), 9)
    };
    assert!(api.runs.claim(asking(&["d"])).await.unwrap().is_empty());
    let paused = "b".parse().unwrap();
    let setting = api.runs.pause_kind(&paused, true).await.unwrap();
    assert!(setting.paused && setting.changed_at == Some(api.now()) && setting.changed_by.is_some());
    let given = api.runs.claim(asking(&["sync.aux/props", "b"])).await.unwrap();
    assert_eq!(given.iter().map(|one| one.run.kind.as_str()).collect::<Vec<_>>(), ["sync.aux/props"]);
    assert_eq!(api.runs.claim_next(&worker("w"), 9).await.unwrap()[0].run.kind.as_str(), "c");
    let kinds = api.runs.kinds().await.unwrap();
    assert_eq!(kinds, [setting]);
    assert_eq!(kinds.iter().map(|one| (one.kind.as_str(), one.paused)).collect::<Vec<_>>(), [("b", true)]);
    assert!(!api.runs.pause_kind(&paused, false).await.unwrap().paused);
    assert_eq!(api.runs.claim_next(&worker("w"), 9).await.unwrap()[0].run.kind, paused);
}

/// What a claim gave, without the token that each repeat of it tells anew.
fn bare(claimed: &[ClaimedView]) -> Vec<ClaimedView> {
    let mut claimed = claimed.to_vec();
    claimed.iter_mut().for_each(|one| one.lease.token = LeaseToken::default());
    claimed
}

/// A claim whose answer was lost is asked again under its name.
pub async fn a_named_claim_gives_the_same_runs_again(api: Api) {
    for number in 0..5 {
        api.runs.enqueue_one(numbered("work", number)).await.unwrap();
    }
    let claim_id = Some("claim-1".parse::<ClaimId>().unwrap());
    let lease = Duration::from_secs(45);
    let named = ClaimRequest { claim_id, lease, ..ClaimRequest::new(worker("w"), 3) };
    let first = api.runs.claim(named.clone()).await.unwrap();
    assert_eq!((first.len(), first[0].lease.lease_ms, first[0].run.attempt), (3, 45_000, 1));
    assert_eq!(first[0].lease.expires_at, api.now().plus(lease));
    let again = api.runs.claim(named.clone()).await.unwrap();
    assert_eq!(bare(&again), bare(&first));
    let void = refused(api.runs.succeed(&first[0].hold(), None, None).await);
    assert_eq!(void.message(), "lease lost: the lease token is not from the latest claim");
    api.runs.succeed(&again[0].hold(), None, None).await.unwrap();
    assert_eq!(bare(&api.runs.claim(named.clone()).await.unwrap()), bare(&first[1..]));
    let other = ClaimRequest { worker_id: worker("w2"), ..named };
    let taken = refused(api.runs.claim(other).await);
    assert_eq!((taken.code(), taken.message()), (ErrorCode::Conflict, "the claim id is already in use"));
    assert_eq!(
        api.runs.claim_next(&worker("w"), 9).await.unwrap().len(),
        2,
        "without a name it is a new claim"
    );
}

/// Where nobody holds an ended run that owes its CLEANUP, a claim hands it out for that alone.
pub async fn an_owed_cleanup_is_claimed_as_such(api: Api) {
    let hold = api.held(of_kind("work")).await;
    api.runs.cancel(hold.id).await.unwrap();
    api.clock.turn(Duration::from_secs(30));
    let claimed = api.runs.claim_next(&worker("w2"), 1).await.unwrap().remove(0);
    assert_eq!((claimed.cleanup, claimed.run.state), (true, State::Canceled));
    assert_eq!((claimed.run.epoch, claimed.run.attempt), (2, 1));
    assert_eq!(refused(api.runs.cleaned(&hold, api.now()).await).code(), ErrorCode::LeaseLost);
    api.runs.cleaned(&claimed.hold(), api.now()).await.unwrap();
    assert!(api.runs.claim_next(&worker("w2"), 1).await.unwrap().is_empty());
}

/// Whoever lost a run is refused everything, in the same words everywhere.
pub async fn a_stale_hold_is_good_for_nothing(api: Api) {
    let stale = api.held(NewRun { max_attempts: Some(5), ..of_kind("work") }).await;
    api.clock.turn(Duration::from_secs(31));
    let hold = api.runs.claim_next(&worker("w2"), 1).await.unwrap()[0].hold();
    assert_eq!((hold.id, hold.epoch), (stale.id, 2));
    let thief = Hold { worker_id: worker("thief"), ..hold.clone() };
    let forged = forged(&hold);
    let tokenless = Hold { token: LeaseToken::default(), ..hold.clone() };
    let cases = [
        (forged, "lease lost: the lease token is not from the latest claim"),
        (tokenless, "lease lost: the report has no lease token"),
        (stale, "lease lost: epoch 1 has passed, the run is at epoch 2"),
        (thief, "lease lost: another worker holds the run"),
    ];
    let name: ArtifactName = "late.md".parse().unwrap();
    for (hold, wanted) in cases {
        let step_id = sprongus_core::values::ids::StepId::of(hold.id, hold.epoch, 0);
        let errors = [
            refused(api.runs.heartbeat(vec![hold.clone()], None).await.unwrap().remove(0)),
            refused(api.runs.succeed(&hold, None, None).await),
            refused(api.runs.fail(&hold, "boom", true).await),
            refused(api.runs.release(&hold).await),
            refused(api.runs.wait(&hold, step_id, None).await),
            refused(api.runs.progress(&hold, 50, None).await),
            refused(api.runs.record(&hold, vec![], vec![line("late", api.now())]).await),
            refused(api.runs.record(&hold, vec![step(0, "s", StepStatus::Running)], vec![]).await),
            refused(api.runs.cleaned(&hold, api.now()).await),
            refused(api.runs.put_artifact(&hold, &name, "text/plain", body(&[b"late"])).await),
            refused(api.runs.keep_workdir(&hold, body(&[b"late"])).await),
            refused(api.runs.workdir(&hold).await.map(|kept| kept.is_some())),
            refused(api.runs.drop_workdir(&hold).await),
        ];
        for error in errors {
            assert_eq!((error.code(), error.message()), (ErrorCode::LeaseLost, wanted));
            assert_eq!(error.hint(), ErrorCode::LeaseLost.facts().hint);
        }
    }
    api.runs.succeed(&hold, None, None).await.unwrap();
    let wanted = [
        EventType::Enqueued,
        EventType::Started,
        EventType::LeaseLost,
        EventType::Started,
        EventType::Succeeded,
    ];
    assert_eq!(api.event_types(hold.id).await, wanted);
}

/// Whoever reads runs, their histories and their steps learns no token, and neither does whoever reads an error.
pub async fn a_lease_token_is_told_by_its_claim_alone(api: Api) {
    let run = api.runs.enqueue_one(of_kind("work")).await.unwrap().run;
    let claimed = api.runs.claim_next(&worker("w"), 1).await.unwrap().remove(0);
    let (hold, token) = (claimed.hold(), claimed.lease.token.expose().to_owned());
    assert!(token.len() >= 32 && !format!("{claimed:?} {hold:?}").contains(&token));
    api.runs.record(&hold, vec![step(0, "s", StepStatus::Running)], vec![]).await.unwrap();
    let late = refused(api.runs.heartbeat(vec![forged(&hold)], None).await.unwrap().remove(0));
    let fail = api.runs.fail(&hold, "boom", true).await.unwrap();
    let texts = [
        serde_json::to_string(&api.runs.get(run.id).await.unwrap()).unwrap(),
        serde_json::to_string(&fail).unwrap(),
        serde_json::to_string(&api.runs.list(&ListFilter::default()).await.unwrap().data).unwrap(),
        serde_json::to_string(&api.runs.events(run.id, 0, 100).await.unwrap()).unwrap(),
        serde_json::to_string(&api.runs.steps(run.id).await.unwrap()).unwrap(),
        format!("{late:?} {late} {}", late.hint()),
    ];
    let hash: String = hold.token.hash().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    for text in texts {
        assert!(!text.contains(&token) && !text.contains("a guess"), "{text}");
        let names = ["spl_", "leaseToken", "leaseHash", "lease_hash", &hash];
        assert!(names.iter().all(|name| !text.contains(name)), "{text}");
    }
}

/// Every answer that has a run in it tells when the lease on it ends, past or not; of a run that nobody holds it tells none.
pub async fn whoever_looks_at_a_run_sees_when_its_lease_ends(api: Api) {
    let lease = Duration::from_secs(45);
    let made = api.runs.enqueue_one(of_kind("work")).await.unwrap().run;
    assert_eq!(made.lease_expires_at, None);
    let lease_end = async || {
        let got = api.runs.get(made.id).await.unwrap().lease_expires_at;
        let listed = api.runs.list(&ListFilter::default()).await.unwrap().data.remove(0).lease_expires_at;
        let followed = api.runs.follow(made.id, ReadSoFar::default(), Duration::ZERO).await.unwrap();
        assert_eq!((listed, followed.run.lease_expires_at), (got, got));
        got
    };
    let request = ClaimRequest { lease, ..ClaimRequest::new(worker("w"), 1) };
    let claimed = api.runs.claim(request).await.unwrap().remove(0);
    let end = Some(api.now().plus(lease));
    assert_eq!((claimed.run.lease_expires_at, Some(claimed.lease.expires_at)), (end, end));
    assert_eq!(lease_end().await, end);
    api.clock.turn(Duration::from_secs(30));
    let hold = claimed.hold();
    api.runs.heartbeat(vec![hold.clone()], None).await.unwrap().remove(0).unwrap();
    let end = Some(api.now().plus(lease));
    assert_eq!(api.runs.progress(&hold, 5, None).await.unwrap().lease_expires_at, end);
    assert_eq!(lease_end().await, end);
    api.clock.turn(lease * 2);
    assert_eq!(lease_end().await, end, "nobody has taken the run back yet");
    let second = api.runs.claim_next(&worker("w2"), 1).await.unwrap().remove(0).hold();
    assert_eq!(lease_end().await, Some(api.now().plus(ClaimRequest::DEFAULT_LEASE)));
    assert_eq!(api.runs.succeed(&second, None, None).await.unwrap().lease_expires_at, None);
    assert_eq!(lease_end().await, None);
}

/// Each hold of a batch has its own answer, whoever holds it; the lease is as long as was asked for.
pub async fn heartbeats_are_answered_one_by_one(api: Api) {
    let (one, other) = (api.held(of_kind("work")).await, api.held(of_kind("work")).await);
    api.runs.enqueue_one(of_kind("work")).await.unwrap();
    let third = api.runs.claim_next(&worker("w2"), 1).await.unwrap()[0].hold();
    let late = Hold { epoch: 9, ..other };
    let holds = vec![third.clone(), late, one.clone()];
    let answers = api.runs.heartbeat(holds, Some(Duration::from_secs(120))).await.unwrap();
    assert_eq!(answers[0].as_ref().unwrap().lease_ms, 120_000);
    assert_eq!(answers[1].as_ref().unwrap_err().code(), ErrorCode::LeaseLost);
    assert_eq!(answers[2].as_ref().unwrap().lease_ms, 120_000);
    api.clock.turn(Duration::from_secs(100));
    assert!(api.runs.heartbeat(vec![one, third], None).await.unwrap().iter().all(Result::is_ok));
    assert!(api.runs.heartbeat(vec![], None).await.unwrap().is_empty());
}

/// Percent done is told with or without words; the same again without words changes nothing.
pub async fn progress_is_told(api: Api) {
    let hold = api.held(of_kind("work")).await;
    assert_eq!(api.runs.progress(&hold, 40, None).await.unwrap().progress, 40);
    api.runs.progress(&hold, 40, None).await.unwrap();
    api.runs.progress(&hold, 100, Some("nearly".to_owned())).await.unwrap();
    let events = api.runs.events(hold.id, 2, 10).await.unwrap();
    let payloads: Vec<_> = events.iter().map(|event| event.payload.to_value()).collect();
    assert_eq!(payloads.len(), 2);
    assert_eq!((&payloads[0]["progress"], &payloads[1]["message"]), (&40.into(), &"nearly".into()));
    assert_eq!(refused(api.runs.progress(&hold, 101, None).await).message(), "progress must be 0 to 100");
}

/// A worker that is gone leaves no step running: not in a run that another has taken, nor in one that has ended.
pub async fn a_step_that_nobody_can_end_any_more_has_failed(api: Api) {
    use StepStatus::{Completed, Failed, Running};
    let hold = api.held(NewRun { max_attempts: Some(2), ..of_kind("work") }).await;
    let begun = vec![step(0, "first", Completed), step(1, "second", Running)];
    api.runs.record(&hold, begun.clone(), Vec::new()).await.unwrap();
    let steps = async || {
        let steps = api.runs.steps(hold.id).await.unwrap();
        steps.into_iter().map(|step| (step.attempt, step.ordinal, step.status)).collect::<Vec<_>>()
    };
    assert_eq!(steps().await, [(1, 0, Completed), (1, 1, Running)]);
    api.clock.turn(Duration::from_secs(31));
    let second = api.runs.claim_next(&worker("w2"), 1).await.unwrap()[0].hold();
    assert_eq!(steps().await, [(1, 0, Completed), (1, 1, Failed)]);
    api.runs.record(&second, begun, Vec::new()).await.unwrap();
    assert_eq!(steps().await[2..], [(2, 0, Completed), (2, 1, Running)]);
    api.runs.fail(&second, "no", true).await.unwrap();
    assert_eq!(steps().await, [(1, 0, Completed), (1, 1, Failed), (2, 0, Completed), (2, 1, Failed)]);
    let ended = api.runs.steps(hold.id).await.unwrap().remove(3);
    assert_eq!(ended.completed_at, Some(api.now()));
}
