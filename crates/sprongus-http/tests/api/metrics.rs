//! What a Prometheus server scrapes, and who may.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use sprongus_conformance::{Model, TurnedClock};
use sprongus_core::Caller;
use sprongus_core::values::names::WorkspaceId;
use sprongus_core::workspace::token::Scope;

use crate::raw;
use crate::scene::{Scene, play};

/// The value of a series, as it stands in the text.
fn value<'a>(text: &'a str, series: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))
}

const OPENMETRICS: (&str, &str) = ("Accept", "application/openmetrics-text;version=1.0.0;q=0.75,*/*;q=0.1");

/// As an operator.
async fn scraped(scene: &Scene) -> raw::Reply {
    scrape(scene, &[("Authorization", &format!("Bearer {}", scene.all))]).await
}

async fn scrape(scene: &Scene, headers: &[(&str, &str)]) -> raw::Reply {
    let headers: Vec<_> = headers.iter().copied().chain([OPENMETRICS]).collect();
    raw::bytes(scene.address, &raw::request("GET", "/metrics", &headers, b"")).await
}

async fn roll_up(scene: &Scene, workspace: &str) {
    let caller = Caller::new(workspace.parse::<WorkspaceId>().unwrap(), "tester");
    while scene.service.store().roll_up(&caller, 100).await.unwrap() > 0 {}
}

#[test]
fn figures_are_of_what_happened() {
    play(async || {
        let scene = Scene::new().await;
        let done = scene.held("mail").await;
        let step = json!({"workerId": "w", "epoch": 1, "ordinal": 0, "name": "ask", "phase": "execution", "type": "ai_action",
            "status": "completed", "tokensIn": 1_200, "tokensOut": 34});
        scene.post(&format!("/v1/runs/{done}:step"), step).await.is(200);
        scene.post(&format!("/v1/runs/{done}:succeed"), json!({"workerId": "w", "epoch": 1})).await.is(200);
        scene.held("note").await;
        scene.enqueue("mail").await;
        roll_up(&scene, "default").await;
        let reply = scraped(&scene).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert!(
            reply.header("content-type").unwrap().starts_with("application/openmetrics-text; version=1.0.0")
        );
        let text = reply.text();
        let seen = |series: &str| value(&text, series).unwrap_or_else(|| panic!("no {series} in\n{text}"));
        assert_eq!(seen("sprongus_runs_due{workspace=\"default\",kind=\"mail\"}"), "1.0");
        assert_eq!(seen("sprongus_runs_running{workspace=\"default\",kind=\"note\"}"), "1.0");
        assert_eq!(seen("sprongus_runs_enqueued_total{workspace=\"default\",kind=\"mail\"}"), "2");
        assert_eq!(seen("sprongus_executions_started_total{workspace=\"default\",kind=\"note\"}"), "1");
        let ended = "sprongus_runs_ended_total{workspace=\"default\",kind=\"mail\",outcome=\"succeeded\"}";
        assert_eq!(seen(ended), "1");
        assert_eq!(seen("sprongus_run_wait_seconds_count{workspace=\"default\",kind=\"mail\"}"), "1");
        for (direction, tokens) in [("in", "1200"), ("out", "34")] {
            let tokens_of = format!(
                "sprongus_tokens_total{{workspace=\"default\",kind=\"mail\",direction=\"{direction}\"}}"
            );
            assert_eq!(seen(&tokens_of), tokens);
        }
        let all = "sprongus_run_execution_seconds_bucket{le=\"+Inf\",workspace=\"default\",kind=\"mail\"}";
        assert_eq!(seen(all), "1");
        let asked = "sprongus_http_request_seconds_count{method=\"POST\",route=\"/v1/runs/{id}:succeed\",status=\"200\"}";
        assert_eq!(seen(asked), "1");
        assert!(seen("sprongus_store_file_bytes").parse::<f64>().unwrap() > 0.0);
        assert!(text.ends_with("# EOF\n"));
    });
}

