//! Files of a run over HTTP: what is kept and what is not, parts of them, and clients who do not mean well.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use sprongus_conformance::MemoryBlobs;
use sprongus_core::workspace::token::Scope;
use sprongus_http::server::Options;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::raw::{self, Reply};
use crate::scene::{LEASE_TOKEN, Scene, play};

/// The most bytes of an artifact, where a test does not say otherwise.
const MOST: u64 = 1 << 20;

/// A server that keeps files in memory, and a run that worker `w` holds under epoch 1.
struct Desk {
    scene: Scene,
    blobs: Arc<MemoryBlobs>,
    run: String,
}

impl Desk {
    async fn new() -> Self {
        Self::with(Options { rate_limit: None, ..Options::default() }, MOST).await
    }

    async fn with(options: Options, most: u64) -> Self {
        let blobs = Arc::new(MemoryBlobs::default());
        let scene = Scene::keeping(blobs.clone(), most, options).await;
        let run = scene.held("a").await;
        Self { scene, blobs, run }
    }

    fn path(&self, name: &str) -> String {
        format!("/v1/runs/{}/artifacts/{name}", self.run)
    }

    fn held(&self, name: &str) -> String {
        format!("{}?workerId=w&epoch=1", self.path(name))
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        self.ask_as(&self.scene.all, method, path, headers, body).await
    }

    async fn ask_as(
        &self,
        token: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        let (bearer, lease) = (format!("Bearer {token}"), self.scene.lease_in(path));
        let mut all = [&[("Authorization", bearer.as_str())], headers].concat();
        if headers.iter().all(|(name, _)| *name != LEASE_TOKEN) {
            all.push((LEASE_TOKEN, &lease));
        }
        raw::bytes(self.scene.address, &raw::request(method, path, &all, body)).await
    }

    async fn put(&self, name: &str, body: &[u8]) -> Reply {
        self.ask("PUT", &self.held(name), &[], body).await
    }

    async fn read(&self, name: &str, headers: &[(&str, &str)]) -> Reply {
        self.ask("GET", &self.path(name), headers, b"").await
    }

    async fn names(&self) -> Vec<String> {
        let list = self.scene.get(&format!("/v1/runs/{}/artifacts", self.run)).await.is(200);
        assert!(list["nextCursor"].is_null());
        list["data"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    }

    /// Begins a request by hand.
    async fn begin(&self, head: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.scene.address).await.unwrap();
        let path = self.held("f");
        let head = format!(
            "PUT {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n{LEASE_TOKEN}: {}\r\n{head}\r\n",
            self.scene.all,
            self.scene.lease_in(&path)
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream
    }

    /// Neither a row nor bytes.
    async fn keeps_nothing(&self) {
        assert!(self.names().await.is_empty());
        self.scene.service.sweep().await.unwrap();
        assert_eq!(self.blobs.keys().len(), 0);
    }
}

async fn rest(stream: TcpStream) -> Reply {
    raw::parse(&raw::rest(stream).await)
}

const ABC: &str = "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"";

#[test]
fn what_is_put_is_listed_and_read() {
    play(|| async {
        let desk = Desk::new().await;
        let kind = [("Content-Type", "text/html; charset=utf-8")];
        let made = desk.ask("PUT", &desk.held("out/a%20b/%C3%BC.html"), &kind, b"abc").await;
        let artifact = made.is(201);
        let wanted = json!({
            "runId": desk.run, "name": "out/a b/ü.html", "size": 3, "sha256": ABC.trim_matches('"'),
            "contentType": "text/html; charset=utf-8", "createdAt": artifact["createdAt"],
        });
        assert_eq!(artifact, wanted);
        assert_eq!(made.header("location"), Some(desk.path("out/a%20b/%C3%BC.html").as_str()));
        let list = desk.scene.get(&format!("/v1/runs/{}/artifacts", desk.run)).await.is(200);
        assert_eq!(list, json!({"data": [artifact], "nextCursor": null}));
        for name in ["out/a%20b/%C3%BC.html", "out%2Fa%20b%2f%C3%BC.html"] {
            let read = desk.read(name, &[]).await;
            assert_eq!((read.status, read.body.as_slice()), (200, b"abc".as_slice()), "{name}");
            for (header, value) in [
                ("content-type", "text/html; charset=utf-8"),
                ("content-length", "3"),
                ("etag", ABC),
                ("accept-ranges", "bytes"),
                ("content-disposition", "attachment; filename*=UTF-8''%C3%BC.html"),
                ("x-content-type-options", "nosniff"),
                ("content-security-policy", "sandbox"),
                ("sprongus-created-at", artifact["createdAt"].as_str().unwrap()),
            ] {
                assert_eq!(read.header(header), Some(value), "{header}");
            }
        }
        let head =
            desk.ask("HEAD", &desk.path("out/a%20b/%C3%BC.html"), &[("Range", "bytes=0-0")], b"").await;
        assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, Some("3"), 0));
        assert_eq!(head.header("etag"), Some(ABC));
    });
}

