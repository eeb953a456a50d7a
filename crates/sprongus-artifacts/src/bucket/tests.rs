use std::io;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream;
use sprongus_throwaway::BucketServer;

use super::*;

fn settings(url: &str) -> AmazonS3Builder {
    AmazonS3Builder::new()
        .with_endpoint(url)
        .with_allow_http(true)
        .with_access_key_id("AKIAOURS")
        .with_secret_access_key("hunter2")
}

fn bucket(server: &BucketServer) -> Bucket {
    server.make("ours").unwrap();
    Bucket::on(Ok(settings(&server.url())), "ours", "runs/kept")
}

fn key() -> String {
    format!("default/{}/{}", RunId::new(), RunId::new())
}

fn body(pieces: Vec<io::Result<Bytes>>) -> ByteStream {
    Box::pin(stream::iter(pieces))
}

async fn read_all(mut body: ByteStream) -> Vec<u8> {
    let mut read = Vec::new();
    while let Some(piece) = body.next().await {
        read.extend_from_slice(&piece.unwrap());
    }
    read
}

#[tokio::test]
async fn what_is_put_is_read_whole_and_in_parts_and_deleted() {
    let server = BucketServer::start().unwrap();
    let bucket = bucket(&server);
    let (small, empty, large) = (key(), key(), key());
    bucket.put(&small, body(vec![Ok("hello ".into()), Ok("world".into())])).await.unwrap();
    bucket.put(&empty, body(Vec::new())).await.unwrap();
    let chunks = (0..20_u8).map(|at| Ok(vec![at; 1 << 20].into()));
    bucket.put(&large, body(chunks.collect())).await.unwrap();
    let mut kept = server.keys("ours").unwrap();
    kept.sort();
    let mut put: Vec<_> = [&small, &empty, &large].map(|key| format!("runs/kept/{key}")).into();
    put.sort();
    assert_eq!(kept, put, "below the prefix");
    assert_eq!(server.uploads("ours").unwrap(), [""; 0]);

    for (range, text) in [(0..11, "hello world"), (6..11, "world"), (10..11, "d")] {
        assert_eq!(read_all(bucket.get(&small, range).await.unwrap()).await, text.as_bytes());
    }
    let read = read_all(bucket.get(&large, 0..20 << 20).await.unwrap()).await;
    assert_eq!(read.len(), 20 << 20);
    assert!(read.chunks(1 << 20).zip(0..).all(|(chunk, at)| chunk.iter().all(|byte| *byte == at)));
    let across = read_all(bucket.get(&large, (8 << 20) - 1..(8 << 20) + 1).await.unwrap()).await;
    assert_eq!(across, [7, 8], "across the border of two parts");
    let error = bucket.get(&small, 0..12).await.err().unwrap();
    assert_eq!(error.code(), ErrorCode::Unavailable, "an object that lost its end is not handed out");

    for key in [&small, &small, &empty, &large] {
        bucket.delete(key).await.unwrap();
    }
    assert_eq!(server.keys("ours").unwrap(), [""; 0]);
    assert_eq!(bucket.get(&small, 0..1).await.err().unwrap().code(), ErrorCode::NotFound);
}

#[tokio::test]
async fn an_upload_that_breaks_off_or_is_dropped_is_given_up() {
    let server = BucketServer::start().unwrap();
    let bucket = bucket(&server);
    let first = || Ok(Bytes::from(vec![0; upload::PART + 1]));
    let broken = Err(io::ErrorKind::ConnectionReset.into());
    let error = bucket.put(&key(), body(vec![first(), broken])).await.unwrap_err();
    assert_eq!(error.message(), "an artifact was cut off: connection reset");
    assert_eq!(server.uploads("ours").unwrap(), [""; 0]);

    let dropped = key();
    let mut put = bucket.put(&dropped, Box::pin(stream::iter([first()]).chain(stream::pending())));
    while server.uploads("ours").unwrap().is_empty() {
        let stuck = tokio::time::timeout(Duration::from_millis(50), &mut put).await;
        assert!(stuck.is_err(), "it ended: {stuck:?}");
    }
    // Only who has the server's answer can give the upload up, and on a busy machine that may be on its way still.
    let stuck = tokio::time::timeout(Duration::from_millis(500), &mut put).await;
    assert!(stuck.is_err(), "it ended: {stuck:?}");
    drop(put);
    let until = Instant::now() + Duration::from_secs(20);
    while !server.uploads("ours").unwrap().is_empty() {
        assert!(Instant::now() < until, "the server still keeps its parts");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(server.keys("ours").unwrap(), [""; 0]);
}

#[tokio::test]
async fn a_place_that_does_not_serve_is_unavailable_and_its_secret_is_not_told() {
    let server = BucketServer::start().unwrap();
    let ours = bucket(&server);
    ours.check().await.unwrap();
    assert_eq!(server.keys("ours").unwrap(), [""; 0], "a check leaves nothing behind");
    let place = ours.place();
    assert_eq!(place, format!("s3://ours/runs/kept at {}", server.url()));

    let missing = Bucket::on(Ok(settings(&server.url())), "missing", "");
    let mut errors = vec![
        missing.check().await.unwrap_err(),
        missing.put(&key(), body(vec![Ok("a".into())])).await.unwrap_err(),
        missing.get(&key(), 0..1).await.err().unwrap(),
        missing.delete(&key()).await.unwrap_err(),
    ];
    assert_eq!(errors[1].message(), "cannot write an artifact: NoSuchBucket");

    let url = server.url();
    drop(server);
    let gone = Bucket::on(Ok(settings(&url)), "ours", "");
    errors.push(gone.put(&key(), body(vec![Ok("a".into())])).await.unwrap_err());
    assert_eq!(errors[4].message(), "cannot write an artifact: no answer from the server");

    let plain = Bucket::on(Ok(settings(&url).with_allow_http(false)), "ours", "");
    errors.push(plain.check().await.unwrap_err());
    assert!(errors[5].hint().contains("AWS_ALLOW_HTTP"), "{}", errors[5].hint());
    let half = AmazonS3Builder::new().with_access_key_id("AKIAOURS");
    errors.push(Bucket::on(Ok(half), "ours", "").check().await.unwrap_err());
    assert!(errors[6].hint().contains("AWS_SECRET_ACCESS_KEY"), "{}", errors[6].hint());

    for error in errors {
        assert_eq!(error.code(), ErrorCode::Unavailable, "{error:?}");
        let seen = format!("{error:?} {}", error.hint());
        assert!(!seen.contains("hunter2") && !seen.contains("AKIAOURS"), "{seen}");
    }
    let login = settings("http://us:hunter2@127.0.0.1:1/path");
    assert_eq!(Bucket::on(Ok(login), "ours", "").place(), "s3://ours at http://127.0.0.1:1");
}
