//! Rates, connections, and clients who are slow on purpose.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use sprongus_core::workspace::token::Scope;
use sprongus_http::server::{Options, RateLimit};
use tokio::io::AsyncWriteExt;
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
fn slow_clients_are_cut_off_after_the_timeout_and_not_before() {
    play(|| async {
        let patience = Duration::from_millis(500);
        let scene = Scene::with(Options { patience, ..Options::default() }).await;
        let bearer = format!("Bearer {}", scene.all);
        let began = Instant::now();
        let mut stream = TcpStream::connect(scene.address).await.unwrap();
        let head = format!(
            "POST /v1/runs HTTP/1.1\r\nHost: localhost\r\nAuthorization: {bearer}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{{"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let reply = raw::parse(&raw::rest(stream).await);
        assert_eq!((reply.status, &reply.json()["code"]), (408, &json!("timed_out")));
        assert!(began.elapsed() >= patience, "the body was waited for: {:?}", began.elapsed());

        // A head that never ends is waited for as long, and one that comes in time is answered.
        let began = Instant::now();
        let mut stream = TcpStream::connect(scene.address).await.unwrap();
        stream.write_all(b"GET /livez HTTP/1.1\r\nHost: local").await.unwrap();
        let answer = raw::rest(stream).await;
        assert!(began.elapsed() >= patience, "the head was waited for: {:?}", began.elapsed());
        assert_eq!(String::from_utf8_lossy(&answer), "", "no answer to half a request");
        raw::bytes(scene.address, &raw::request("GET", "/livez", &[], b"")).await.is(200);
    });
}

#[test]
fn one_connection_too_many_waits_for_its_turn() {
    play(|| async {
        let scene = Scene::with(Options { connections: 2, ..Options::default() }).await;
        // A connection that was answered is one that the server has taken in.
        let livez = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
        let held = [
            raw::begun(scene.address, livez, "HTTP/1.1 200 OK").await,
            raw::begun(scene.address, livez, "HTTP/1.1 200 OK").await,
        ];
        let is_room = Arc::new(AtomicBool::new(false));
        let (address, when) = (scene.address, Arc::clone(&is_room));
        let third = tokio::spawn(async move {
            let reply = raw::bytes(address, &raw::request("GET", "/livez", &[], b"")).await;
            (reply, when.load(Ordering::SeqCst))
        });
        // The two that are in are served meanwhile.
        let mut held = held.into_iter().collect::<Vec<_>>();
        for _ in 0..50 {
            for stream in &mut held {
                stream.write_all(livez).await.unwrap();
                raw::until_sent(stream, "HTTP/1.1 200 OK").await;
            }
        }
        assert!(!third.is_finished());
        is_room.store(true, Ordering::SeqCst);
        drop(held);
        let (reply, was_room) = third.await.unwrap();
        reply.is(200);
        assert!(was_room, "it was answered before there was room");
    });
}
