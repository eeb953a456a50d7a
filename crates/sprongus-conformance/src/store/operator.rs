//! The audit of what operators did: written with the act, by whom, and never of what was not done.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use sprongus_core::Caller;
use sprongus_core::run::retention::Retention;
use sprongus_core::values::ids::TokenId;
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::directory::WorkerInfo;
use sprongus_core::workspace::operator::OperatorEventType as Type;
use sprongus_core::workspace::operator::{OperatorEvent, OperatorFilter};
use sprongus_core::workspace::token::{NewToken, Scope, TokenSecret};

use crate::fixture::{Fixture, of_kind, refused, worker};

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// All of the caller's audit, newest first, `limit` at a time.
async fn all(f: &Fixture, filter: &OperatorFilter, limit: u32) -> Vec<OperatorEvent> {
    let mut filter = OperatorFilter { limit, ..filter.clone() };
    let mut found = Vec::new();
    loop {
        let page = f.store.operator_events(&f.caller, &filter).await.unwrap();
        assert!(page.data.len() <= limit as usize, "a page is no longer than was asked for");
        found.extend(page.data);
        match page.next_cursor {
            None => return found,
            cursor => filter.cursor = cursor,
        }
    }
}

/// What the caller's audit tells, oldest first: the type, what it was done to, and how that was before and after.
async fn events(f: &Fixture) -> Vec<(Type, Option<String>, Option<Value>, Option<Value>)> {
    let mut events = all(f, &OperatorFilter::default(), 100).await;
    events.reverse();
    let rows = events.into_iter().map(|event| {
        let value = |state: Option<sprongus_core::json::Json>| state.map(|state| state.to_value());
        (event.kind, event.subject, value(event.before), value(event.after))
    });
    rows.collect()
}

fn ci() -> NewToken {
    NewToken { name: "ci".to_owned(), scopes: vec![Scope::Read], projects: None, expires_in: Some(DAY) }
}

/// Somebody with a token of their own.
fn with_token(f: &Fixture, name: &str) -> Fixture {
    let caller = Caller { token_id: Some(TokenId::new()), ..Caller::new(f.caller.workspace.clone(), name) };
    Fixture { caller, ..f.clone() }
}

/// Who made and revoked a token, by name and by token; the token itself and its hash are nowhere.
pub async fn tokens_are_made_and_revoked_on_record(f: Fixture) {
    let amy = with_token(&f, "amy");
    let (id, secret) = (TokenId::new(), TokenSecret::generate().unwrap());
    let made = f.store.create_token(&amy.caller, id, &ci(), &secret.hash()).await.unwrap();
    f.turn(Duration::from_secs(1));
    let revoked = f.store.revoke_token(&f.caller, id).await.unwrap();
    f.store.revoke_token(&f.caller, id).await.unwrap();
    refused(f.store.revoke_token(&f.caller, TokenId::new()).await);
    let events = all(&f, &OperatorFilter::default(), 10).await;
    let [last, first] = events.as_slice() else { panic!("two events: {events:?}") };
    let state = |revoked_at: Option<Timestamp>| {
        json!({"name": "ci", "scopes": ["runs:read"], "projects": null, "createdAt": made.created_at,
            "expiresAt": made.expires_at, "revokedAt": revoked_at})
    };
    assert_eq!((first.kind, first.at, first.actor.as_str()), (Type::TokenCreated, made.created_at, "amy"));
    assert_eq!((first.token_id, &first.subject), (amy.caller.token_id, &Some(id.to_string())));
    assert_eq!((first.before.clone(), first.after.clone()), (None, Some(state(None).into())));
    assert_eq!((last.kind, last.at, last.actor.as_str()), (Type::TokenRevoked, f.now(), "tester"));
    assert_eq!((last.token_id, &last.subject), (None, &Some(id.to_string())));
    let before_and_after = (Some(state(None).into()), Some(state(revoked.revoked_at).into()));
    assert_eq!((last.before.clone(), last.after.clone()), before_and_after);
    let text = serde_json::to_string(&events).unwrap();
    assert!(!text.contains(&secret.hash()) && !text.contains(secret.expose()), "{text}");
}