#[test]
fn a_name_is_one_file_and_the_last_one_put() {
    play(|| async {
        let desk = Desk::new().await;
        desk.put("b", b"first").await.is(201);
        let second = desk.put("b", b"").await.is(201);
        assert_eq!(
            (second["size"].as_u64(), second["contentType"].as_str()),
            (Some(0), Some("application/octet-stream"))
        );
        desk.put("a:b@c", b"x").await.is(201);
        assert_eq!(desk.names().await, ["a:b@c", "b"]);
        let empty = desk.read("b", &[]).await;
        assert_eq!((empty.status, empty.header("content-length")), (200, Some("0")));
        desk.read("c", &[]).await.refuses(404, "not_found");
        desk.scene.service.sweep().await.unwrap();
        assert_eq!(desk.blobs.keys().len(), 2, "the bytes that were overwritten are gone");
    });
}

#[test]
fn a_part_is_given_as_rfc_9110_says() {
    play(|| async {
        let desk = Desk::new().await;
        desk.put("f", b"0123456789").await.is(201);
        desk.put("empty", b"").await.is(201);
        for (range, status, span, body) in [
            ("bytes=0-0", 206, Some("bytes 0-0/10"), "0"),
            ("bytes=2-4", 206, Some("bytes 2-4/10"), "234"),
            ("bytes=7-", 206, Some("bytes 7-9/10"), "789"),
            ("bytes=0-", 206, Some("bytes 0-9/10"), "0123456789"),
            ("bytes=-3", 206, Some("bytes 7-9/10"), "789"),
            ("bytes=-30", 206, Some("bytes 0-9/10"), "0123456789"),
            ("bytes=8-99999999999999999999999999", 206, Some("bytes 8-9/10"), "89"),
            ("bytes=0-1,4-5", 200, None, "0123456789"),
            ("bytes=5-2", 200, None, "0123456789"),
            ("lines=0-1", 200, None, "0123456789"),
            ("bytes=x", 200, None, "0123456789"),
        ] {
            let reply = desk.read("f", &[("Range", range)]).await;
            assert_eq!((reply.status, reply.header("content-range")), (status, span), "{range}");
            assert_eq!(reply.text(), body, "{range}");
            assert_eq!(reply.header("content-length"), Some(body.len().to_string().as_str()), "{range}");
        }
        for (name, range, size) in [
            ("f", "bytes=10-", 10),
            ("f", "bytes=-0", 10),
            ("f", "bytes=99-100", 10),
            ("empty", "bytes=0-", 0),
        ] {
            let reply = desk.read(name, &[("Range", range)]).await;
            let problem = reply.refuses(416, "validation");
            assert_eq!(
                reply.header("content-range"),
                Some(format!("bytes */{size}").as_str()),
                "{range}: {problem}"
            );
        }
        desk.read("none", &[("Range", "bytes=0-1")]).await.refuses(404, "not_found");
    });
}

