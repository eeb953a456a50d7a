//! Streams: everything once, in order, across reconnects, restarts and servers.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use sprongus_core::workspace::token::Scope;
use sprongus_http::server::Options;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::raw;
use crate::scene::{PATIENCE, Scene, play};

/// One message of a stream.
#[derive(Clone, Debug, PartialEq)]
struct Message {
    name: String,
    id: String,
    data: Value,
}

/// A client of a stream.
struct Listener {
    reader: BufReader<TcpStream>,
    last: String,
}

impl Listener {
    async fn open(server: SocketAddr, token: &str, path: &str, last: Option<&str>) -> Self {
        let mut stream = TcpStream::connect(server).await.unwrap();
        let last_header = last.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n{last_header}\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).await.unwrap();
        assert!(line.contains(" 200 "), "{line}");
        while line != "\r\n" {
            line.clear();
            reader.read_line(&mut line).await.unwrap();
        }
        let mut listener = Self { reader, last: String::new() };
        let start = listener.next().await.expect("the position where it starts");
        assert_eq!((start.name.as_str(), start.data), ("start", json!({})));
        assert!(last.is_none_or(|last| start.id == last), "it starts where the client was: {}", start.id);
        listener
    }

    /// The next message; none at the end of the stream.
    async fn next(&mut self) -> Option<Message> {
        let (mut name, mut data) = (String::new(), None);
        loop {
            let mut line = String::new();
            let read = tokio::time::timeout(PATIENCE, self.reader.read_line(&mut line))
                .await
                .expect("a line in time");
            if read.unwrap_or(0) == 0 {
                return None;
            }
            let line = line.trim_end();
            if let Some(text) = line.strip_prefix("event: ") {
                name = text.to_owned();
            } else if let Some(text) = line.strip_prefix("id: ") {
                self.last = text.to_owned();
            } else if let Some(text) = line.strip_prefix("data: ") {
                data = Some(serde_json::from_str(text).unwrap());
            } else if line.is_empty()
                && let Some(data) = data.take()
            {
                return Some(Message { name, id: self.last.clone(), data });
            }
        }
    }

    /// Waits for a comment, by which a stream without news shows that it is there.
    async fn sign_of_life(&mut self) {
        let mut line = String::new();
        while !line.starts_with(':') {
            line.clear();
            assert_ne!(self.reader.read_line(&mut line).await.unwrap(), 0, "the stream ended");
        }
    }

    async fn take(&mut self, count: usize) -> Vec<Message> {
        let mut taken = Vec::new();
        while taken.len() < count {
            taken.push(self.next().await.expect("a message"));
        }
        taken
    }
}

fn types(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.data["type"].as_str().unwrap_or(&message.name)).collect()
}

#[test]
fn the_stream_of_a_canceled_run_ends_with_the_run_and_not_with_the_next_sign_of_life() {
    play(|| async {
        let scene = Scene::new().await;
        let elsewhere = scene.token("other", "quiet", &[Scope::Read]).await;
        for is_held in [false, true] {
            let mut quiet = Listener::open(scene.address, &elsewhere, "/v1/stream", None).await;
            let id = scene.enqueue("a").await;
            if is_held {
                scene.post("/v1/runs:claim", json!({"workerId": "w", "limit": 1})).await.is(200);
            }
            let mut listener =
                Listener::open(scene.address, &scene.all, &format!("/v1/runs/{id}/stream"), None).await;
            listener.take(if is_held { 2 } else { 1 }).await;
            scene.post(&format!("/v1/runs/{id}:cancel"), json!({})).await.is(200);
            // A stream that was there before and has no news shows when the next sign of life is due.
            let end = tokio::select! {
                biased;
                end = listener.take(2) => end,
                () = quiet.sign_of_life() => panic!("the end did not come before a sign of life"),
            };
            assert_eq!(types(&end), ["run.canceled", "end"]);
            assert_eq!((&end[1].data["state"], listener.next().await), (&json!("canceled"), None));
        }
    });
}

#[test]
fn a_run_is_followed_to_its_end_and_resumed_in_the_middle() {
    play(|| async {
        let scene = Scene::new().await;
        let id = scene.enqueue("a").await;
        let path = format!("/v1/runs/{id}/stream");
        let mut listener = Listener::open(scene.address, &scene.all, &path, None).await;
        assert_eq!(types(&listener.take(1).await), ["run.enqueued"]);
        scene.post("/v1/runs:claim", json!({"workerId": "w", "limit": 1})).await.is(200);
        assert_eq!(types(&listener.take(1).await), ["run.started"]);
        let lines = json!({"workerId": "w", "epoch": 1, "lines": [{"stream": "stdout", "text": "one"}, {"stream": "stdout", "text": "two"}]});
        scene.post(&format!("/v1/runs/{id}:log"), lines).await.is(200);
        let printed = listener.take(1).await;
        assert_eq!((printed[0].name.as_str(), &printed[0].data["text"]), ("log", &json!("one")));

        // The client leaves after the first line, and reconnects for the second.
        let mut resumed = Listener::open(scene.address, &scene.all, &path, Some(&printed[0].id)).await;
        assert_eq!(resumed.take(1).await[0].data["text"], "two");
        scene
            .post(&format!("/v1/runs/{id}:succeed"), json!({"workerId": "w", "epoch": 1, "result": 7}))
            .await
            .is(200);
        let end = resumed.take(2).await;
        assert_eq!(
            (types(&end)[0], end[1].name.as_str(), &end[1].data["result"]),
            ("run.succeeded", "end", &json!(7))
        );
        assert_eq!(resumed.next().await, None, "the stream ends with the run");
        let headers = [("Last-Event-ID", end[1].id.as_str())];
        scene.ask_with(&scene.all, "GET", &path, &headers, None).await.is(204);
    });
}

