//! Schedules: what their screens show, what can be done there, and by whom.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sprongus_conformance::clock::TurnedClock;
use sprongus_conformance::model::Model;
use sprongus_core::calendar::zone::SystemZones;
use sprongus_core::workspace::token::Scope;
use sprongus_sqlite::{Options, Sqlite};

use super::browser::{Browser, well_made};
use super::live::Live;
use super::screens::shows;
use crate::scene::{Scene, play};

async fn create(scene: &Scene, id: &str, more: Value) {
    let mut body = json!({"id": id, "kind": "report.build"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    scene.post("/v1/schedules", body).await.is(201);
}

async fn nightly(scene: &Scene) {
    let more = json!({"cron": "30 2 * * *", "timeZone": "Europe/Berlin", "input": {"scope": "all"}});
    create(scene, "nightly", more).await;
}

#[test]
fn the_list_shows_when_each_runs_next_and_in_what_state_it_is() {
    play(|| async {
        let scene = Scene::new().await;
        let browser = Browser::of(&scene, &scene.all).await;
        shows(&browser.page("/schedules").await, &["No schedules yet", "sprongus schedules create"]);
        nightly(&scene).await;
        create(&scene, "poll", json!({"every": "15m", "paused": true})).await;
        create(&scene, "over", json!({"every": "1h", "endAt": "2020-01-01T00:00:00Z"})).await;
        let page = browser.page("/schedules").await;
        let links = ["/schedules/nightly", "/schedules/over", "/schedules/poll", "/live/schedules"];
        shows(&page, &links.map(|path| format!("\"{path}\"")).each_ref().map(String::as_str));
        shows(&page, &["30 2 * * *", "Europe/Berlin", "report.build", "every 15m", " 02:30 <span"]);
        for (state, class) in [("active", "succeeded"), ("paused", "canceled"), ("ended", "canceled")] {
            shows(&page, &[&format!("<span class=\"state state-{class}\">{state}</span>")]);
        }
    });
}

#[test]
fn a_long_list_of_schedules_is_paged_without_a_gap() {
    play(|| async {
        let scene = Scene::new().await;
        let many = (0..60).map(|n| (format!("s-{n:02}"), json!({"kind": "a", "every": "1h"})));
        let body = json!({"schedules": many.collect::<serde_json::Map<_, _>>()});
        scene.post("/v1/settings:apply", body).await.is(200);
        let browser = Browser::of(&scene, &scene.all).await;
        let first = browser.page("/schedules").await;
        assert!(first.contains(">s-49<") && !first.contains(">s-50<"), "{first}");
        shows(&first, &["href=\"/schedules?after=s-49\""]);
        let second = browser.page("/schedules?after=s-49").await;
        assert!(second.contains(">s-50<") && second.contains(">s-59<") && !second.contains(">s-49<"));
        shows(&second, &["data-live=\"/live/schedules?after=s-49\""]);
        assert!(!second.contains("rel=\"next\""), "{second}");
        assert_eq!(browser.ask("/schedules?after=Not%20an%20id").await.status, 422);
    });
}

#[test]
fn a_page_explains_a_schedule_and_what_clock_changes_do_to_it() {
    play(|| async {
        let scene = Scene::new().await;
        nightly(&scene).await;
        let browser = Browser::of(&scene, &scene.all).await;
        let page = browser.page("/schedules/nightly").await;
        shows(
            &page,
            &[
                "At 02:30 every day",
                "scope",
                "href=\"/runs?scheduleId=nightly\"",
                "is skipped",
                "No ticks were skipped lately",
                "clocks in Europe/Berlin go forward 1 hour to 03:00: 02:30 is skipped and fires at 03:00 instead.",
                "clocks in Europe/Berlin go back 1 hour to 02:00: 02:30 comes twice and fires the first time.",
            ],
        );
        assert_eq!(page.matches("data-name=\"UTC\"").count(), 10, "{page}");
        create(&scene, "noon", json!({"cron": "0 12 * * *", "timeZone": "Europe/Berlin"})).await;
        let noon = browser.page("/schedules/noon").await;
        shows(&noon, &["No clock change in Europe/Berlin affects this schedule"]);
        create(&scene, "poll", json!({"every": "15m"})).await;
        assert!(!browser.page("/schedules/poll").await.contains("Clock changes"));
    });
}

#[test]
fn a_schedule_is_paused_resumed_triggered_and_deleted_and_the_audit_says_by_whom() {
    play(|| async {
        let scene = Scene::new().await;
        nightly(&scene).await;
        let scopes = [Scope::Read, Scope::Write, Scope::Settings];
        let token = scene.token("default", "olga", &scopes).await;
        let olga = Browser::of(&scene, &token).await;
        let state = async || {
            let view = scene.get("/v1/schedules/nightly").await.is(200);
            view["state"].as_str().unwrap().to_owned()
        };
        let paused = olga.post("/schedules/nightly/pause", &[]).await;
        assert_eq!((paused.status, paused.header("location")), (303, Some("/schedules/nightly")));
        assert_eq!(state().await, "paused");
        shows(
            &olga.page("/schedules/nightly").await,
            &["action=\"/schedules/nightly/resume\"", "Paused: ticks"],
        );
        assert_eq!(olga.post("/schedules/nightly/resume", &[]).await.status, 303);
        assert_eq!(state().await, "active");
        let triggered = olga.post("/schedules/nightly/trigger", &[]).await;
        let run = triggered.header("location").unwrap().to_owned();
        assert!(triggered.status == 303 && run.starts_with("/runs/"), "{run}");
        shows(&olga.page(&run).await, &["href=\"/schedules/nightly\"", "triggered"]);
        shows(&olga.page("/runs?scheduleId=nightly").await, &[&run]);
        shows(&olga.page("/schedules/nightly/delete").await, &["Delete this schedule?", "nightly"]);
        let deleted = olga.post("/schedules/nightly/delete", &[]).await;
        assert_eq!((deleted.status, deleted.header("location")), (303, Some("/schedules")));
        assert_eq!(olga.ask("/schedules/nightly").await.status, 404);
        assert_eq!(olga.ask(&run).await.status, 200, "its runs stay");
        let browser = Browser::of(&scene, &scene.all).await;
        let audit = browser.page("/audit?what=operators&actor=olga").await;
        for act in ["paused", "resumed", "triggered", "deleted"] {
            shows(&audit, &[&format!("operator.schedule_{act}")]);
        }
    });
}

#[test]
fn a_tick_makes_a_run_that_names_it_and_a_live_run_keeps_the_next_from_having_one() {
    play(|| async {
        let clock = TurnedClock::new();
        let scene = Scene::on(Arc::new(Model::new(Arc::new(clock.clone())))).await;
        create(&scene, "poll", json!({"every": "1m", "missedAfter": "1h"})).await;
        let claim = json!({"workerId": "w", "limit": 1, "kinds": ["report.build"]});
        clock.turn(Duration::from_secs(61));
        let run = scene.post("/v1/runs:claim", claim.clone()).await.is(200)["data"][0].clone();
        let (id, tick) = (run["id"].as_str().unwrap(), run["scheduledFor"].as_str().unwrap());
        let browser = Browser::of(&scene, &scene.all).await;
        let page = browser.page(&format!("/runs/{id}")).await;
        shows(&page, &["href=\"/schedules/poll\"", &format!("tick {tick}")]);
        clock.turn(Duration::from_secs(60));
        scene.post("/v1/runs:claim", claim).await.is(200);
        let page = browser.page("/schedules/poll").await;
        shows(&page, &["Ticks are skipped because a run is live", "data-name=\"reason\">overlap<"]);
    });
}

#[test]
fn what_is_looked_at_too_late_is_shown_as_late() {
    play(|| async {
        let clock = TurnedClock::new();
        let scene = Scene::on(Arc::new(Model::new(Arc::new(clock.clone())))).await;
        create(&scene, "poll", json!({"every": "1m"})).await;
        let browser = Browser::of(&scene, &scene.all).await;
        assert!(!browser.page("/schedules").await.contains(">late<"));
        clock.turn(Duration::from_secs(121));
        shows(&browser.page("/schedules").await, &["<span class=\"amiss\">late</span>"]);
        shows(&browser.page("/schedules/poll").await, &["Late: no worker or server is running"]);
    });
}

/// A zone file (RFC 9636) of UTC under another name.
fn zone_file() -> Vec<u8> {
    let counts = [0_u32, 0, 0, 0, 1, 4].map(u32::to_be_bytes).concat();
    let block = [b"TZif2".as_slice(), &[0; 15], &counts, &[0; 6], b"UTC\0"].concat();
    [block.as_slice(), &block, b"\nUTC0\n"].concat()
}

#[test]
fn a_schedule_whose_zone_has_vanished_says_so() {
    play(|| async {
        let (folder, clock) = (tempfile::tempdir().unwrap(), TurnedClock::new());
        let zone = folder.path().join("Lab/Basement");
        std::fs::create_dir(folder.path().join("Lab")).unwrap();
        std::fs::write(&zone, zone_file()).unwrap();
        let zones = Arc::new(SystemZones::at(folder.path()));
        let options = Options { clock: Arc::new(clock.clone()), zones, ..Options::default() };
        let store = Sqlite::open(&folder.path().join("runs.db"), options).unwrap();
        let scene = Scene::on(Arc::new(store)).await;
        create(&scene, "nightly", json!({"cron": "30 2 * * *", "timeZone": "Lab/Basement"})).await;
        let browser = Browser::of(&scene, &scene.all).await;
        assert!(!browser.page("/schedules").await.contains("broken"));
        std::fs::remove_file(&zone).unwrap();
        clock.turn(Duration::from_secs(86_400));
        scene.post("/v1/runs:claim", json!({"workerId": "w", "limit": 1})).await.is(200);
        let broken = "<span class=\"state state-failed\">broken</span>";
        shows(&browser.page("/schedules").await, &[broken, "nightly"]);
        let page = browser.page("/schedules/nightly").await;
        shows(&page, &[broken, "<strong>Broken</strong>", "The time zone Lab/Basement is unknown"]);
    });
}

#[test]
fn who_may_not_change_settings_is_offered_nothing_and_refused() {
    play(|| async {
        let scene = Scene::new().await;
        nightly(&scene).await;
        let posts = ["pause", "resume", "delete", "trigger"].map(|verb| format!("/schedules/nightly/{verb}"));
        let token = scene.token("default", "reader", &[Scope::Read]).await;
        let reader = Browser::of(&scene, &token).await;
        for path in ["/schedules", "/schedules/nightly"] {
            let page = reader.page(path).await;
            assert_eq!(page.matches("<form").count(), 1, "only to sign out\n{page}");
            assert!(!page.contains("Delete…"), "{page}");
        }
        for path in &posts {
            assert_eq!(reader.post(path, &[]).await.status, 403, "{path}");
        }
        assert_eq!(reader.ask("/schedules/nightly/delete").await.status, 403);
        let token = scene.token("default", "writer", &[Scope::Read, Scope::Write]).await;
        let writer = Browser::of(&scene, &token).await;
        let page = writer.page("/schedules/nightly").await;
        assert!(page.contains("/trigger") && !page.contains("/pause") && !page.contains("Delete…"), "{page}");
        for path in &posts[..3] {
            assert_eq!(writer.post(path, &[]).await.status, 403, "{path}");
        }
        let token = scene.token("default", "blind", &[Scope::Settings]).await;
        let blind = Browser::of(&scene, &token).await;
        for path in ["/schedules", "/schedules/nightly", "/live/schedules", "/live/schedules/nightly"] {
            assert_eq!(blind.ask(path).await.status, 403, "{path}");
        }
        assert_eq!(scene.get("/v1/schedules/nightly").await.is(200)["state"], "active");
    });
}

#[test]
fn another_workspaces_schedule_and_another_projects_are_not_there() {
    play(|| async {
        let scene = Scene::new().await;
        nightly(&scene).await;
        scene.post("/v1/projects", json!({"id": "films"})).await.is(201);
        let other = scene.token("other", "them", &Scope::ALL).await;
        let narrow = scene.narrowed("default", "narrow", &Scope::ALL[..5], Some(&["films"])).await;
        for token in [other, narrow] {
            let them = Browser::of(&scene, &token).await;
            assert!(!them.page("/schedules").await.contains("nightly"));
            for end in ["", "/delete"] {
                let (foreign, missing) = (
                    them.ask(&format!("/schedules/nightly{end}")).await,
                    them.ask(&format!("/schedules/nobody{end}")).await,
                );
                assert_eq!((foreign.status, missing.status), (404, 404), "{end}");
                well_made(end, &foreign);
            }
            for verb in ["pause", "resume", "trigger", "delete"] {
                let path = format!("/schedules/nightly/{verb}");
                assert_eq!(them.post(&path, &[]).await.status, 404, "{verb}");
            }
            assert_eq!(them.ask("/live/schedules/nightly").await.status, 404);
        }
        assert_eq!(scene.get("/v1/schedules/nightly").await.is(200)["state"], "active");
    });
}

#[test]
fn what_a_schedule_says_is_never_markup() {
    play(|| async {
        let scene = Scene::new().await;
        let script = "<script>alert(1)</script>\u{202e}";
        let more = json!({"every": "1h", "input": {script: script}, "tags": {"x": "<b>\"bold\"</b>"}});
        create(&scene, "poll", more).await;
        let page = Browser::of(&scene, &scene.all).await.page("/schedules/poll").await;
        assert!(page.contains("&lt;script&gt;") && !page.contains("<script>alert"), "{page}");
        assert!(!page.contains('\u{202e}') && !page.contains("<b>"), "{page}");
        let reply = Browser::of(&scene, &scene.all).await.ask("/schedules/%3Cscript%3Ealert(1)").await;
        assert_eq!(reply.status, 404);
        assert!(!well_made("/schedules", &reply).contains("<script>alert"));
    });
}

#[test]
fn a_change_arrives_on_open_pages() {
    play(|| async {
        let scene = Scene::new().await;
        nightly(&scene).await;
        let browser = Browser::of(&scene, &scene.all).await;
        for (path, id) in [("/live/schedules", "schedules"), ("/live/schedules/nightly", "head")] {
            let mut live = Live::open(scene.address, &browser.cookie, path).await;
            live.hears(&format!("\"id\":\"{id}\"")).await;
            live.forget();
            browser.post("/schedules/nightly/pause", &[]).await;
            live.hears(">paused<").await;
            browser.post("/schedules/nightly/resume", &[]).await;
        }
    });
}

#[test]
fn zone_data_is_shown_where_workers_have_different_and_not_to_those_of_a_project() {
    play(|| async {
        let scene = Scene::new().await;
        let see = async |id: &str, zone_data: Value| {
            let word =
                json!({"host": "h", "pid": 1, "version": "1", "concurrency": 1, "zoneData": zone_data});
            scene.ask(&scene.all, "PUT", &format!("/v1/workers/{id}"), Some(word)).await
        };
        let data = |version: &str| json!({"version": version, "source": "/usr/share/zoneinfo"});
        see("w1", data("2025b")).await.is(200);
        see("w2", data("2025b")).await.is(200);
        let browser = Browser::of(&scene, &scene.all).await;
        assert!(!browser.page("/workers").await.contains("zone data"));
        see("w2", data("2026f")).await.is(200);
        for path in ["/workers", "/"] {
            shows(&browser.page(path).await, &["zone data 2025b (/usr/share/zoneinfo)", "zone data 2026f ("]);
        }
        let workers = scene.get("/v1/workers").await.is(200)["data"].clone();
        assert_eq!(workers[1]["zoneData"], data("2026f"));
        scene.post("/v1/projects", json!({"id": "films"})).await.is(201);
        let narrow = scene.narrowed("default", "narrow", &[Scope::Read], Some(&["films"])).await;
        let workers = scene.ask(&narrow, "GET", "/v1/workers", None).await.is(200)["data"].clone();
        assert_eq!(workers[1]["zoneData"], Value::Null);
        for bad in
            [json!({"version": "x".repeat(65), "source": "/"}), json!({"version": "1", "source": "a\nb"})]
        {
            assert_eq!(see("w3", bad.clone()).await.status, 422, "{bad}");
        }
    });
}
