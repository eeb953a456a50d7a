//! Claims that wait, and claims whose client has gone. That a call waits is known from the store; no clock of ours says it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::raw;
use crate::scene::{Scene, play};

/// Longer than any test waits for an answer.
const LONG: u64 = 60_000;

fn waiting(worker: &str, wait_ms: u64) -> Value {
    json!({"workerId": worker, "limit": 1, "waitMs": wait_ms})
}

/// The bytes of a claim.
fn request(scene: &Scene, body: &Value) -> Vec<u8> {
    let bearer = format!("Bearer {}", scene.all);
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    raw::request("POST", "/v1/runs:claim", &headers, body.to_string().as_bytes())
}

#[test]
fn a_waiting_claim_gets_what_comes_and_ends_when_nothing_does() {
    play(|| async {
        let scene = Arc::new(Scene::in_memory().await);
        let began = Instant::now();
        assert_eq!(scene.post("/v1/runs:claim", waiting("w", 300)).await.is(200)["data"], json!([]));
        assert!(began.elapsed() >= Duration::from_millis(300), "{:?}", began.elapsed());
        let claiming = {
            let scene = Arc::clone(&scene);
            tokio::spawn(async move { scene.post("/v1/runs:claim", waiting("w", LONG)).await })
        };
        scene.until_waiting(1).await;
        let id = scene.enqueue("a").await;
        assert_eq!(claiming.await.unwrap().is(200)["data"][0]["id"], id);
    });
}

#[test]
fn many_who_wait_each_get_one_run() {
    play(|| async {
        let scene = Arc::new(Scene::in_memory().await);
        let waiters = (0..20).map(|n| {
            let scene = Arc::clone(&scene);
            tokio::spawn(async move { scene.post("/v1/runs:claim", waiting(&format!("w{n}"), LONG)).await })
        });
        let waiters: Vec<_> = waiters.collect();
        scene.until_connected(20).await;
        scene.until_waiting(1).await;
        let runs = vec![json!({"kind": "a"}); 20];
        scene.post("/v1/runs:batch", json!({"runs": runs})).await.is(201);
        let mut ids = Vec::new();
        for waiter in waiters {
            let claimed = waiter.await.unwrap().is(200);
            ids.push(claimed["data"][0]["id"].as_str().unwrap().to_owned());
        }
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 20, "each a run of its own");
    });
}

#[test]
fn a_repeated_claim_gives_the_same_runs() {
    play(|| async {
        let scene = Scene::new().await;
        for _ in 0..3 {
            scene.enqueue("a").await;
        }
        let claim = json!({"workerId": "w", "limit": 2, "claimId": "c-1"});
        let first = scene.post("/v1/runs:claim", claim.clone()).await.is(200);
        let repeated = scene.post("/v1/runs:claim", claim).await.is(200);
        let ids = |answer: &Value| {
            answer["data"].as_array().unwrap().iter().map(|run| run["id"].clone()).collect::<Vec<_>>()
        };
        assert_eq!((ids(&first).len(), ids(&first)), (2, ids(&repeated)));
    });
}

#[test]
fn a_claim_that_is_repeated_while_it_waits_ends_and_takes_nothing_later() {
    play(|| async {
        let scene = Arc::new(Scene::in_memory().await);
        let named = |wait_ms: u64| json!({"workerId": "w", "limit": 1, "claimId": "c", "waitMs": wait_ms});
        let first = {
            let (scene, body) = (Arc::clone(&scene), named(LONG));
            tokio::spawn(async move { scene.post("/v1/runs:claim", body).await })
        };
        scene.until_waiting(1).await;
        // As a worker that stops does: it gives the first up, and repeats it without a wait.
        assert_eq!(scene.post("/v1/runs:claim", named(0)).await.is(200)["data"], json!([]));
        assert_eq!(first.await.unwrap().is(200)["data"], json!([]), "it was superseded");
        scene.until_alone().await;
        let id = scene.enqueue("a").await;
        let claimed = scene.post("/v1/runs:claim", waiting("other", LONG)).await.is(200);
        assert_eq!((&claimed["data"][0]["id"], &claimed["data"][0]["epoch"]), (&json!(id), &json!(1)));
    });
}

#[test]
fn a_claim_whose_client_hung_up_keeps_no_run() {
    play(|| async {
        let scene = Scene::in_memory().await;
        let mut stream = TcpStream::connect(scene.address).await.unwrap();
        stream.write_all(&request(&scene, &waiting("gone", LONG))).await.unwrap();
        scene.until_waiting(1).await;
        drop(stream);
        scene.until_alone().await;
        let id = scene.enqueue("a").await;
        // Either it was not claimed any more, or it was released, its attempt with it.
        let claimed = scene.post("/v1/runs:claim", waiting("w", LONG)).await.is(200);
        assert_eq!((&claimed["data"][0]["id"], &claimed["data"][0]["attempt"]), (&json!(id), &json!(1)));
    });
}

#[test]
fn a_server_that_stops_answers_claims_that_wait() {
    play(|| async {
        let mut scene = Scene::in_memory().await;
        let (address, claim) = (scene.address, request(&scene, &waiting("w", LONG)));
        let claiming = tokio::spawn(async move { raw::bytes(address, &claim).await });
        scene.until_waiting(1).await;
        scene.stop().await;
        // One that was not answered would have been cut off after the ten seconds of grace.
        assert_eq!(claiming.await.unwrap().is(200)["data"], json!([]));
    });
}