#[test]
fn what_a_client_has_is_not_sent() {
    play(|| async {
        let desk = Desk::new().await;
        desk.put("f", b"abc").await.is(201);
        for known in [ABC, "*", "\"x\", W/\"y\"", &format!("W/{ABC}")] {
            let reply = desk.read("f", &[("If-None-Match", known), ("Range", "bytes=9-")]).await;
            if known.contains('x') {
                reply.refuses(416, "validation");
                continue;
            }
            assert_eq!(
                (reply.status, reply.body.len(), reply.header("etag")),
                (304, 0, Some(ABC)),
                "{known}"
            );
        }
        let part = desk.read("f", &[("If-Range", ABC), ("Range", "bytes=1-")]).await;
        assert_eq!((part.status, part.text().as_str()), (206, "bc"));
        for (range, other) in
            [("bytes=1-", "\"old\""), ("bytes=9-", "\"old\""), ("bytes=1-", "Thu, 26 Nov 2026 03:31:22 GMT")]
        {
            let whole = desk.read("f", &[("If-Range", other), ("Range", range)]).await;
            assert_eq!((whole.status, whole.text().as_str()), (200, "abc"), "{range} {other}");
        }
    });
}

#[test]
fn a_hostile_name_names_nothing() {
    play(|| async {
        let desk = Desk::new().await;
        let (long, just) = ("a".repeat(256), "a".repeat(255));
        desk.put(&just, b"x").await.is(201);
        for name in [
            "../f",
            "..",
            ".",
            "a/../../f",
            "%2e%2e%2ff",
            "%2E%2E/f",
            "%2e%2e%5cf",
            "a%5Cb",
            "/etc/passwd",
            "%2Fetc%2Fpasswd",
            "/workdir",
            "%2Fworkdir",
            "a//b",
            "a/",
            "a/./b",
            "f%00",
            "a%0Ab",
            "a%1b%5b2J",
            "%ff",
            &long,
        ] {
            for (method, path) in [("PUT", desk.held(name)), ("GET", desk.path(name))] {
                let reply = desk.ask(method, &path, &[], b"").await;
                let problem = reply.refuses(422, "validation");
                assert_eq!(problem["errors"][0]["pointer"], "/name", "{method} {name}: {problem}");
                assert!(problem["hint"].as_str().unwrap().contains("relative path"), "{problem}");
            }
        }
        desk.ask("GET", &desk.path(""), &[], b"").await.refuses(404, "not_found");
        assert_eq!(desk.names().await, [just]);
    });
}

#[test]
fn only_who_holds_the_run_keeps_files_of_it() {
    play(|| async {
        let desk = Desk::new().await;
        let workdir = format!("/v1/runs/{}/workdir", desk.run);
        for path in [desk.path("f"), workdir.clone()] {
            for (query, status, code) in [
                ("?workerId=w&epoch=2", 409, "lease_lost"),
                ("?workerId=w&epoch=0", 409, "lease_lost"),
                ("?workerId=v&epoch=1", 409, "lease_lost"),
                ("", 422, "validation"),
                ("?workerId=w", 422, "validation"),
                ("?workerId=w&epoch=1&x=1", 422, "validation"),
                ("?workerId=w&epoch=1&token=x", 400, "malformed"),
            ] {
                desk.ask("PUT", &format!("{path}{query}"), &[], b"x").await.refuses(status, code);
            }
            let held = format!("{path}?workerId=w&epoch=1");
            let reader = desk.scene.token("default", "reader", &[Scope::Read]).await;
            let stranger = desk.scene.token("other", "stranger", &Scope::ALL).await;
            desk.ask_as(&reader, "PUT", &held, &[], b"x").await.refuses(403, "forbidden");
            desk.ask_as(&stranger, "PUT", &held, &[], b"x").await.refuses(404, "not_found");
            desk.ask_as("nonsense", "PUT", &held, &[], b"x").await.refuses(401, "unauthenticated");
            for (header, value, status, code) in [
                (LEASE_TOKEN, "", 409, "lease_lost"),
                (LEASE_TOKEN, "spl_00000000000000000000000000000000", 409, "lease_lost"),
                ("Content-Encoding", "gzip", 415, "unsupported_media_type"),
                ("Content-Range", "bytes 0-0/2", 400, "malformed"),
            ] {
                desk.ask("PUT", &held, &[(header, value)], b"x").await.refuses(status, code);
            }
        }
        for kind in ["nonsense", "text/ä", "/x"] {
            desk.ask("PUT", &desk.held("f"), &[("Content-Type", kind)], b"x")
                .await
                .refuses(422, "validation");
        }
        desk.ask("DELETE", &desk.held("f"), &[], b"").await.refuses(405, "method_not_allowed");
        desk.keeps_nothing().await;
    });
}

