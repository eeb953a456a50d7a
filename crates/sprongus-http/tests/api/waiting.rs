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

use crate::raw::Reply;
use crate::scene::{Scene, play};

/// Long enough for a call to have begun to wait.
const BEGUN: Duration = Duration::from_millis(400);

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
    Some(json!({"workerId": "leaver", "limit": 5, "waitMs": 15_000, "claimId": name}))
}

/// The run is queued as it was, and somebody else gets it in its first attempt.
async fn is_free_again(scene: &Scene, id: &str) {
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
            let scene = Arc::new(Scene::new().await);
            let (id, token) = token(&scene, None).await;
            let waiting = asking(&scene, &token, "POST", "/v1/runs:claim".to_owned(), claim(name));
            tokio::time::sleep(BEGUN).await;
            revoke(&scene, &id).await;
            let run = scene.enqueue("a").await;
            waiting.await.unwrap().refuses(401, "unauthenticated");
            is_free_again(&scene, &run).await;
        }
    });
}

#[test]
fn a_claim_whose_token_expires_while_it_waits_gets_nothing() {
    play(|| async {
        let scene = Arc::new(Scene::new().await);
        let (_, token) = token(&scene, Some(Duration::from_millis(1_500))).await;
        let waiting = asking(&scene, &token, "POST", "/v1/runs:claim".to_owned(), claim(None));
        tokio::time::sleep(Duration::from_millis(2_000)).await;
        let run = scene.enqueue("a").await;
        waiting.await.unwrap().refuses(401, "unauthenticated");
        is_free_again(&scene, &run).await;
    });
}

#[test]
fn a_claim_that_waited_in_vain_is_told_too() {
    play(|| async {
        let scene = Arc::new(Scene::new().await);
        let (id, token) = token(&scene, None).await;
        let body = Some(json!({"workerId": "leaver", "limit": 1, "waitMs": 1_500}));
        let waiting = asking(&scene, &token, "POST", "/v1/runs:claim".to_owned(), body);
        tokio::time::sleep(BEGUN).await;
        revoke(&scene, &id).await;
        waiting.await.unwrap().refuses(401, "unauthenticated");
    });
}

#[test]
fn news_are_not_told_to_a_token_that_was_revoked_meanwhile() {
    play(|| async {
        let scene = Arc::new(Scene::new().await);
        let run = scene.enqueue("a").await;
        let (id, token) = token(&scene, None).await;
        let path = format!("/v1/runs/{run}/news?events=1&waitMs=15000");
        let waiting = asking(&scene, &token, "GET", path, None);
        tokio::time::sleep(BEGUN).await;
        revoke(&scene, &id).await;
        scene.ask(&scene.all, "POST", &format!("/v1/runs/{run}:cancel"), None).await.is(200);
        let reply = waiting.await.unwrap();
        reply.refuses(401, "unauthenticated");
        assert!(!reply.text().contains("canceled"));
    });
}

#[test]
fn streams_end_when_their_token_is_revoked_and_tell_nothing_more() {
    play(|| async {
        let scene = Arc::new(Scene::new().await);
        for is_of_run in [false, true] {
            let run = scene.enqueue("a").await;
            let path = if is_of_run { format!("/v1/runs/{run}/stream") } else { "/v1/stream".to_owned() };
            let (id, token) = token(&scene, None).await;
            let waiting = asking(&scene, &token, "GET", path, None);
            tokio::time::sleep(BEGUN).await;
            revoke(&scene, &id).await;
            scene.enqueue("unseen").await;
            scene.ask(&scene.all, "POST", &format!("/v1/runs/{run}:cancel"), None).await.is(200);
            let told = waiting.await.unwrap().text();
            assert!(!told.contains("unseen") && !told.contains("run.canceled"), "{told}");
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
        let mut stream = TcpStream::connect(scene.address).await.unwrap();
        let head = format!(
            "PUT /v1/runs/{run}/artifacts/f?workerId=leaver&epoch=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Authorization: Bearer {token}\r\nSprongus-Lease-Token: {hold}\r\nContent-Length: 8\r\n\r\nhalf"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        tokio::time::sleep(BEGUN).await;
        revoke(&scene, &id).await;
        stream.write_all(b"rest").await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        crate::raw::parse(&answer).refuses(401, "unauthenticated");
        let kept = scene.get(&format!("/v1/runs/{run}/artifacts")).await.is(200);
        assert_eq!(kept["data"], json!([]), "{kept}");
    });
}

#[test]
fn one_token_does_not_take_every_place_of_those_who_wait() {
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
        let mut tries = 0;
        while scene.ask(&greedy, "GET", &format!("/v1/runs/{run}/news?waitMs=1"), None).await.status != 200 {
            tries += 1;
            assert!(tries < 200, "no place became free");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
}
