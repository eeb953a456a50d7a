//! Looking back over a workspace's events.

use std::num::NonZeroU32;
use std::time::Duration;

use serde_json::json;
use sprongus_core::Caller;
use sprongus_core::run::NewRun;
use sprongus_core::run::event::EventType;
use sprongus_core::run::stream::StreamPosition;
use sprongus_core::store::Batch;
use sprongus_core::values::ids::RunId;
use sprongus_core::workspace::audit::{AuditFilter, AuditPage, Audited, WALKED};
use tokio::time::Instant;

use crate::fixture::{Fixture, numbered, of_kind, success};

/// How long an event may take to come into the stream: as long as somebody else's transaction, that is.
const PATIENCE: Duration = Duration::from_secs(30);

async fn page(f: &Fixture, before: Option<StreamPosition>, filter: &AuditFilter, limit: u32) -> AuditPage {
    let limit = NonZeroU32::new(limit).unwrap();
    let page = f.store.audit(&f.caller, before, filter, limit).await.unwrap();
    assert!(page.found.len() <= limit.get() as usize, "{} of {limit}", page.found.len());
    page
}

/// Returns when everything is in the stream that was written so far.
async fn settled(f: &Fixture) -> RunId {
    let last = f.made(of_kind("last")).await.id;
    let deadline = Instant::now() + PATIENCE;
    while page(f, None, &AuditFilter::default(), 1).await.found.iter().all(|it| it.event.run_id != last) {
        assert!(Instant::now() < deadline, "run {last} never came into the stream");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    last
}

/// All there is, `limit` at a time.
async fn all(f: &Fixture, filter: &AuditFilter, limit: u32) -> Vec<Audited> {
    let (mut all, mut before) = (Vec::new(), None);
    loop {
        let page = page(f, before, filter, limit).await;
        all.extend(page.found);
        match page.further {
            Some(further) => {
                assert!(before.is_none_or(|before| further < before), "{further} is no way back");
                before = Some(further);
            }
            None => return all,
        }
    }
}

/// The stream from its end to its beginning, with what each run does, however much is read at once.
pub async fn everything_is_looked_back_upon_newest_first(f: Fixture) {
    let hold = f.held(of_kind("work")).await;
    f.finish(&hold, success(json!(1))).await.unwrap();
    let batch = f.enqueue((0..5).map(|number| numbered("later", number)).collect(), Batch::EachAlone).await;
    let canceled = batch.into_iter().map(|made| made.unwrap().applied.run.id).nth(2).unwrap();
    f.cancel(canceled).await.unwrap();
    settled(&f).await;
    let mut stream = f.store.stream(&f.caller, StreamPosition::default(), 1_000).await.unwrap();
    stream.reverse();
    let whole = all(&f, &AuditFilter::default(), 1_000).await;
    let seen: Vec<_> = whole.iter().map(|it| (it.position, it.event.clone())).collect();
    let expected: Vec<_> = stream.iter().map(|it| (it.position, it.run_event().unwrap().clone())).collect();
    assert_eq!(seen, expected);
    assert_eq!(whole.len(), 10);
    for audited in &whole {
        let run = f.store.get(&f.caller, audited.event.run_id).await.unwrap();
        assert_eq!(audited.kind, run.kind);
    }
    for limit in [1, 3, 9, 10] {
        assert_eq!(all(&f, &AuditFilter::default(), limit).await, whole, "{limit} at a time");
    }
}

/// By what an event tells and by who did it, each alone and both; a name stands for itself, not for those that are like it.
pub async fn what_is_looked_for_alone_is_found(f: Fixture) {
    let amy = Fixture { caller: Caller::new(f.caller.workspace.clone(), "amy"), ..f.clone() };
    let amys = amy.made(of_kind("work")).await.id;
    let ours = f.made(of_kind("work")).await.id;
    amy.cancel(ours).await.unwrap();
    f.cancel(amys).await.unwrap();
    settled(&f).await;
    let by = |types: &[EventType], actor: Option<&str>| AuditFilter {
        types: types.to_vec(),
        actor: actor.map(str::to_owned),
    };
    let found = |filter: AuditFilter| {
        let f = f.clone();
        async move {
            let two = all(&f, &filter, 2).await;
            assert_eq!(two, all(&f, &filter, 1_000).await);
            two.into_iter().map(|it| (it.event.kind, it.event.run_id)).collect::<Vec<_>>()
        }
    };
    use EventType::{Canceled, Enqueued, Failed};
    assert_eq!(found(by(&[], Some("amy"))).await, [(Canceled, ours), (Enqueued, amys)]);
    assert_eq!(found(by(&[Canceled], None)).await, [(Canceled, amys), (Canceled, ours)]);
    assert_eq!(found(by(&[Canceled, Failed], Some("amy"))).await, [(Canceled, ours)]);
    for nobody in ["am", "Amy", "%", "amy "] {
        assert_eq!(found(by(&[], Some(nobody))).await, [], "{nobody}");
    }
}

/// Neither what another workspace holds nor what lies in projects that are not the caller's.
pub async fn nobody_looks_back_upon_what_is_anothers(f: Fixture) {
    let other = f.tenant("other").await;
    other.made(of_kind("work")).await;
    for project in ["p", "q"] {
        f.store.create_project(&f.caller, &project.parse().unwrap()).await.unwrap();
    }
    let of_project = |id: &str| NewRun { project_id: Some(id.to_owned()), ..of_kind("work") };
    let own = f.made(of_project("p")).await.id;
    f.made(of_project("q")).await;
    f.made(of_kind("work")).await;
    settled(&f).await;
    let runs = |found: Vec<Audited>| found.iter().map(|it| it.event.run_id).collect::<Vec<_>>();
    let everything = AuditFilter::default();
    assert_eq!(runs(all(&f.narrowed(&["p"]), &everything, 1).await), [own]);
    assert_eq!(runs(all(&f.narrowed(&["p", "q"]), &everything, 10).await).len(), 2);
    assert_eq!(runs(all(&f.narrowed(&[]), &everything, 10).await), []);
    assert_eq!(all(&f, &everything, 10).await.len(), 4);
    settled(&other).await;
    assert_eq!(all(&other, &everything, 10).await.len(), 2);
}

/// What is rare and long ago is not found at once, but in the end.
pub async fn a_look_is_bounded_and_says_where_it_came_to(f: Fixture) {
    let old = f.made(of_kind("work")).await.id;
    f.cancel(old).await.unwrap();
    for thousand in 0..WALKED / 1_000 {
        let batch = (0..1_000).map(|number| numbered("work", thousand as usize * 1_000 + number)).collect();
        f.enqueue(batch, Batch::EachAlone).await;
    }
    settled(&f).await;
    let canceled = AuditFilter { types: vec![EventType::Canceled], actor: None };
    let first = page(&f, None, &canceled, 10).await;
    assert_eq!(first.found, []);
    let second = page(&f, first.further, &canceled, 10).await;
    assert_eq!(second.found.iter().map(|it| it.event.run_id).collect::<Vec<_>>(), [old]);
    assert_eq!((first.further.is_some(), second.further), (true, None));
    assert_eq!(all(&f, &AuditFilter::default(), 1_000).await.len(), WALKED as usize + 3);
}
