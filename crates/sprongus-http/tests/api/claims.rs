//! Claims that wait, and claims whose client has gone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::raw;
use crate::scene::{Scene, play};

fn waiting(worker: &str, wait_ms: u64) -> Value {
    json!({"workerId": worker, "limit": 1, "waitMs": wait_ms})
}

#[test]
fn a_waiting_claim_gets_what_comes_and_ends_when_nothing_does() {
    play(|| async {
        let scene = Arc::new(Scene::new().await);
        let began = Instant::now();
        assert_eq!(scene.post("/v1/runs:claim", waiting("w", 300)).await.is(200)["data"], json!([]));
        assert!((250..2_000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
        let claiming = {
            let scene = Arc::clone(&scene);
            tokio::spawn(
                async move { (scene.post("/v1/runs:claim", waiting("w", 20_000)).await, Instant::now()) },
            )
        };
        tokio::time::sleep(Duration::from_millis(200)).await;
        let enqueued = Instant::now();
        let id = scene.enqueue("a").await;
        let (reply, claimed) = claiming.await.unwrap();
        assert_eq!(reply.is(200)["data"][0]["id"], id);
        assert!(claimed.duration_since(enqueued) < Duration::from_secs(1));
    });
}

#[test]
fn many_who_wait_each_get_one_run() {
    play(|| async {
        let scene = Arc::new(Scene::new().await);
        let waiters = (0..20).map(|n| {
            let scene = Arc::clone(&scene);
            tokio::spawn(async move { scene.post("/v1/runs:claim", waiting(&format!("w{n}"), 15_000)).await })
        });
        let waiters: Vec<_> = waiters.collect();
        tokio::time::sleep(Duration::from_millis(300)).await;
        let runs = vec![json!({"kind": "a"}); 20];
        scene.post("/v1/runs:batch", json!({"runs": runs})).await.is(201);
        let began = Instant::now();
        let mut ids = Vec::new();
        for waiter in waiters {
            let claimed = waiter.await.unwrap().is(200);
            ids.push(claimed["data"][0]["id"].as_str().unwrap().to_owned());
        }
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 20, "each a run of his own");
    });
}

#[test]
fn the_same_claim_again_gives_the_same_runs() {
    play(|| async {
        let scene = Scene::new().await;
        for _ in 0..3 {
            scene.enqueue("a").await;
        }
        let claim = json!({"workerId": "w", "limit": 2, "claimId": "c-1"});
        let first = scene.post("/v1/runs:claim", claim.clone()).await.is(200);
        let again = scene.post("/v1/runs:claim", claim).await.is(200);
        let ids = |answer: &Value| {
            answer["data"].as_array().unwrap().iter().map(|run| run["id"].clone()).collect::<Vec<_>>()
        };
        assert_eq!((ids(&first).len(), ids(&first)), (2, ids(&again)));
    });
}

#[test]
fn a_claim_that_is_repeated_while_it_waits_takes_nothing_behind_ones_back() {
    play(|| async {
        let scene = Arc::new(Scene::new().await);
        let named = |wait_ms: u64| json!({"workerId": "w", "limit": 1, "claimId": "c", "waitMs": wait_ms});
        let first = {
            let (scene, body) = (Arc::clone(&scene), named(30_000));
            tokio::spawn(async move { scene.post("/v1/runs:claim", body).await })
        };
        tokio::time::sleep(Duration::from_millis(300)).await;
        // As a worker that is told to stop does: it gives the first up, and asks once more under its name.
        let began = Instant::now();
        assert_eq!(scene.post("/v1/runs:claim", named(0)).await.is(200)["data"], json!([]));
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        assert_eq!(first.await.unwrap().is(200)["data"], json!([]), "it has given way");
        let id = scene.enqueue("a").await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(scene.get(&format!("/v1/runs/{id}")).await.is(200)["state"], "queued");
    });
}

#[test]
fn what_a_client_that_hung_up_was_given_goes_back() {
    play(|| async {
        let scene = Scene::new().await;
        let bearer = format!("Bearer {}", scene.all);
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
        let body = waiting("gone", 30_000).to_string();
        let mut stream = TcpStream::connect(scene.address).await.unwrap();
        stream.write_all(&raw::request("POST", "/v1/runs:claim", &headers, body.as_bytes())).await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        drop(stream);
        let id = scene.enqueue("a").await;
        // Either nobody took it any more, or it went back, its attempt with it.
        let began = Instant::now();
        loop {
            let claimed = scene.post("/v1/runs:claim", waiting("w", 1_000)).await.is(200);
            if claimed["data"][0]["id"] == id {
                assert_eq!(claimed["data"][0]["attempt"], 1, "the attempt was given back");
                break;
            }
            assert!(began.elapsed() < Duration::from_secs(10), "the run is held by nobody");
        }
    });
}

#[test]
fn a_server_that_stops_answers_those_who_wait() {
    play(|| async {
        let mut scene = Scene::new().await;
        let (address, token) = (scene.address, scene.all.clone());
        let claiming = tokio::spawn(async move {
            let bearer = format!("Bearer {token}");
            let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
            let body = waiting("w", 30_000).to_string();
            raw::bytes(address, &raw::request("POST", "/v1/runs:claim", &headers, body.as_bytes())).await
        });
        tokio::time::sleep(Duration::from_millis(300)).await;
        let began = Instant::now();
        scene.stop().await;
        assert_eq!(claiming.await.unwrap().is(200)["data"], json!([]));
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    });
}
