//! A file much larger than what is held of it at any time: no byte is taken from a client before there is a place for it, nor from
//! that place before the client takes it.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use sha2::{Digest, Sha256};
use sprongus_core::run::artifact::{Blobs, ByteStream};
use sprongus_http::server::Options;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::scene::{LEASE_TOKEN, Scene, play};

const SIZE: u64 = 64 << 20;

const PART: u64 = 64 << 10;

/// Where a reader stops to see how far the writer runs ahead.
const STOP: u64 = 4 << 20;

/// More than the sockets of both ends hold, and much less than the file.
const AHEAD: u64 = 24 << 20;

/// The bytes of a part of the file.
fn part(range: Range<u64>) -> Bytes {
    range.map(|at| (at.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8).collect()
}

fn parts(range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    (range.start..range.end).step_by(PART as usize).map(move |start| start..(start + PART).min(range.end))
}

fn hash() -> String {
    let mut hash = Sha256::new();
    parts(0..SIZE).for_each(|range| hash.update(part(range)));
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How far one end has come. The other stops on its way, and waits until this one has stopped too.
#[derive(Default)]
struct Ahead(AtomicU64);

impl Ahead {
    fn add(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::SeqCst);
    }

    /// Waits until it has not moved while other bytes, more than may run ahead, went through sockets of this process many times.
    async fn stopped(&self) -> u64 {
        let (mut before, mut still) = (0, 0);
        while still < 8 {
            send_others().await;
            let now = self.0.load(Ordering::SeqCst);
            still = if now == before && now > 0 { still + 1 } else { 0 };
            before = now;
        }
        before
    }
}

/// Sends bytes from one task to another.
async fn send_others() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let sending = tokio::spawn(async move {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&vec![0; AHEAD as usize]).await.unwrap();
    });
    let mut stream = listener.accept().await.unwrap().0;
    let read = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await.unwrap();
    sending.await.unwrap();
    assert_eq!(read, AHEAD);
}

/// A place that keeps no byte: it knows them all.
#[derive(Default)]
struct Known {
    /// What the client has written.
    written: Ahead,
    /// How far it was when the place had taken four MiB and stopped.
    written_at_stop: AtomicU64,
    /// What the place has given.
    given: Arc<Ahead>,
}

#[async_trait]
impl Blobs for Known {
    async fn put(&self, _: &str, mut body: ByteStream) -> sprongus_core::Result<()> {
        let mut taken = 0;
        while let Some(bytes) = body.next().await {
            let bytes = bytes.expect("the client sends all of it");
            let end = taken + bytes.len() as u64;
            assert_eq!(bytes, part(taken..end));
            if taken < STOP && end >= STOP {
                self.written_at_stop.store(self.written.stopped().await, Ordering::SeqCst);
            }
            taken = end;
        }
        Ok(())
    }

    async fn get(&self, _: &str, range: Range<u64>) -> sprongus_core::Result<ByteStream> {
        let given = Arc::clone(&self.given);
        Ok(Box::pin(stream::iter(parts(range)).map(move |range| {
            given.add(range.end - range.start);
            io::Result::Ok(part(range))
        })))
    }

    async fn delete(&self, _: &str) -> sprongus_core::Result<()> {
        Ok(())
    }

    fn place(&self) -> String {
        "nowhere".to_owned()
    }
}

#[test]
fn a_large_file_passes_through_and_is_never_held() {
    play(|| async {
        let known = Arc::new(Known::default());
        let options = Options { rate_limit: None, ..Options::default() };
        let scene = Scene::keeping(known.clone(), SIZE, options).await;
        let run = scene.held("a").await;
        let path = format!("/v1/runs/{run}/artifacts/large");
        let (bearer, lease) = (&scene.all, scene.lease_in(&path));

        let mut stream = TcpStream::connect(scene.address).await.unwrap();
        let head = format!(
            "PUT {path}?workerId=w&epoch=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {bearer}\r\n{LEASE_TOKEN}: {lease}\r\nContent-Length: {SIZE}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        for range in parts(0..SIZE) {
            let bytes = range.end - range.start;
            stream.write_all(&part(range)).await.unwrap();
            known.written.add(bytes);
        }
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let artifact = crate::raw::parse(&answer).is(201);
        assert_eq!(artifact["sha256"], hash());
        let ahead = known.written_at_stop.load(Ordering::SeqCst);
        assert!((STOP..STOP + AHEAD).contains(&ahead), "{ahead} bytes were taken from the client");

        let mut stream = TcpStream::connect(scene.address).await.unwrap();
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {bearer}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let (mut head, mut buffer) = (Vec::new(), vec![0; 64 << 10]);
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let ahead = known.given.stopped().await;
        assert!((1..AHEAD).contains(&ahead), "{ahead} bytes were taken from their place");
        let (mut hashed, mut read) = (Sha256::new(), 0);
        loop {
            let bytes = stream.read(&mut buffer).await.unwrap();
            if bytes == 0 {
                break;
            }
            hashed.update(&buffer[..bytes]);
            read += bytes as u64;
        }
        let hashed: String = hashed.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!((read, hashed), (SIZE, hash()));
    });
}