/// Each act is on record once; what changes nothing is not.
pub async fn acts_are_on_record_and_what_changes_nothing_is_not(f: Fixture) {
    let (kind, project) = ("mail".parse().unwrap(), "p".parse().unwrap());
    for paused in [false, true, true, false, false] {
        f.store.pause_kind(&f.caller, &kind, paused).await.unwrap();
    }
    for _ in 0..2 {
        f.store.create_project(&f.caller, &project).await.unwrap();
    }
    let info = WorkerInfo {
        id: worker("w1"),
        kinds: None,
        host: "host".to_owned(),
        pid: 7,
        version: "1".to_owned(),
        concurrency: 1,
        zone_data: None,
    };
    f.store.see_worker(&f.caller, &info).await.unwrap();
    refused(f.store.drain_worker(&f.caller, &worker("w2")).await);
    for _ in 0..2 {
        f.store.drain_worker(&f.caller, &worker("w1")).await.unwrap();
    }
    f.store.forget_figures(&f.caller).await.unwrap();
    let (some, paused) = (|text: &str| Some(text.to_owned()), |paused: bool| Some(json!({"paused": paused})));
    let made = Some(json!({"createdAt": f.now()}));
    let draining = |draining: bool| Some(json!({"draining": draining}));
    let expected = [
        (Type::KindPaused, some("mail"), paused(false), paused(true)),
        (Type::KindResumed, some("mail"), paused(true), paused(false)),
        (Type::ProjectCreated, some("p"), None, made),
        (Type::WorkerDrained, some("w1"), draining(false), draining(true)),
        (Type::FiguresRebuilt, None, None, None),
    ];
    assert_eq!(events(&f).await, expected);
}

/// Two who pause the same kind at once paused it once.
pub async fn an_act_of_many_at_once_is_on_record_once(f: Fixture) {
    let kind = "mail".parse().unwrap();
    let pauses = (0..8).map(|_| f.store.pause_kind(&f.caller, &kind, true));
    for paused in futures_util::future::join_all(pauses).await {
        assert!(paused.unwrap().paused);
    }
    let paused = |paused: bool| Some(json!({"paused": paused}));
    assert_eq!(events(&f).await, [(Type::KindPaused, Some("mail".to_owned()), paused(false), paused(true))]);
}

/// Each batch that retention takes is on record with its counts; a dry run, and a run that finds nothing, are not.
pub async fn what_retention_took_is_on_record(f: Fixture) {
    for _ in 0..3 {
        f.cancel(f.made(of_kind("mail")).await.id).await.unwrap();
    }
    f.turn(DAY * 100);
    let retention = Retention::default();
    for dry_run in [true, false, false, false] {
        f.store.prune(&f.caller, &retention, 2, dry_run).await.unwrap();
    }
    let taken = |runs: u32| {
        json!({"runs": {"canceled": runs}, "kinds": {"mail": {"canceled": runs}},
            "retention": {"succeededMs": 2_592_000_000_u64, "failedMs": 7_776_000_000_u64, "kinds": {}}})
    };
    let pruned = |runs| (Type::Pruned, None, None, Some(taken(runs)));
    assert_eq!(events(&f).await, [pruned(2), pruned(1)]);
}

