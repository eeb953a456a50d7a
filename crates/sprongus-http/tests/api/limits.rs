//! Rates, connections, and clients who are slow on purpose.

use std::time::{Duration, Instant};

use serde_json::json;
use sprongus_core::workspace::token::Scope;
use sprongus_http::server::{Options, RateLimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::raw;
use crate::scene::{Scene, play};

#[test]
fn a_token_has_a_rate_and_a_worker_has_none() {
    play(|| async {
        let limit = RateLimit { per_second: 1.0, burst: 5.0 };
        let scene = Scene::with(Options { rate_limit: Some(limit), ..Options::default() }).await;
        let first = scene.post("/v1/runs", json!({"kind": "a"})).await;
        let id = first.is(201)["id"].as_str().unwrap().to_owned();
        assert_eq!(first.header("ratelimit-policy"), Some("\"default\";q=5;w=5"));
        assert_eq!(first.header("ratelimit"), Some("\"default\";r=4;t=1"));
        for _ in 0..4 {
            scene.post("/v1/runs", json!({"kind": "a"})).await.is(201);
        }
        let refused = scene.post("/v1/runs", json!({"kind": "a"})).await;
        assert_eq!(refused.refuses(429, "rate_limited")["retryable"], true);
        assert_eq!(refused.header("retry-after"), Some("1"));
        for path in [
            format!("/v1/runs/{id}:cancel"),
            format!("/v1/runs/{id}:retry"),
            format!("/runner-jobs/{id}/cancel"),
        ] {
            scene.ask(&scene.all, "POST", &path, None).await.refuses(429, "rate_limited");
        }
        for n in 0..20 {
            let claim = json!({"workerId": format!("w{n}"), "limit": 1});
            scene.post("/v1/runs:claim", claim).await.is(200);
        }
        scene.get("/v1/runs").await.is(200);
        let other = scene.token("default", "other", &[Scope::Write]).await;
        scene.ask(&other, "POST", "/v1/runs", Some(json!({"kind": "a"}))).await.is(201);
        let batch = json!({"runs": vec![json!({"kind": "a"}); 50]});
        scene.ask(&other, "POST", "/v1/runs:batch", Some(batch.clone())).await.is(201);
        let refused = scene.ask(&other, "POST", "/v1/runs:batch", Some(batch)).await;
        refused.refuses(429, "rate_limited");
        let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((40..=50).contains(&wait), "the batch went below zero: {wait}");
    });
}

#[test]
fn those_who_send_slowly_are_cut_off() {
    play(|| async {
        let patience = Duration::from_millis(500);
        let scene = Scene::with(Options { patience, ..Options::default() }).await;
        let bearer = format!("Bearer {}", scene.all);
        let mut stream = TcpStream::connect(scene.address).await.unwrap();
        let head = format!(
            "POST /v1/runs HTTP/1.1\r\nHost: localhost\r\nAuthorization: {bearer}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{{"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let reply = raw::parse(&answer);
        assert_eq!((reply.status, &reply.json()["code"]), (408, &json!("timed_out")));

        let mut stream = TcpStream::connect(scene.address).await.unwrap();
        stream.write_all(b"GET /livez HTTP/1.1\r\nHos").await.unwrap();
        let began = Instant::now();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert!(began.elapsed() < Duration::from_secs(5), "a head that never ends");
    });
}

#[test]
fn one_connection_too_many_waits_for_its_turn() {
    play(|| async {
        let scene = Scene::with(Options { connections: 2, ..Options::default() }).await;
        let held = [
            TcpStream::connect(scene.address).await.unwrap(),
            TcpStream::connect(scene.address).await.unwrap(),
        ];
        tokio::time::sleep(Duration::from_millis(100)).await;
        let address = scene.address;
        let third =
            tokio::spawn(async move { raw::bytes(address, &raw::request("GET", "/livez", &[], b"")).await });
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(!third.is_finished());
        drop(held);
        third.await.unwrap().is(200);
    });
}