#[test]
fn a_run_that_waits_keeps_its_work_directory() {
    play(|| async {
        let desk = Desk::new().await;
        let path = format!("/v1/runs/{}/workdir?workerId=w&epoch=1", desk.run);
        let ask = |method: &'static str, path: String, body: &'static [u8]| {
            let desk = &desk;
            async move { desk.ask(method, &path, &[], body).await }
        };
        let none = ask("GET", path.clone(), b"").await.refuses(404, "not_found");
        assert_eq!(none["errors"][0]["pointer"], "/workdir", "{none}");
        ask("PUT", path.clone(), b"a tar").await.is(204);
        ask("PUT", path.clone(), b"another tar").await.is(204);
        let kept = ask("GET", path.clone(), b"").await;
        assert_eq!((kept.status, kept.unchunked().as_slice()), (200, b"another tar".as_slice()));
        assert_eq!(kept.header("content-type"), Some("application/octet-stream"));
        assert!(desk.names().await.is_empty(), "it is nobody's artifact");
        let stale = path.replace("epoch=1", "epoch=2");
        for method in ["GET", "DELETE"] {
            ask(method, stale.clone(), b"").await.refuses(409, "lease_lost");
        }
        let missing =
            format!("/v1/runs/01M80754D6E7K919GRYZ8BH27Q{}", &path[path.find("/workdir").unwrap()..]);
        let missing = ask("GET", missing, b"").await.refuses(404, "not_found");
        assert!(
            missing["errors"].is_null(),
            "a run that is not there is told apart from one without a directory"
        );
        ask("DELETE", path.clone(), b"").await.is(204);
        ask("DELETE", path.clone(), b"").await.is(204);
        ask("GET", path, b"").await.refuses(404, "not_found");
        desk.keeps_nothing().await;
    });
}

#[test]
fn what_is_too_large_is_refused_and_nothing_of_it_kept() {
    play(|| async {
        let desk = Desk::with(Options::default(), 1 << 30).await;
        // Not a byte of the body is ever sent.
        let stream = desk.begin(&format!("Content-Length: {}\r\n", (1_u64 << 30) + 1)).await;
        let reply = rest(stream).await;
        let problem = reply.refuses(413, "payload_too_large");
        assert!(problem["detail"].as_str().unwrap().contains("1073741824"), "{problem}");
        assert_eq!(reply.header("connection"), Some("close"));
        desk.keeps_nothing().await;

        let desk = Desk::with(Options::default(), 10).await;
        let chunk = |size: usize| format!("{size:x}\r\n{}\r\n", "x".repeat(size));
        let mut stream = desk.begin("Transfer-Encoding: chunked\r\n").await;
        stream.write_all(format!("{}{}", chunk(6), chunk(6)).as_bytes()).await.unwrap();
        // No end was sent, and none is waited for.
        rest(stream).await.refuses(413, "payload_too_large");
        desk.keeps_nothing().await;
        desk.put("f", b"0123456789").await.is(201);
    });
}

