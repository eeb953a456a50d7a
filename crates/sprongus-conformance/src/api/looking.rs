//! Looking: pages of steps, events and log lines; lists and what they are filtered by; keys.

use std::time::Duration;

use sprongus_core::rules::record::MAX_TOKENS;
use sprongus_core::run::follow::ReadSoFar;
use sprongus_core::run::list::ListFilter;
use sprongus_core::run::state::State;
use sprongus_core::run::step::{StepReport, StepStatus};
use sprongus_core::run::view::RunView;
use sprongus_core::run::{Enqueue, NewRun};
use sprongus_core::store::Batch;
use sprongus_core::values::ids::RunId;
use sprongus_core::workspace::directory::NewAgentTask;
use sprongus_core::{ErrorCode, RunsExt};

use super::Api;
use crate::fixture::{line, numbered, of_kind, refused, step, worker};

fn ids(runs: &[RunView]) -> Vec<RunId> {
    runs.iter().map(|run| run.id).collect()
}

/// A log comes in pages of the size asked for, however long it is.
pub async fn a_log_is_read_in_pages(api: Api) {
    let hold = api.held(of_kind("work")).await;
    for part in 0..5 {
        let lines = (0..500).map(|n| line(&format!("line {}", part * 500 + n + 1), api.now())).collect();
        api.runs.record(&hold, vec![], lines).await.unwrap();
    }
    for (after, limit, wanted) in
        [(0, 10_000, 2_500), (0, 7, 7), (2_495, 100, 5), (2_500, 5, 0), (400, 1_700, 1_700)]
    {
        let lines = api.runs.logs(hold.id, after, limit).await.unwrap();
        assert_eq!(lines.len(), wanted, "{limit} after {after}");
        assert!((after + 1..).zip(&lines).all(|(seq, line)| line.seq == seq));
        assert!(lines.iter().all(|line| line.line.text == format!("line {}", line.seq) && line.attempt == 1));
    }
    let news = api.runs.follow(hold.id, ReadSoFar::default(), Duration::ZERO).await.unwrap();
    assert_eq!((news.lines.len(), news.read), (1_000, ReadSoFar { events: 2, lines: 1_000 }));
    assert_eq!(refused(api.runs.logs(RunId::new(), 0, 10).await).code(), ErrorCode::NotFound);
}

/// A history comes in pages too, each event once and in its place.
pub async fn a_history_is_read_in_pages(api: Api) {
    let hold = api.held(of_kind("work")).await;
    for percent in 1..=20 {
        api.runs.progress(&hold, percent, None).await.unwrap();
    }
    let all = api.runs.events(hold.id, 0, 10_000).await.unwrap();
    assert_eq!(all.len(), 22);
    assert!((1..).zip(&all).all(|(seq, event)| event.seq == seq && event.run_id == hold.id));
    let mut read = Vec::new();
    loop {
        let page = api.runs.events(hold.id, read.len() as u64, 9).await.unwrap();
        if page.is_empty() {
            break;
        }
        read.extend(page);
    }
    assert_eq!(read, all);
    assert_eq!(refused(api.runs.events(RunId::new(), 0, 10).await).code(), ErrorCode::NotFound);
}

/// Steps come by attempt and ordinal, with everything that was said of them.
pub async fn steps_are_shown_in_their_order(api: Api) {
    let hold = api.held(of_kind("work")).await;
    let mut second = step(1, "review", StepStatus::Running);
    second.kind = sprongus_core::run::step::StepType::AiAction;
    let reports = vec![second.clone(), step(0, "checkout", StepStatus::Completed)];
    api.runs.record(&hold, reports, vec![]).await.unwrap();
    api.clock.turn(Duration::from_secs(3));
    second.status = StepStatus::Failed;
    (second.output, second.tokens_in, second.tokens_out) = (Some("no".to_owned()), Some(11), Some(22));
    api.runs.record(&hold, vec![second.clone()], vec![]).await.unwrap();
    api.runs.record(&hold, vec![second], vec![]).await.unwrap();
    let steps = api.runs.steps(hold.id).await.unwrap();
    assert_eq!(steps.iter().map(|step| step.name.as_str()).collect::<Vec<_>>(), ["checkout", "review"]);
    let review = &steps[1];
    assert_eq!((review.status, review.output.as_deref()), (StepStatus::Failed, Some("no")));
    assert_eq!((review.tokens_in, review.tokens_out, review.attempt), (Some(11), Some(22), 1));
    assert_eq!(review.duration(), Some(Duration::from_secs(3)));
    assert_eq!(review.id, sprongus_core::values::ids::StepId::of(hold.id, 1, 1));
    assert_eq!(api.event_types(hold.id).await.len(), 5, "two began or ended, one ended later");
    for tokens_out in [MAX_TOKENS + 1, u64::MAX] {
        let absurd = StepReport { tokens_out: Some(tokens_out), ..step(2, "absurd", StepStatus::Completed) };
        let error = refused(api.runs.record(&hold, vec![absurd], vec![]).await);
        let wanted = "a step's tokens must be at most 1000000000";
        assert_eq!((error.code(), error.message()), (ErrorCode::Validation, wanted));
    }
    assert_eq!(api.runs.steps(hold.id).await.unwrap(), steps, "nothing of it is kept");
    assert!(refused(api.runs.steps(RunId::new()).await).message().starts_with("no such run: "));
}