#[test]
fn a_quiet_stream_sends_its_position_so_that_nothing_is_missed_before_the_first_event() {
    play(|| async {
        let scene = Scene::new().await;
        scene.enqueue("before").await;
        let quiet = Listener::open(scene.address, &scene.all, "/v1/stream", None).await;
        let position = quiet.last.clone();
        drop(quiet);
        let missed = scene.enqueue("meanwhile").await;
        let mut resumed = Listener::open(scene.address, &scene.all, "/v1/stream", Some(&position)).await;
        assert_eq!(resumed.take(1).await[0].data["runId"], missed);
    });
}

#[test]
fn a_workspace_is_followed_across_a_restart_and_another_server() {
    play(|| async {
        let mut scene = Scene::new().await;
        scene.enqueue("before").await;
        let mut listener = Listener::open(scene.address, &scene.all, "/v1/stream", None).await;
        let first = scene.enqueue("a").await;
        let heard = listener.take(1).await;
        assert_eq!(heard[0].data["runId"], first, "what was before is not sent");
        scene.stop().await;
        assert_eq!(listener.next().await, None, "a server that stops ends its streams");
        // While it is away, things happen.
        let beside = scene.beside().await;
        scene.restart().await;
        let second = scene.enqueue("b").await;
        let third = scene.enqueue("c").await;
        let mut heard_by_both = Vec::new();
        for server in [scene.address, beside] {
            let mut listener = Listener::open(server, &scene.all, "/v1/stream", Some(&heard[0].id)).await;
            let runs: Vec<_> =
                listener.take(2).await.iter().map(|message| message.data["runId"].clone()).collect();
            assert_eq!(runs, [json!(second), json!(third)], "without a gap or a double");
            heard_by_both.push(listener);
        }
        scene.ask(&scene.all, "POST", &format!("/v1/runs/{second}:cancel"), None).await.is(200);
        let fourth = scene.enqueue("d").await;
        let mut received = Vec::new();
        for listener in &mut heard_by_both {
            let live = listener.take(2).await;
            assert_eq!(types(&live), ["run.canceled", "run.enqueued"]);
            assert_eq!(live[1].data["runId"], fourth);
            received.push(live);
        }
        assert_eq!(received[0], received[1], "ids mean the same on both");
    });
}

#[test]
fn a_stream_holds_nothing_of_others() {
    play(|| async {
        let scene = Scene::new().await;
        for project in ["ours", "theirs"] {
            scene.post("/v1/projects", json!({"id": project})).await.is(201);
        }
        let other = scene.token("other", "them", &Scope::ALL).await;
        let narrow = scene.narrowed("default", "narrow", &[Scope::Read], Some(&["ours"])).await;
        let mut whole = Listener::open(scene.address, &scene.all, "/v1/stream", None).await;
        let mut narrowed = Listener::open(scene.address, &narrow, "/v1/stream", None).await;
        let mut foreign = Listener::open(scene.address, &other, "/v1/stream", None).await;
        for project in ["theirs", "ours"] {
            scene.post("/v1/runs", json!({"kind": project, "projectId": project})).await.is(201);
        }
        scene.ask(&other, "POST", "/v1/runs", Some(json!({"kind": "foreign"}))).await.is(201);
        let kind = |message: &Message| message.data["payload"]["kind"].clone();
        assert_eq!(
            whole.take(2).await.iter().map(kind).collect::<Vec<_>>(),
            [json!("theirs"), json!("ours")]
        );
        assert_eq!(kind(&narrowed.take(1).await[0]), "ours");
        assert_eq!(kind(&foreign.take(1).await[0]), "foreign");
        for bad in ["x", "1.2.3", "zz-1", "99999999999999999999-1"] {
            let headers = [("Last-Event-ID", bad)];
            scene.ask_with(&scene.all, "GET", "/v1/stream", &headers, None).await.refuses(422, "validation");
        }
    });
}

#[test]
fn a_revoked_token_ends_its_stream() {
    play(|| async {
        let scene = Scene::new().await;
        let reader = scene.token("default", "reader", &[Scope::Read]).await;
        let mut listener = Listener::open(scene.address, &reader, "/v1/stream", None).await;
        let tokens = scene.get("/v1/tokens").await.is(200);
        let id =
            tokens["data"].as_array().unwrap().iter().find(|token| token["name"] == "reader").unwrap()["id"]
                .clone();
        scene.ask(&scene.all, "DELETE", &format!("/v1/tokens/{}", id.as_str().unwrap()), None).await.is(200);
        scene.enqueue("a").await;
        assert_eq!(listener.next().await, None);
    });
}

#[test]
fn a_client_that_does_not_read_is_disconnected() {
    play(|| async {
        let write_timeout = Duration::from_millis(700);
        let scene = Scene::with(Options { rate_limit: None, write_timeout, ..Options::default() }).await;
        let id = scene.held("a").await;
        let mut stream = TcpStream::connect(scene.address).await.unwrap();
        let head = format!(
            "GET /v1/runs/{id}/stream HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\r\n",
            scene.all
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        // More than any socket's buffers hold.
        let line = "x".repeat(15_000);
        let lines: Vec<_> = (0..60).map(|_| json!({"stream": "stdout", "text": line})).collect();
        for _ in 0..20 {
            scene
                .post(&format!("/v1/runs/{id}:log"), json!({"workerId": "w", "epoch": 1, "lines": lines}))
                .await
                .is(200);
        }
        scene.until_alone().await;
        let read = raw::rest(stream).await;
        assert!(read.len() < 15_000_000, "{} bytes were buffered for it", read.len());
    });
}
