//! Transfers, alone and against servers that break off.

use std::future::poll_fn;

use futures_util::stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use std::time::Duration;

use super::*;
use crate::client::Options;
use sprongus_core::Runs;
use sprongus_core::workspace::token::TokenSecret;

fn hold() -> Hold {
    let token = sprongus_core::run::lease::LeaseToken::given("spl_x");
    Hold { id: RunId::new(), worker_id: "w".parse().unwrap(), epoch: 1, token }
}

fn name() -> ArtifactName {
    "out/a b:c.md".parse().unwrap()
}

/// A server that reads one request's head and does what it is told with the connection.
async fn server<F, D>(serve: F) -> RunsClient
where
    F: FnOnce(TcpStream, String) -> D + Send + 'static,
    D: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        serve(stream, String::from_utf8(head).unwrap()).await;
    });
    RunsClient::new(&url, &TokenSecret::generate().unwrap(), &Options::default()).unwrap()
}

fn head(more: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\netag: \"{}\"\r\nsprongus-created-at: 2026-11-26T03:31:22.123Z\r\n{more}\r\n",
        "0".repeat(64)
    )
}

fn bytes(parts: &[&'static [u8]]) -> ByteStream {
    Box::pin(stream::iter(parts.iter().map(|part| Ok(Bytes::from_static(part))).collect::<Vec<_>>()))
}

#[test]
fn a_range_is_said_as_a_header_says_it() {
    for (range, header) in [
        (ByteRange::From(2, Some(4)), "bytes=2-4"),
        (ByteRange::From(2, None), "bytes=2-"),
        (ByteRange::Last(3), "bytes=-3"),
        (ByteRange::From(5, Some(4)), "bytes=-0"),
    ] {
        assert_eq!(spelt(range), header);
    }
}

#[test]
fn an_incomplete_description_of_a_file_is_refused() {
    let id = RunId::new();
    let read = |status: u16, pairs: &[(&'static str, &'static str)]| {
        let mut headers = HeaderMap::new();
        for (name, value) in
            [("etag", "\"e\""), ("content-type", "a/b"), (CREATED_AT_HEADER, "2026-11-26T03:31:22.123Z")]
        {
            headers.insert(name, value.parse().unwrap());
        }
        for (name, value) in pairs {
            headers.insert(*name, value.parse().unwrap());
        }
        described(id, &name(), StatusCode::from_u16(status).unwrap(), &headers)
            .map(|(artifact, range)| (artifact.size, range))
    };
    assert_eq!(read(200, &[("content-length", "7")]), Some((7, 0..7)));
    assert_eq!(read(206, &[("content-length", "3"), ("content-range", "bytes 2-4/7")]), Some((7, 2..5)));
    for (status, pairs) in [
        (200, vec![]),
        (200, vec![("content-length", "7"), ("etag", "W/\"e\"")]),
        (200, vec![("content-length", "7"), (CREATED_AT_HEADER, "yesterday")]),
        (206, vec![("content-length", "3")]),
        (206, vec![("content-length", "9"), ("content-range", "bytes 2-4/7")]),
        (206, vec![("content-length", "3"), ("content-range", "bytes 18446744073709551615-0/7")]),
    ] {
        assert_eq!(read(status, &pairs), None, "{status} {pairs:?}");
    }
}

#[tokio::test]
async fn a_download_that_breaks_ends_with_an_error() {
    for framing in ["content-length: 10\r\n", "content-length: 10\r\ncontent-range: bytes 0-9/10\r\n"] {
        let client = server(move |mut stream, head_of_request| async move {
            assert!(head_of_request.starts_with("GET /v1/runs/"), "{head_of_request}");
            assert!(
                head_of_request.contains("/artifacts/out/a%20b%3Ac.md HTTP/1.1\r\n"),
                "{head_of_request}"
            );
            stream.write_all(format!("{}half", head(framing)).as_bytes()).await.unwrap();
        })
        .await;
        let mut download = client.artifact(RunId::new(), &name(), None).await.unwrap();
        assert_eq!((download.artifact.size, download.range.clone()), (10, 0..10));
        assert_eq!(download.body.next().await.unwrap().unwrap(), "half");
        let error = download.body.next().await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
        assert!(download.body.next().await.is_none(), "it has ended");
    }
    let client = server(|mut stream, _| async move {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n")
            .await
            .unwrap();
    })
    .await;
    let mut body = client.workdir(&hold()).await.unwrap().unwrap();
    assert_eq!(body.next().await.unwrap().unwrap(), "half");
    assert!(body.next().await.unwrap().is_err(), "a tar that is cut is not taken for a whole one");
}

#[tokio::test]
async fn a_page_instead_of_a_file_is_none() {
    let client = server(|mut stream, _| async move {
        let page = "<html>sign in</html>";
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {}\r\n\r\n{page}",
            page.len()
        );
        stream.write_all(answer.as_bytes()).await.unwrap();
    })
    .await;
    let error = client.artifact(RunId::new(), &name(), None).await.unwrap_err();
    assert!(error.message().starts_with("no sprongus server at"), "{error}");
}