#[test]
fn a_client_that_hangs_up_half_way_keeps_nothing() {
    play(|| async {
        let desk = Desk::new().await;
        for (head, body) in [
            ("Content-Length: 100\r\n", "half".to_owned()),
            ("Transfer-Encoding: chunked\r\n", "4\r\nhalf\r\n".to_owned()),
            ("Content-Length: 900000\r\n", "x".repeat(400_000)),
        ] {
            let mut stream = desk.begin(&format!("{head}Expect: 100-continue\r\n")).await;
            // The server has begun to read.
            raw::until_sent(&mut stream, raw::CONTINUE).await;
            stream.write_all(body.as_bytes()).await.unwrap();
            drop(stream);
        }
        // One that only stops sending hears what was wrong.
        let mut stream = desk.begin("Content-Length: 100\r\n").await;
        stream.write_all(b"half").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        if !answer.is_empty() {
            raw::parse(&answer).refuses(400, "malformed");
        }
        drop(stream);
        desk.scene.until_alone().await;
        desk.keeps_nothing().await;
    });
}

#[test]
fn a_client_that_stops_sending_is_refused() {
    play(|| async {
        let patience = Duration::from_millis(600);
        let desk = Desk::with(Options { patience, rate_limit: None, ..Options::default() }, MOST).await;
        desk.put("f", b"0123456789").await.is(201);
        let mut stalled = desk.begin("Content-Length: 10\r\n").await;
        stalled.write_all(b"half").await.unwrap();
        let began = Instant::now();
        rest(stalled).await.refuses(408, "timed_out");
        assert!(began.elapsed() >= patience);
        assert_eq!(desk.read("f", &[]).await.text(), "0123456789", "the file of before is still there");
    });
}

#[test]
fn two_who_put_one_name_at_once_leave_one_whole_file() {
    play(|| async {
        let desk = Desk::new().await;
        let bodies: Vec<Vec<u8>> = (0..8_u8).map(|n| vec![b'a' + n; 100_000]).collect();
        let puts = bodies.iter().map(|body| desk.put("f", body));
        for reply in futures_util::future::join_all(puts).await {
            reply.is(201);
        }
        let kept = desk.read("f", &[]).await;
        assert!(bodies.contains(&kept.body), "bytes of one of them");
        let list = desk.scene.get(&format!("/v1/runs/{}/artifacts", desk.run)).await.is(200);
        assert_eq!(list["data"].as_array().unwrap().len(), 1);
        assert_eq!(
            kept.header("etag"),
            list["data"][0]["sha256"].as_str().map(|sha| format!("\"{sha}\"")).as_deref()
        );
        desk.scene.service.sweep().await.unwrap();
        assert_eq!(desk.blobs.keys().len(), 1);
    });
}

/// A client that is refused while it sends still hears why: its connection is not cut under it.
#[test]
fn who_is_refused_in_the_middle_hears_why() {
    play(|| async {
        let desk = Desk::with(Options::default(), 1 << 30).await;
        let path = desk.path("f");
        for (token, query, status) in
            [("nonsense", "?workerId=w&epoch=1", 401), (&desk.scene.all, "?workerId=w&epoch=9", 409)]
        {
            let head = format!(
                "PUT {path}{query} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Length: 16777216\r\n\r\n"
            );
            let mut stream = TcpStream::connect(desk.scene.address).await.unwrap();
            stream.write_all(head.as_bytes()).await.unwrap();
            for _ in 0..256 {
                stream.write_all(&[0; 65_536]).await.expect("the server still reads");
            }
            let mut answer = vec![0; 4_096];
            let read = stream.read(&mut answer).await.unwrap();
            assert!(answer[..read].starts_with(format!("HTTP/1.1 {status} ").as_bytes()));
        }
        // One who asks first is answered, and not told to go on.
        let stream = desk.begin("Content-Length: 2000000000\r\nExpect: 100-continue\r\n").await;
        let answer = raw::rest(stream).await;
        assert!(answer.starts_with(b"HTTP/1.1 413 "), "{}", String::from_utf8_lossy(&answer));
    });
}