/// Everything given must hold; of several states or kinds, one.
pub async fn a_list_holds_what_its_filter_says(api: Api) {
    api.runs.create_project(&"p".parse().unwrap()).await.unwrap();
    api.runs.create_agent_task(NewAgentTask::new("T".parse().unwrap())).await.unwrap();
    let make = |new| async { api.runs.enqueue_one(new).await.unwrap().run };
    let a = make(NewRun { project_id: Some("p".to_owned()), ..of_kind("a") }).await;
    api.clock.turn(Duration::from_secs(1));
    let tags = [("env".to_owned(), "a=b & c+d%".to_owned()), ("x".to_owned(), "ü".to_owned())].into();
    let b = make(NewRun { tags, agent_task_id: Some("T".to_owned()), ..of_kind("sync.aux/b") }).await;
    api.clock.turn(Duration::from_secs(1));
    let c = make(of_kind("c")).await;
    api.runs.cancel(c.id).await.unwrap();
    let all = ListFilter::default;
    let tag = |name: &str, value: &str| [(name.to_owned(), value.to_owned())].into();
    let kinds = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect();
    let cases = [
        (all(), vec![c.id, b.id, a.id]),
        (ListFilter { oldest_first: true, ..all() }, vec![a.id, b.id, c.id]),
        (ListFilter { states: vec![State::Queued], ..all() }, vec![b.id, a.id]),
        (ListFilter { states: vec![State::Canceled, State::Failed], ..all() }, vec![c.id]),
        (ListFilter { kinds: kinds(&["a", "sync.aux/b"]), ..all() }, vec![b.id, a.id]),
        (ListFilter { project_id: Some("p".parse().unwrap()), ..all() }, vec![a.id]),
        (ListFilter { agent_task_id: Some("T".parse().unwrap()), ..all() }, vec![b.id]),
        (ListFilter { tags: tag("env", "a=b & c+d%"), ..all() }, vec![b.id]),
        (ListFilter { tags: tag("x", "ü"), ..all() }, vec![b.id]),
        (ListFilter { tags: tag("x", "u"), ..all() }, vec![]),
        (ListFilter { since: Some(b.created_at), ..all() }, vec![c.id, b.id]),
        (ListFilter { before: Some(b.created_at), ..all() }, vec![a.id]),
    ];
    for (filter, wanted) in cases {
        assert_eq!(ids(&api.runs.list(&filter).await.unwrap().data), wanted, "{filter:?}");
    }
    let got = api.runs.get(b.id).await.unwrap();
    assert!(got.waiting.is_some(), "told where it is looked at");
    assert_eq!(RunView { waiting: None, ..got }, b, "nothing of it is lost on the way");
}

/// A cursor leads on in its own list, and in no other.
pub async fn a_cursor_is_good_for_its_own_list_alone(api: Api) {
    for batch in 0..3 {
        let runs = (0..5).map(|n| numbered("work", batch * 5 + n)).collect();
        api.runs.enqueue(runs, Batch::EachAlone).await.unwrap();
        api.clock.turn(Duration::from_millis(1));
    }
    for oldest_first in [true, false] {
        let mut filter = ListFilter { limit: 4, oldest_first, ..ListFilter::default() };
        let mut seen = Vec::new();
        loop {
            let page = api.runs.list(&filter).await.unwrap();
            seen.extend(page.data.iter().map(|run| (run.created_at, run.id)));
            filter.cursor = page.next_cursor;
            if filter.cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen.len(), 15);
        assert!(seen.windows(2).all(|two| (two[0] < two[1]) == oldest_first), "{seen:?}");
    }
    let cursor = api.runs.list(&ListFilter { limit: 4, ..ListFilter::default() }).await.unwrap().next_cursor;
    let states = vec![State::Queued];
    for filter in [
        ListFilter { cursor: cursor.clone(), states, ..ListFilter::default() },
        ListFilter { cursor: cursor.clone(), oldest_first: true, ..ListFilter::default() },
        ListFilter { cursor: Some("bm9uc2Vuc2U".to_owned()), ..ListFilter::default() },
        ListFilter { cursor: Some("../%00".to_owned()), ..ListFilter::default() },
    ] {
        let error = refused(api.runs.list(&filter).await);
        assert_eq!(error.code(), ErrorCode::Validation);
        assert_eq!(error.message(), "the cursor does not belong to this list");
        assert_eq!(error.hint(), "use `nextCursor` from the previous page, with the same filters");
    }
}

/// A key finds its run, and so does an id that the caller made.
pub async fn a_run_is_found_by_its_key_and_by_its_id(api: Api) {
    let key = "k+1 & \"ü\" = 100%";
    let new = NewRun { idempotency_key: Some(key.to_owned()), ..numbered("work", 1) };
    let made = api.runs.enqueue_one(new.clone()).await.unwrap();
    let again = api.runs.enqueue_one(new.clone()).await.unwrap();
    assert_eq!(
        (made.outcome, again.outcome, again.run.id),
        (Enqueue::Created, Enqueue::Existing, made.run.id)
    );
    assert_eq!(api.runs.find_by_key(key).await.unwrap().unwrap(), made.run);
    assert_eq!(api.runs.find_by_key("another").await.unwrap(), None);
    let other = NewRun { idempotency_key: Some(key.to_owned()), ..numbered("work", 2) };
    let error = refused(api.runs.enqueue_one(other).await);
    assert_eq!(error.code(), ErrorCode::IdempotencyKeyReused);
    assert!(error.message().contains(&made.run.id.to_string()));

    let named = NewRun { id: Some(RunId::new()), ..numbered("work", 3) };
    let made = api.runs.enqueue_one(named.clone()).await.unwrap();
    assert_eq!((made.outcome, Some(made.run.id)), (Enqueue::Created, named.id));
    assert_eq!(api.runs.enqueue_one(named.clone()).await.unwrap().outcome, Enqueue::Existing);
    let other = NewRun { id: named.id, ..numbered("work", 4) };
    assert_eq!(refused(api.runs.enqueue_one(other).await).code(), ErrorCode::Conflict);
    assert_eq!(api.runs.claim_next(&worker("w"), 9).await.unwrap().len(), 2);
}