#[tokio::test]
async fn an_upload_that_breaks_is_unavailable_and_not_repeated() {
    let client = server(|mut stream, head| async move {
        assert!(head.contains("transfer-encoding: chunked"), "{head}");
        assert!(head.contains("?workerId=w&epoch=1 HTTP/1.1\r\n"), "{head}");
        let _ = stream.read(&mut [0; 5]).await;
    })
    .await;
    let endless = stream::repeat_with(|| Ok(Bytes::from_static(&[0; 4_096])));
    let error = client.put_artifact(&hold(), &name(), "text/plain", Box::pin(endless)).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::Unavailable);
}

#[tokio::test]
async fn a_source_that_breaks_is_no_end_of_the_file() {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let client = server(|mut stream, _| async move {
        let mut body = Vec::new();
        let _ = stream.read_to_end(&mut body).await;
        sender.send(body).unwrap();
    })
    .await;
    let parts = vec![Ok(Bytes::from_static(b"half")), Err(io::Error::other("the disk is gone"))];
    // The first one is on its way before the second is asked for.
    let body = Box::pin(stream::iter(parts).then(|part| async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        part
    }));
    let error = client.put_artifact(&hold(), &name(), "text/plain", body).await.unwrap_err();
    assert_eq!((error.code(), error.message()), (ErrorCode::Unavailable, "the file was cut off"));
    assert!(format!("{error:?}").contains("the disk is gone"), "{error:?}");
    let body = String::from_utf8(receiver.await.unwrap()).unwrap();
    assert!(!body.contains("0\r\n\r\n"), "the server saw an end: {body:?}");
}

#[tokio::test]
async fn what_no_header_can_say_is_refused_here() {
    let client =
        RunsClient::new("http://127.0.0.1:9", &TokenSecret::generate().unwrap(), &Options::default());
    let error = client.unwrap().put_artifact(&hold(), &name(), "a/b\r\nx: y", bytes(&[])).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::Validation);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_move_ends_and_what_moves_does_not() {
    let passage = Mutex::new(Passage { moved: Instant::now(), broken: None, is_over: false });
    let began = Instant::now();
    let moving = async {
        for _ in 0..5 {
            tokio::time::sleep(TRANSFER_IDLE - Duration::from_secs(1)).await;
            locked(&passage).moved = Instant::now();
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = stalled(&passage) => {}
        () = moving => {}
    }
    assert_eq!(began.elapsed(), 5 * (TRANSFER_IDLE - Duration::from_secs(1)) + TRANSFER_IDLE);

    let slow = stream::unfold((), |()| async {
        tokio::time::sleep(TRANSFER_IDLE - Duration::from_secs(1)).await;
        Some((reqwest::Result::Ok(Bytes::from_static(b"x")), ()))
    });
    let body = Box::pin(slow.take(3).chain(stream::pending()));
    let mut arriving = Arriving {
        body,
        left: None,
        pause: Pause::new(TRANSFER_IDLE),
        host: "host".to_owned(),
        is_over: false,
    };
    for _ in 0..3 {
        arriving.next().await.unwrap().unwrap();
        // Nobody asks for a while: that is not the server's fault.
        tokio::time::sleep(2 * TRANSFER_IDLE).await;
    }
    let began = Instant::now();
    let error = poll_fn(|context| arriving.poll_next_unpin(context)).await.unwrap().unwrap_err();
    assert_eq!((error.kind(), began.elapsed()), (io::ErrorKind::TimedOut, TRANSFER_IDLE));
    assert_eq!(error.to_string(), "no data from host for 60 s");
}
