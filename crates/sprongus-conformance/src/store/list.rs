//! Lists: filters, order, pages.

use std::time::Duration;

use sprongus_core::ErrorCode;
use sprongus_core::run::list::ListFilter;
use sprongus_core::run::state::State;
use sprongus_core::run::{NewRun, Run};
use sprongus_core::store::Batch;
use sprongus_core::workspace::directory::NewAgentTask;

use crate::fixture::{Fixture, numbered, of_kind, refused};

async fn pages(f: &Fixture, mut filter: ListFilter) -> Vec<Run> {
    let mut all = Vec::new();
    loop {
        let page = f.store.list(&f.caller, &filter).await.unwrap();
        assert!(page.data.len() <= usize::try_from(filter.limit).unwrap());
        all.extend(page.data);
        filter.cursor = page.next_cursor;
        if filter.cursor.is_none() {
            return all;
        }
    }
}

fn ids(runs: &[Run]) -> Vec<sprongus_core::values::ids::RunId> {
    runs.iter().map(|run| run.id).collect()
}

/// Newest first, or oldest first; of one instant by id; page by page each run once, though more are made meanwhile.
pub async fn pages_hold_each_run_once_in_order(f: Fixture) {
    for batch in 0..3 {
        f.enqueue((0..5).map(|n| numbered("work", batch * 5 + n)).collect(), Batch::EachAlone).await;
        f.turn(Duration::from_millis(1));
    }
    let oldest = pages(&f, ListFilter { oldest_first: true, limit: 4, ..ListFilter::default() }).await;
    assert_eq!(oldest.len(), 15);
    assert!(oldest.windows(2).all(|two| (two[0].created_at, two[0].id) < (two[1].created_at, two[1].id)));
    let mut filter = ListFilter { limit: 4, ..ListFilter::default() };
    let first = f.store.list(&f.caller, &filter).await.unwrap();
    f.made(of_kind("later")).await;
    filter.cursor = first.next_cursor.clone();
    let mut newest = ids(&first.data);
    newest.extend(ids(&pages(&f, filter).await));
    newest.reverse();
    assert_eq!(newest, ids(&oldest));
}

/// Everything given must hold; of several states or kinds, one.
pub async fn a_list_holds_what_its_filter_says(f: Fixture) {
    f.store.create_project(&f.caller, &"p".parse().unwrap()).await.unwrap();
    f.store.create_agent_task(&f.caller, &NewAgentTask::new("T".parse().unwrap())).await.unwrap();
    let a = f.made(NewRun { project_id: Some("p".to_owned()), ..of_kind("a") }).await;
    f.turn(Duration::from_secs(1));
    let tags = [("env".to_owned(), "prod".to_owned()), ("x".to_owned(), "%".to_owned())].into();
    let b = f.made(NewRun { tags, agent_task_id: Some("T".to_owned()), ..of_kind("b") }).await;
    f.turn(Duration::from_secs(1));
    let c = f.made(of_kind("c")).await;
    f.cancel(c.id).await.unwrap();
    let all = ListFilter::default;
    let tag = |value: &str| [("env".to_owned(), value.to_owned())].into();
    let cases = [
        (all(), vec![c.id, b.id, a.id]),
        (ListFilter { states: vec![State::Queued], ..all() }, vec![b.id, a.id]),
        (ListFilter { states: vec![State::Canceled, State::Failed], ..all() }, vec![c.id]),
        (ListFilter { kinds: vec!["a".parse().unwrap(), "c".parse().unwrap()], ..all() }, vec![c.id, a.id]),
        (ListFilter { project_id: Some("p".parse().unwrap()), ..all() }, vec![a.id]),
        (ListFilter { agent_task_id: Some("T".parse().unwrap()), ..all() }, vec![b.id]),
        (ListFilter { tags: tag("prod"), ..all() }, vec![b.id]),
        (ListFilter { tags: tag("pro"), ..all() }, vec![]),
        (ListFilter { since: Some(b.created_at), ..all() }, vec![c.id, b.id]),
        (ListFilter { before: Some(b.created_at), ..all() }, vec![a.id]),
        (ListFilter { states: vec![State::Queued], kinds: vec!["c".parse().unwrap()], ..all() }, vec![]),
    ];
    for (filter, wanted) in cases {
        assert_eq!(ids(&pages(&f, filter.clone()).await), wanted, "{filter:?}");
    }
}

/// 1 to 100, and a cursor is good for its own list alone.
pub async fn a_limit_or_cursor_that_does_not_fit_is_refused(f: Fixture) {
    f.enqueue((0..3).map(|n| numbered("work", n)).collect(), Batch::EachAlone).await;
    for limit in [0, 101] {
        let filter = ListFilter { limit, ..ListFilter::default() };
        assert_eq!(refused(f.store.list(&f.caller, &filter).await).code(), ErrorCode::Validation);
    }
    let filter = ListFilter { limit: 1, ..ListFilter::default() };
    let cursor = f.store.list(&f.caller, &filter).await.unwrap().next_cursor;
    let other = ListFilter { cursor: cursor.clone(), states: vec![State::Failed], ..filter.clone() };
    assert_eq!(refused(f.store.list(&f.caller, &other).await).code(), ErrorCode::Validation);
    let broken = ListFilter { cursor: cursor.map(|cursor| cursor + "x"), ..filter };
    assert_eq!(refused(f.store.list(&f.caller, &broken).await).code(), ErrorCode::Validation);
}
