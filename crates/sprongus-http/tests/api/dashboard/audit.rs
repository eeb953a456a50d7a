//! What happened and who did it, as the page of it tells.

use serde_json::{Value, json};
use sprongus_core::workspace::token::Scope;

use super::browser::{Browser, well_made};
use super::screens::{seed, shows};
use crate::scene::{Scene, play};

/// The rows of an audit: who, and what.
fn rows(page: &str) -> Vec<(String, String)> {
    let cell = |row: &str, number: usize| {
        let rest = row.split("<td").nth(number).unwrap_or_default();
        let (_, text) = rest.split_once('>').unwrap_or_default();
        text.split("</td>").next().unwrap_or_default().to_owned()
    };
    page.split("<tr>")
        .filter(|row| row.contains("class=\"id\""))
        .map(|row| (cell(row, 2), cell(row, 3)))
        .collect()
}

/// Where a link of the pages leads.
fn link(page: &str, label: &str) -> Option<String> {
    let before = page.split(&format!("\">{label}</a>")).next().filter(|before| before.len() < page.len())?;
    Some(before.rsplit("href=\"").next()?.replace("&amp;", "&"))
}

#[test]
fn it_lists_who_did_what_newest_first() {
    play(|| async {
        let scene = Scene::new().await;
        let runs = seed(&scene).await;
        let amy = scene.token("default", "amy", &[Scope::Read, Scope::Write]).await;
        scene.ask(&amy, "POST", &format!("/v1/runs/{}:cancel", runs.queued), None).await.is(200);
        let browser = Browser::of(&scene, &scene.all).await;
        let whole = browser.page("/audit").await;
        assert_eq!(rows(&whole)[0], ("amy".to_owned(), "run.canceled".to_owned()), "{whole}");
        shows(
            &whole,
            &["run.waiting", "step.completed", &runs.queued, "script.pull", "data-live=\"/live/audit\""],
        );
        assert!(!whole.contains("run.progressed</td>"), "{whole}");
        shows(&browser.page("/audit?what=everything").await, &["run.progressed</td>"]);
        let hers = browser.page("/audit?what=&actor=amy").await;
        assert_eq!(rows(&hers), [("amy".to_owned(), "run.canceled".to_owned())]);
        let trouble = browser.page("/audit?what=trouble").await;
        assert_eq!(rows(&trouble).iter().map(|(_, what)| what.as_str()).collect::<Vec<_>>(), ["run.failed"]);
        shows(&trouble, &["<option value=\"trouble\" selected>", "data-live=\"/live/audit?what=trouble\""]);
        shows(&browser.page("/audit?actor=nobody").await, &["No events match these filters"]);
        let bad = browser.ask("/audit?what=something").await;
        assert_eq!(bad.status, 422);
        shows(&well_made("/audit", &bad), &["unknown event type"]);
    });
}

#[test]
fn it_is_paged_without_a_gap_and_only_its_newest_page_is_kept_fresh() {
    play(|| async {
        let scene = Scene::new().await;
        let many: Vec<Value> = (0..250).map(|_| json!({"kind": "a"})).collect();
        scene.post("/v1/runs:batch", json!({"runs": many})).await.is(201);
        let browser = Browser::of(&scene, &scene.all).await;
        let (mut path, mut seen, mut pages) = ("/audit?what=asked".to_owned(), 0, 0);
        loop {
            let page = browser.page(&path).await;
            assert_eq!(page.contains("data-live"), pages == 0, "{path}");
            (seen, pages) = (seen + rows(&page).len(), pages + 1);
            let Some(older) = link(&page, "Older") else {
                assert_eq!(link(&page, "Newest").as_deref(), Some("/audit?what=asked"));
                break;
            };
            path = older;
        }
        assert_eq!((seen, pages), (250, 3));
    });
}

#[test]
fn a_read_that_does_not_reach_the_beginning_says_so() {
    play(|| async {
        let scene = Scene::new().await;
        let canceled = scene.enqueue("a").await;
        scene.post(&format!("/v1/runs/{canceled}:cancel"), Value::Null).await.is(200);
        for _ in 0..5 {
            let many: Vec<Value> = (0..1_000).map(|_| json!({"kind": "a"})).collect();
            scene.post("/v1/runs:batch", json!({"runs": many})).await.is(201);
        }
        let browser = Browser::of(&scene, &scene.all).await;
        let first = browser.page("/audit?what=run.canceled").await;
        shows(&first, &["No matches in these 5,000 events"]);
        let second = browser.page(&link(&first, "Older").unwrap()).await;
        assert_eq!(rows(&second).len(), 1);
        assert_eq!(link(&second, "Older"), None);
    });
}

#[test]
fn nobody_reads_of_what_is_anothers() {
    play(|| async {
        let scene = Scene::new().await;
        let runs = seed(&scene).await;
        let them = scene.token("other", "them", &Scope::ALL).await;
        shows(&Browser::of(&scene, &them).await.page("/audit").await, &["No events yet"]);
        let narrow = scene.narrowed("default", "narrow", &[Scope::Read], Some(&["films"])).await;
        let page = Browser::of(&scene, &narrow).await.page("/audit").await;
        assert_eq!(rows(&page).len(), 1, "{page}");
        shows(&page, &[&runs.queued]);
        let blind = scene.token("default", "blind", &[Scope::Write]).await;
        assert_eq!(Browser::of(&scene, &blind).await.ask("/audit").await.status, 403);
    });
}

#[test]
fn admins_see_what_operators_did() {
    play(|| async {
        let scene = Scene::new().await;
        for kind in 0..120 {
            scene.post("/v1/kinds:pause", json!({"kind": format!("kind-{kind}")})).await.is(200);
        }
        let browser = Browser::of(&scene, &scene.all).await;
        shows(&browser.page("/audit").await, &["<option value=\"operators\">operator actions</option>"]);
        let first = browser.page("/audit?what=operators").await;
        shows(&first, &["operator.kind_paused", "kind-119", "data-live=\"/live/audit?what=operators\""]);
        assert!(!first.contains("kind-19<"), "{first}");
        let second = browser.page(&link(&first, "Older").unwrap()).await;
        shows(&second, &["operator.kind_paused", "kind-19<", "operator.token_created"]);
        shows(&browser.page("/audit?what=operators&actor=nobody").await, &["No events match these filters"]);
        assert_eq!(browser.ask("/audit?what=operators&before=1-2").await.status, 422);
        let reader = scene.token("default", "reader", &[Scope::Read]).await;
        let reading = Browser::of(&scene, &reader).await;
        assert!(!reading.page("/audit").await.contains("operator actions"));
        assert_eq!(reading.ask("/audit?what=operators").await.status, 403);
    });
}
