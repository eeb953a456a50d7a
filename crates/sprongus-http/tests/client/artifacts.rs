//! Files over HTTP: what is repeated and what is not, and what a client hears when it is refused while it sends.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use sprongus_conformance::fixture::{of_kind, worker};
use sprongus_conformance::{Model, TurnedClock};
use sprongus_core::run::Hold;
use sprongus_core::run::artifact::{ByteRange, ByteStream};
use sprongus_core::{ErrorCode, Runs, RunsExt};
use sprongus_http::client::RunsClient;

use crate::proxy::Proxy;
use crate::scene::Scene;

struct Stage {
    scene: Scene,
    /// What is asked through a proxy that loses answers.
    runs: RunsClient,
    direct: RunsClient,
    proxy: Proxy,
    hold: Hold,
}

impl Stage {
    async fn new() -> Self {
        let scene = Scene::new(Arc::new(Model::new(Arc::new(TurnedClock::new())))).await;
        let proxy = Proxy::new(scene.address).await;
        let (runs, direct) = (scene.client_at(proxy.address), scene.client());
        direct.enqueue_one(of_kind("work")).await.unwrap();
        let hold = direct.claim_next(&worker("w"), 1).await.unwrap()[0].hold();
        Self { scene, runs, direct, proxy, hold }
    }

    /// Waits until so many files are on their way into the place for bytes.
    fn uploading(&self, files: usize) -> impl Future<Output = ()> + Send + use<> {
        let blobs = Arc::clone(&self.scene.blobs);
        async move {
            let arrived = async {
                while blobs.uploads() != files {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(60), arrived).await.expect("within a minute");
        }
    }

    /// How many files there are, after what is not wanted is deleted.
    async fn kept(&self) -> usize {
        self.scene.service.sweep().await.unwrap();
        self.scene.blobs.keys().len()
    }
}

fn of(bytes: &'static [u8]) -> ByteStream {
    Box::pin(stream::iter(bytes.chunks(2).map(|part| Ok(Bytes::from_static(part)))))
}

async fn read(mut body: ByteStream) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    while let Some(part) = body.next().await {
        all.extend_from_slice(&part?);
    }
    Ok(all)
}

#[tokio::test]
async fn a_put_whose_answer_is_lost_is_repeated_by_the_caller_and_keeps_one_file() {
    let stage = Stage::new().await;
    let name = "out/a b.md".parse().unwrap();
    let put = || stage.runs.put_artifact(&stage.hold, &name, "text/markdown", of(b"# All is well"));
    stage.proxy.lose(1, 0);
    let error = put().await.unwrap_err();
    assert_eq!((error.code(), stage.proxy.counts()), (ErrorCode::Unavailable, (1, 0)), "it was asked once");
    let artifact = put().await.unwrap();
    assert_eq!(stage.direct.artifacts(stage.hold.id).await.unwrap(), std::slice::from_ref(&artifact));
    assert_eq!(stage.kept().await, 1);

    stage.proxy.lose(2, 0);
    let range = Some(ByteRange::From(2, Some(4)));
    let part = stage.runs.artifact(stage.hold.id, &name, range).await.unwrap();
    assert_eq!((part.artifact, part.range.clone()), (artifact, 2..5));
    assert_eq!(read(part.body).await.unwrap(), b"All");
    assert_eq!(stage.proxy.counts().0, 3, "two answers were lost before the first byte");

    let keep = || stage.runs.keep_workdir(&stage.hold, of(b"a tar"));
    stage.proxy.lose(1, 0);
    assert_eq!(keep().await.unwrap_err().code(), ErrorCode::Unavailable);
    keep().await.unwrap();
    let kept = stage.direct.workdir(&stage.hold).await.unwrap().unwrap();
    assert_eq!(read(kept).await.unwrap(), b"a tar");
    stage.proxy.lose(2, 0);
    stage.runs.drop_workdir(&stage.hold).await.unwrap();
    assert!(stage.direct.workdir(&stage.hold).await.unwrap().is_none());
    assert_eq!(stage.kept().await, 1);
}

/// The worker must not take a lost lease for a lost connection, and bring all of it again.
#[tokio::test]
async fn a_large_upload_that_is_refused_hears_why() {
    let stage = Stage::new().await;
    let name = "f".parse().unwrap();
    let stale = Hold { epoch: 9, ..stage.hold.clone() };
    let large =
        || -> ByteStream { Box::pin(stream::iter((0..512).map(|_| Ok(Bytes::from_static(&[0; 65_536]))))) };
    for _ in 0..20 {
        let error = stage.direct.put_artifact(&stale, &name, "a/b", large()).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::LeaseLost);
        let error = stage.direct.keep_workdir(&stale, large()).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::LeaseLost);
    }
    // What nobody wants is not sent to its end, which here there is none of.
    let source = Arc::new(());
    let held = Arc::clone(&source);
    let endless = stream::repeat_with(move || {
        let _ = &held;
        Ok(Bytes::from_static(&[0; 65_536]))
    });
    let error = stage.direct.put_artifact(&stale, &name, "a/b", Box::pin(endless)).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::LeaseLost);
    crate::scene::until("the source is dropped", async || Arc::strong_count(&source) == 1).await;
    assert_eq!(stage.kept().await, 0);
}

#[tokio::test]
async fn an_upload_that_is_abandoned_keeps_nothing() {
    let stage = Stage::new().await;
    let name = "f".parse().unwrap();
    let half = || stream::iter([Ok(Bytes::from_static(b"half"))]);
    let begun = stream::once(stage.uploading(1));
    let broken = half().chain(begun.map(|()| Err(io::Error::other("the disk is gone"))));
    let error = stage.direct.put_artifact(&stage.hold, &name, "a/b", Box::pin(broken)).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::Unavailable);
    let endless = half().chain(stream::pending());
    tokio::select! {
        _ = stage.direct.put_artifact(&stage.hold, &name, "a/b", Box::pin(endless)) => panic!("it has no end"),
        () = stage.uploading(1) => {}
    }
    stage.uploading(0).await;
    assert!(stage.direct.artifacts(stage.hold.id).await.unwrap().is_empty());
    assert_eq!(stage.kept().await, 0);
}

#[tokio::test]
async fn a_missing_run_is_told_apart_from_one_without_a_work_directory() {
    let stage = Stage::new().await;
    assert!(stage.direct.workdir(&stage.hold).await.unwrap().is_none());
    let unknown = Hold { id: sprongus_core::values::ids::RunId::new(), ..stage.hold.clone() };
    assert_eq!(stage.direct.workdir(&unknown).await.err().unwrap().code(), ErrorCode::NotFound);
    let name = "f".parse().unwrap();
    assert_eq!(
        stage.direct.artifact(stage.hold.id, &name, None).await.unwrap_err().code(),
        ErrorCode::NotFound
    );
    stage.direct.put_artifact(&stage.hold, &name, "a/b", of(b"abc")).await.unwrap();
    for range in [ByteRange::From(3, None), ByteRange::From(2, Some(1)), ByteRange::Last(0)] {
        let error = stage.direct.artifact(stage.hold.id, &name, Some(range)).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::Validation, "{range:?}");
        assert!(error.message().contains("range outside the artifact"), "{error}");
    }
}
