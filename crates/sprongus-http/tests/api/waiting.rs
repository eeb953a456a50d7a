//! Tokens that are revoked or expire while a call of theirs waits, and how many calls of one may wait.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sprongus_core::values::names::WorkspaceId;
use sprongus_core::workspace::token::{NewToken, Scope};
use sprongus_core::{Admin, Caller};
use sprongus_http::server::Options;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::raw::{self, Reply};
use crate::scene::{Scene, play, until};

/// Longer than any test waits for an answer.
const LONG: u64 = 60_000;

fn admin(scene: &Scene) -> Arc<dyn Admin> {
    scene.service.admin(Caller::new(WorkspaceId::local(), "tester"))
}

async fn token(scene: &Scene, expires_in: Option<Duration>) -> (String, String) {
    let scopes = vec![Scope::Read, Scope::Work];
    let new = NewToken { name: "leaver".to_owned(), scopes, projects: None, expires_in };
    let made = admin(scene).create_token(new).await.unwrap();
    (made.token.id.to_string(), made.secret.expose().to_owned())
}

async fn revoke(scene: &Scene, id: &str) {
    scene.ask(&scene.all, "DELETE", &format!("/v1/tokens/{id}"), None).await.is(200);
}

fn asking(
    scene: &Arc<Scene>,
    token: &str,
    method: &'static str,
    path: String,
    body: Option<Value>,
) -> JoinHandle<Reply> {
    let (scene, token) = (Arc::clone(scene), token.to_owned());
    tokio::spawn(async move { scene.ask(&token, method, &path, body).await })
}

fn claim(name: Option<&str>) -> Option<Value> {
    Some(json!({"workerId": "leaver", "limit": 5, "waitMs": LONG, "claimId": name}))
}

/// The run is queued as it was, and another worker gets it in its first attempt.
async fn is_free(scene: &Scene, id: &str) {
    let run = scene.get(&format!("/v1/runs/{id}")).await.is(200);
    assert_eq!((&run["state"], &run["attempt"]), (&json!("queued"), &json!(0)), "{run}");
    let claimed = scene.post("/v1/runs:claim", json!({"workerId": "other", "limit": 5})).await.is(200);
    assert_eq!(
        (&claimed["data"][0]["id"], &claimed["data"][0]["attempt"]),
        (&json!(id), &json!(1)),
        "{claimed}"
    );
}

#[test]
fn a_claim_whose_token_is_revoked_while_it_waits_gets_nothing() {
    play(|| async {
        for name in [None, Some("c-1")] {
            let scene = Arc::new(Scene::in_memory().await);
            let (id, token) = token(&scene, None).await;
            let waiting = asking(&scene, &token, "POST", "/v1/runs:claim".to_owned(), claim(name));
            scene.until_waiting(1).await;
            revoke(&scene, &id).await;
            let run = scene.enqueue("a").await;
            waiting.await.unwrap().refuses(401, "unauthenticated");
            is_free(&scene, &run).await;
        }
    });
}

#[test]
fn a_claim_whose_token_expires_while_it_waits_gets_nothing() {
    play(|| async {
        let scene = Arc::new(Scene::in_memory().await);
        let (_, token) = token(&scene, Some(Duration::from_secs(60))).await;
        let waiting = asking(&scene, &token, "POST", "/v1/runs:claim".to_owned(), claim(None));
        scene.until_waiting(1).await;
        scene.turn(Duration::from_secs(61));
        let run = scene.enqueue("a").await;
        waiting.await.unwrap().refuses(401, "unauthenticated");
        is_free(&scene, &run).await;
    });
}

#[test]
fn a_claim_that_waited_in_vain_is_refused_too() {
    play(|| async {
        let mut scene = Scene::in_memory().await;
        let (id, token) = token(&scene, None).await;
        let bearer = format!("Bearer {token}");
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
        let body = claim(None).unwrap().to_string();
        let (address, request) =
            (scene.address, raw::request("POST", "/v1/runs:claim", &headers, body.as_bytes()));
        let waiting = tokio::spawn(async move { raw::bytes(address, &request).await });
        scene.until_waiting(1).await;
        revoke(&scene, &id).await;
        scene.stop().await;
        waiting.await.unwrap().refuses(401, "unauthenticated");
    });
}