/// A workspace is made and deleted on the record of `default`, where it stays; its own record goes with it.
pub async fn a_deleted_workspace_is_on_record_elsewhere(f: Fixture) {
    let other = "other".parse().unwrap();
    for _ in 0..2 {
        f.store.create_workspace(&f.caller, &other).await.unwrap();
    }
    let theirs = Fixture { caller: Caller::new(other.clone(), "tester"), ..f.clone() };
    f.store.pause_kind(&theirs.caller, &"mail".parse().unwrap(), true).await.unwrap();
    assert_eq!(all(&theirs, &OperatorFilter::default(), 10).await.len(), 1);
    assert_eq!(all(&f, &OperatorFilter::default(), 10).await.len(), 1, "nobody reads of another workspace");
    let made = json!({"createdAt": f.now()});
    f.turn(DAY);
    f.store.delete_workspace(&theirs.caller, &other).await.unwrap();
    refused(f.store.delete_workspace(&f.caller, &other).await);
    let name = || Some("other".to_owned());
    let expected = [
        (Type::WorkspaceCreated, name(), None, Some(made.clone())),
        (Type::WorkspaceDeleted, name(), Some(made), None),
    ];
    assert_eq!(events(&f).await, expected);
    f.store.create_workspace(&f.caller, &other).await.unwrap();
    assert_eq!(all(&theirs, &OperatorFilter::default(), 10).await, []);
}

/// Pages hold each event once, newest first, of those asked for alone; what does not fit is refused.
pub async fn the_record_is_read_in_pages(f: Fixture) {
    let mut times = Vec::new();
    for number in 0..6_u64 {
        let kind = format!("kind-{number}").parse().unwrap();
        f.store.pause_kind(&f.caller, &kind, true).await.unwrap();
        f.store.pause_kind(&f.caller, &kind, number % 2 == 0).await.unwrap();
        times.push(f.now());
        // Several of one instant too.
        f.turn(Duration::from_millis(number / 3));
    }
    let whole = all(&f, &OperatorFilter::default(), 100).await;
    let places: Vec<_> = whole.iter().map(|event| (event.at, event.id)).collect();
    assert!(places.is_sorted_by(|a, b| a > b) && places.len() == 9, "{places:?}");
    for limit in [1, 2, 4, 8, 9] {
        assert_eq!(all(&f, &OperatorFilter::default(), limit).await, whole, "{limit} at a time");
    }
    let count = async |filter: OperatorFilter| all(&f, &filter, 2).await.len();
    let of = |types: &[Type]| OperatorFilter { types: types.to_vec(), ..OperatorFilter::default() };
    assert_eq!(count(of(&[Type::KindResumed])).await, 3);
    assert_eq!(count(of(&[Type::KindResumed, Type::KindPaused, Type::Pruned])).await, 9);
    let nobody = OperatorFilter { actor: Some("Tester".to_owned()), ..OperatorFilter::default() };
    let tester = OperatorFilter { actor: Some("tester".to_owned()), ..OperatorFilter::default() };
    assert_eq!((count(nobody).await, count(tester).await), (0, 9));
    let since = OperatorFilter { since: Some(times[4]), ..OperatorFilter::default() };
    let before = OperatorFilter { before: Some(times[4]), ..OperatorFilter::default() };
    let (late, early) = (count(since).await, count(before).await);
    assert_eq!((late, early), (3, 6), "since is inclusive, before is not");
    let bad = [
        OperatorFilter { limit: 0, ..OperatorFilter::default() },
        OperatorFilter { limit: 101, ..OperatorFilter::default() },
        OperatorFilter { cursor: Some("bm9uZQ".to_owned()), ..OperatorFilter::default() },
    ];
    for filter in bad {
        let error = refused(f.store.operator_events(&f.caller, &filter).await);
        assert_eq!(error.code(), sprongus_core::ErrorCode::Validation, "{filter:?}");
    }
    let kinds = whole.iter().map(|event| event.kind.as_str());
    let counted = kinds.fold(BTreeMap::new(), |mut counted: BTreeMap<&str, u32>, kind| {
        *counted.entry(kind).or_default() += 1;
        counted
    });
    assert_eq!(counted, [("operator.kind_paused", 6), ("operator.kind_resumed", 3)].into());
}