#[test]
fn figures_are_for_admins_wherever_they_come_from() {
    play(async || {
        let scene = Scene::new().await;
        scene.enqueue("mine").await;
        let theirs = scene.token("other", "their admin", &[Scope::Admin]).await;
        let theirs = format!("Bearer {theirs}");
        let made = scene.token("other", "their writer", &[Scope::Write]).await;
        scene.ask(&made, "POST", "/v1/runs", Some(json!({"kind": "theirs"}))).await.is(201);
        let reader = format!("Bearer {}", scene.token("default", "reader", &[Scope::Read]).await);
        // From the machine itself too: a proxy on it need not say that somebody else asks.
        scrape(&scene, &[]).await.refuses(401, "unauthenticated");
        scrape(&scene, &[("Authorization", &reader)]).await.refuses(403, "forbidden");
        scrape(&scene, &[("Authorization", "Bearer nonsense")]).await.refuses(401, "unauthenticated");
        let own = scrape(&scene, &[("Authorization", &theirs)]).await;
        assert_eq!(own.status, 200, "{}", own.text());
        assert!(
            own.text().contains("kind=\"theirs\"") && !own.text().contains("kind=\"mine\""),
            "{}",
            own.text()
        );
        let every = scraped(&scene).await.text();
        assert!(every.contains("kind=\"theirs\"") && every.contains("kind=\"mine\""), "{every}");
    });
}

#[test]
fn schedules_are_counted_by_state_and_their_skipped_ticks_by_reason() {
    play(async || {
        let clock = TurnedClock::new();
        let scene = Scene::on(Arc::new(Model::new(Arc::new(clock.clone())))).await;
        for (id, paused) in [("poll", false), ("held", true)] {
            let body = json!({"id": id, "kind": "mail", "every": "1m", "missed": "skip", "paused": paused});
            scene.post("/v1/schedules", body).await.is(201);
        }
        clock.turn(Duration::from_secs(10 * 60 + 1));
        let seen = |text: &str, series: &str| {
            value(text, series).unwrap_or_else(|| panic!("no {series} in\n{text}")).to_owned()
        };
        let of = |name: &str, label: &str| format!("sprongus_{name}{{workspace=\"default\"{label}}}");
        let late = scraped(&scene).await.text();
        assert_eq!(seen(&late, &of("schedules_late", "")), "1.0");
        for (state, count) in [("active", "1.0"), ("paused", "1.0"), ("ended", "0.0"), ("broken", "0.0")] {
            assert_eq!(seen(&late, &of("schedules", &format!(",state=\"{state}\""))), count);
        }
        let missed = of("schedule_ticks_skipped_total", ",reason=\"missed\"");
        assert_eq!(seen(&late, &missed), "0");
        scene.post("/v1/runs:claim", json!({"workerId": "w", "limit": 1})).await.is(200);
        // Another server has not asked lately.
        let other = Scene::on(scene.service.store().clone()).await;
        let text = scraped(&other).await.text();
        assert_eq!(
            (seen(&text, &of("schedules_late", "")).as_str(), seen(&text, &missed).as_str()),
            ("0.0", "9")
        );
    });
}

#[test]
fn a_clients_text_is_no_label() {
    play(async || {
        let scene = Scene::new().await;
        raw::bytes(scene.address, &raw::request("GET", "/no/such/\"route", &[], b"")).await;
        raw::bytes(scene.address, &raw::request("BREW", "/livez", &[], b"")).await;
        let text = scraped(&scene).await.text();
        assert!(
            text.contains("sprongus_http_request_seconds_count{method=\"\",route=\"\",status=\"404\"} 1"),
            "{text}"
        );
        assert!(!text.contains("such") && !text.contains("BREW"), "{text}");
    });
}

#[test]
fn a_listener_of_its_own_has_figures_and_nothing_else() {
    play(async || {
        let scene = Scene::new().await;
        scene.enqueue("mine").await;
        let address = scene.metrics().await;
        let get = async |path: &str, headers: &[(&str, &str)]| {
            let headers: Vec<_> = headers.iter().copied().chain([OPENMETRICS]).collect();
            raw::bytes(address, &raw::of_host("GET", path, &headers, b"")).await
        };
        let local = ("Host", "127.0.0.1");
        let reply = get("/metrics", &[local]).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert!(reply.text().contains("kind=\"mine\""), "{}", reply.text());
        for path in ["/", "/livez", "/v1/runs", "/login", "/openapi.json", "/metrics/"] {
            let bearer = format!("Bearer {}", scene.all);
            get(path, &[local, ("Authorization", &bearer)]).await.refuses(404, "not_found");
        }
        let post = raw::of_host("POST", "/metrics", &[local], b"");
        raw::bytes(address, &post).await.refuses(405, "method_not_allowed");
        get("/metrics", &[("Host", "evil.example")]).await.refuses(421, "misdirected");
        get("/metrics", &[]).await.refuses(400, "malformed");
    });
}