#[test]
fn news_are_not_sent_to_a_token_that_was_revoked_meanwhile() {
    play(|| async {
        let scene = Arc::new(Scene::in_memory().await);
        let run = scene.enqueue("a").await;
        let (id, token) = token(&scene, None).await;
        let path = format!("/v1/runs/{run}/news?events=1&waitMs={LONG}");
        let waiting = asking(&scene, &token, "GET", path, None);
        scene.until_waiting(1).await;
        revoke(&scene, &id).await;
        scene.ask(&scene.all, "POST", &format!("/v1/runs/{run}:cancel"), None).await.is(200);
        let reply = waiting.await.unwrap();
        reply.refuses(401, "unauthenticated");
        assert!(!reply.text().contains("canceled"));
    });
}

#[test]
fn streams_end_when_their_token_is_revoked_and_send_nothing_more() {
    play(|| async {
        let scene = Arc::new(Scene::new().await);
        for is_of_run in [false, true] {
            let run = scene.enqueue("a").await;
            let path = if is_of_run { format!("/v1/runs/{run}/stream") } else { "/v1/stream".to_owned() };
            let (id, token) = token(&scene, None).await;
            let bearer = format!("Bearer {token}");
            let request = raw::request("GET", &path, &[("Authorization", &bearer)], b"");
            let stream = raw::begun(scene.address, &request, "event: start").await;
            revoke(&scene, &id).await;
            scene.enqueue("unseen").await;
            scene.ask(&scene.all, "POST", &format!("/v1/runs/{run}:cancel"), None).await.is(200);
            let sent = String::from_utf8(raw::rest(stream).await).unwrap();
            assert!(!sent.contains("unseen") && !sent.contains("run.canceled"), "{sent}");
        }
    });
}

#[test]
fn a_file_whose_token_is_revoked_while_it_comes_is_not_kept() {
    play(|| async {
        let scene = Arc::new(Scene::new().await);
        let (id, token) = token(&scene, None).await;
        scene.enqueue("a").await;
        let body = json!({"workerId": "leaver", "limit": 1});
        let claimed = scene.ask(&token, "POST", "/v1/runs:claim", Some(body)).await.is(200);
        let run = claimed["data"][0]["id"].as_str().unwrap();
        let hold = claimed["data"][0]["lease"]["token"].as_str().unwrap_or("none");
        let head = format!(
            "PUT /v1/runs/{run}/artifacts/f?workerId=leaver&epoch=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Authorization: Bearer {token}\r\nSprongus-Lease-Token: {hold}\r\nContent-Length: 8\r\n\
             Expect: 100-continue\r\n\r\n"
        );
        // The server asks for the body when the token was found good.
        let mut stream = raw::begun(scene.address, head.as_bytes(), raw::CONTINUE).await;
        stream.write_all(b"half").await.unwrap();
        revoke(&scene, &id).await;
        stream.write_all(b"rest").await.unwrap();
        raw::parse(&raw::rest(stream).await).refuses(401, "unauthenticated");
        let kept = scene.get(&format!("/v1/runs/{run}/artifacts")).await.is(200);
        assert_eq!(kept["data"], json!([]), "{kept}");
    });
}

#[test]
fn one_token_does_not_use_up_the_limit_on_waiting_requests() {
    play(|| async {
        let options = Options { connections: 40, rate_limit: None, ..Options::default() };
        let scene = Scene::with(options).await;
        let (_, greedy) = token(&scene, None).await;
        let mut held = Vec::new();
        for _ in 0..10 {
            let mut stream = TcpStream::connect(scene.address).await.unwrap();
            let head = format!(
                "GET /v1/stream HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {greedy}\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            let mut first = [0; 12];
            stream.read_exact(&mut first).await.unwrap();
            assert_eq!(&first, b"HTTP/1.1 200");
            held.push(stream);
        }
        let run = scene.enqueue("a").await;
        for path in ["/v1/stream".to_owned(), format!("/v1/runs/{run}/news?waitMs=1")] {
            let refused = scene.ask(&greedy, "GET", &path, None).await;
            refused.refuses(429, "rate_limited");
            assert!(refused.header("retry-after").is_some());
        }
        scene.ask(&greedy, "POST", "/v1/runs:claim", claim(None)).await.refuses(429, "rate_limited");
        scene.ask(&greedy, "GET", &format!("/v1/runs/{run}/news"), None).await.is(200);
        let other = scene.post("/v1/runs:claim", json!({"workerId": "w", "limit": 1, "waitMs": 100})).await;
        assert_eq!(other.is(200)["data"][0]["id"], run);
        drop(held);
        let news = format!("/v1/runs/{run}/news?waitMs=1");
        until("a request may wait again", async || {
            scene.ask(&greedy, "GET", &news, None).await.status == 200
        })
        .await;
    });
}
