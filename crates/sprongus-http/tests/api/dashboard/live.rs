//! Pages kept fresh. How soon an event arrives is tested beside the code (`screens/live.rs`).

use std::net::SocketAddr;

use serde_json::{Value, json};
use sprongus_core::workspace::token::Scope;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::browser::Browser;
use crate::raw;
use crate::scene::{PATIENCE, Scene, play, until};

/// A page that is kept fresh.
pub struct Live {
    stream: TcpStream,
    heard: String,
}

impl Live {
    pub async fn open(server: SocketAddr, cookie: &str, path: &str) -> Self {
        let mut stream = TcpStream::connect(server).await.unwrap();
        stream.write_all(&raw::request("GET", path, &[("Cookie", cookie)], b"")).await.unwrap();
        Self { stream, heard: String::new() }
    }

    /// Waits until something is heard.
    pub async fn hears(&mut self, what: &str) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let mut buffer = vec![0; 64 * 1024];
        while !self.heard.contains(what) {
            let read = tokio::time::timeout_at(deadline, self.stream.read(&mut buffer)).await;
            let size = read.unwrap_or_else(|_| panic!("{what:?} is not in {}", self.heard)).unwrap();
            assert!(size > 0, "it ended without {what:?}: {}", self.heard);
            self.heard.push_str(&String::from_utf8_lossy(&buffer[..size]));
        }
    }

    /// What was heard so far is forgotten.
    pub fn forget(&mut self) {
        self.heard.clear();
    }
}

#[test]
fn what_has_changed_arrives_and_nothing_else_does() {
    play(|| async {
        let scene = Scene::new().await;
        scene.enqueue("first.kind").await;
        let browser = Browser::of(&scene, &scene.all).await;
        for (path, id) in [
            ("/live/overview", "tiles"),
            ("/live/runs", "runs"),
            ("/live/kinds", "kinds"),
            ("/live/audit?what=asked", "audit"),
        ] {
            let mut live = Live::open(scene.address, &browser.cookie, path).await;
            live.hears(&format!("\"id\":\"{id}\"")).await;
            live.forget();
            let kind = format!("kind.of.{id}");
            scene.enqueue(&kind).await;
            live.hears(if path == "/live/overview" { "\"id\":\"tiles\"" } else { &kind }).await;
            if path == "/live/overview" {
                live.hears(&kind).await;
                assert!(
                    !live.heard.contains("\"id\":\"workers\""),
                    "what has not changed is not sent: {}",
                    live.heard
                );
            }
        }
    });
}

#[test]
fn a_run_and_its_log_grow_on_the_page() {
    play(|| async {
        let scene = Scene::new().await;
        let id = scene.held("a").await;
        let line =
            |text: &str| json!({"workerId": "w", "epoch": 1, "lines": [{"stream": "stdout", "text": text}]});
        scene.post(&format!("/v1/runs/{id}:log"), line("before")).await.is(200);
        let browser = Browser::of(&scene, &scene.all).await;
        let mut live = Live::open(scene.address, &browser.cookie, &format!("/live/runs/{id}?after=1")).await;
        live.hears("\"id\":\"head\"").await;
        assert!(!live.heard.contains("before"), "the page has it: {}", live.heard);
        scene.post(&format!("/v1/runs/{id}:log"), line("<b>after</b>")).await.is(200);
        live.hears("event: log").await;
        live.hears("&lt;b&gt;after").await;
        live.forget();
        scene.post(&format!("/v1/runs/{id}:succeed"), json!({"workerId": "w", "epoch": 1})).await.is(200);
        live.hears("Succeeded").await;
    });
}

#[test]
fn a_page_whose_session_has_ended_is_signed_out() {
    play(|| async {
        let scene = Scene::new().await;
        let token = scene.token("default", "guest", &[Scope::Read]).await;
        let guest = Browser::of(&scene, &token).await;
        let mut live = Live::open(scene.address, &guest.cookie, "/live/overview").await;
        live.hears("\"id\":\"tiles\"").await;
        let all = scene.get("/v1/tokens").await.is(200);
        let id = all["data"]
            .as_array()
            .unwrap()
            .iter()
            .find(|it| it["name"] == "guest")
            .map(|it: &Value| it["id"].clone())
            .unwrap();
        scene.ask(&scene.all, "DELETE", &format!("/v1/tokens/{}", id.as_str().unwrap()), None).await.is(200);
        scene.enqueue("a").await;
        live.hears("event: signed-out").await;
        let nobody = raw::bytes(scene.address, &raw::request("GET", "/live/overview", &[], b"")).await;
        assert!(nobody.text().contains("event: signed-out"), "{}", nobody.text());
    });
}

#[test]
fn viewers_are_bounded_by_token_and_in_all_and_make_room_when_they_leave() {
    play(|| async {
        let scene = Scene::new().await;
        let mut viewers = Vec::new();
        for name in ["greedy", "second", "third", "fourth"] {
            let token = scene.token("default", name, &[Scope::Read]).await;
            let browser = Browser::of(&scene, &token).await;
            let mut own = Vec::new();
            for _ in 0..64 {
                own.push(Live::open(scene.address, &browser.cookie, "/live/kinds").await);
            }
            for viewer in &mut own {
                viewer.hears("text/event-stream").await;
            }
            viewers.extend(own);
            // Another session of the same token is the same token.
            let refused = Browser::of(&scene, &token).await.ask("/live/kinds").await;
            assert_eq!(refused.status, 429, "one token does not take them all");
            assert!(refused.header("retry-after").is_some());
        }
        let browser = Browser::of(&scene, &scene.all).await;
        let refused = browser.ask("/live/kinds").await;
        assert_eq!(refused.status, 503);
        assert!(refused.header("retry-after").is_some());
        assert_eq!(browser.ask("/kinds").await.status, 200, "the page itself is there");
        drop(viewers);
        until("there is room for one more", async || {
            let mut live = Live::open(scene.address, &browser.cookie, "/live/kinds").await;
            live.hears("\r\n").await;
            live.heard.starts_with("HTTP/1.1 200 OK")
        })
        .await;
    });
}
