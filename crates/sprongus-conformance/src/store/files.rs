//! A service that keeps the bytes of artifacts, over the store: bytes first, then the row; the row first, then the bytes.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use sprongus_core::run::Hold;
use sprongus_core::run::artifact::{ArtifactName, ByteRange, ByteStream};
use sprongus_core::run::retention::{PruneMode, Retention};
use sprongus_core::{ErrorCode, Runs, RunsExt, RunsService};

use crate::blobs::{MemoryBlobs, body, broken_body, read};
use crate::fixture::{Fixture, of_kind, refused};

/// The largest artifact of these cases.
const MOST: u64 = 5_000;

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// A service, the place of its bytes, and a run that is held.
struct Stage {
    f: Fixture,
    service: RunsService,
    runs: Arc<dyn Runs>,
    blobs: Arc<MemoryBlobs>,
    hold: Hold,
}

fn name(text: &str) -> ArtifactName {
    text.parse().expect("an artifact's name")
}

impl Stage {
    async fn new(f: Fixture) -> Self {
        let blobs = Arc::new(MemoryBlobs::default());
        let service = RunsService::new(f.store.clone()).with_blobs(blobs.clone(), MOST);
        let runs = service.for_caller(f.caller.clone());
        let hold = f.held(of_kind("work")).await;
        Self { f, service, runs, blobs, hold }
    }

    async fn put(&self, artifact: &str, body: ByteStream) -> sprongus_core::Result<u64> {
        let kept = self.runs.put_artifact(&self.hold, &name(artifact), "text/plain", body).await;
        kept.map(|artifact| artifact.size)
    }

    async fn part(&self, artifact: &str, range: Option<ByteRange>) -> sprongus_core::Result<Vec<u8>> {
        let download = self.runs.artifact(self.hold.id, &name(artifact), range).await?;
        let bytes = read(download.body).await;
        assert_eq!(bytes.len() as u64, download.range.end - download.range.start);
        Ok(bytes)
    }
}

/// Size and SHA-256 are those of the bytes, in however many pieces they came.
pub async fn bytes_are_measured_on_their_way(f: Fixture) {
    let stage = Stage::new(f).await;
    let (text, nothing) = (name("a/b.md"), name("empty"));
    let put = |text, body| stage.runs.put_artifact(&stage.hold, text, "text/markdown", body);
    let kept = put(&text, body(&[b"a", b"", b"bc"])).await.unwrap();
    assert_eq!((kept.run_id, kept.name.as_str(), kept.size), (stage.hold.id, "a/b.md", 3));
    assert_eq!(kept.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_eq!((kept.content_type.as_str(), kept.created_at), ("text/markdown", stage.f.now()));
    let empty = put(&nothing, body(&[])).await.unwrap();
    assert_eq!(empty.sha256, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_eq!(stage.runs.artifacts(stage.hold.id).await.unwrap(), [kept.clone(), empty]);
    let download = stage.runs.artifact(stage.hold.id, &kept.name, None).await.unwrap();
    assert_eq!((download.artifact, download.range), (kept, 0..3));
    assert_eq!(read(download.body).await, b"abc");
    let untyped = stage.runs.put_artifact(&stage.hold, &text, "markdown", body(&[b"a"])).await;
    assert_eq!(refused(untyped).code(), ErrorCode::Validation);
    let nowhere = RunsService::new(stage.f.store.clone()).for_caller(stage.f.caller.clone());
    let unkept = nowhere.put_artifact(&stage.hold, &text, "text/plain", body(&[b"a"])).await;
    assert_eq!(refused(unkept).code(), ErrorCode::Validation, "a service without a place keeps nothing");
}

/// As many bytes as are allowed, and not one more.
pub async fn an_artifact_that_is_too_large_is_not_kept(f: Fixture) {
    let stage = Stage::new(f).await;
    let most = vec![7; usize::try_from(MOST).unwrap()];
    assert_eq!(stage.put("most", body(&[&most[..4_000], &most[4_000..]])).await.unwrap(), MOST);
    let before = stage.blobs.keys();
    let error = refused(stage.put("more", body(&[&most, b"1"])).await);
    assert_eq!(
        (error.code(), error.message()),
        (ErrorCode::PayloadTooLarge, "an artifact can have at most 5000 bytes")
    );
    assert_eq!(stage.blobs.keys(), before);
    assert_eq!(stage.runs.artifacts(stage.hold.id).await.unwrap().len(), 1);
}

/// Half a body is no artifact, and the one before it stays.
pub async fn a_body_that_breaks_off_keeps_nothing(f: Fixture) {
    let stage = Stage::new(f).await;
    stage.put("a", body(&[b"whole"])).await.unwrap();
    let before = stage.blobs.keys();
    let error = refused(stage.put("a", broken_body(b"ha")).await);
    assert_eq!(error.code(), ErrorCode::Unavailable);
    assert_eq!((stage.blobs.keys(), stage.part("a", None).await.unwrap()), (before, b"whole".to_vec()));
    stage.f.turn(DAY);
    assert_eq!(stage.service.sweep().await.unwrap(), 1, "the place where it was to be is looked after");
    assert_eq!(stage.part("a", None).await.unwrap(), b"whole");
}

/// Who does not hold the run is told so before a byte is read, and who has lost it meanwhile behind the last one.
pub async fn bytes_of_a_stale_holder_are_not_read(f: Fixture) {
    let stage = Stage::new(f).await;
    let stale = Hold { epoch: stage.hold.epoch + 1, ..stage.hold.clone() };
    let unread: ByteStream =
        Box::pin(futures_util::stream::poll_fn(|_| -> std::task::Poll<Option<io::Result<_>>> {
            panic!("a byte was read")
        }));
    let answer = stage.runs.put_artifact(&stale, &name("a"), "text/plain", unread).await;
    assert_eq!(refused(answer).code(), ErrorCode::LeaseLost);
    assert_eq!(refused(stage.runs.workdir(&stale).await.map(drop)).code(), ErrorCode::LeaseLost);
    let f = stage.f.clone();
    let slow: ByteStream = Box::pin(futures_util::stream::once(async move {
        f.turn(Duration::from_secs(30));
        Ok("late".into())
    }));
    assert_eq!(refused(stage.put("a", slow).await).code(), ErrorCode::LeaseLost);
    assert!(stage.runs.artifacts(stage.hold.id).await.unwrap().is_empty());
    assert_eq!(stage.blobs.keys().len(), 1, "its bytes came before its row was refused");
    stage.f.turn(DAY);
    assert_eq!(stage.service.sweep().await.unwrap(), 1);
    assert!(stage.blobs.keys().is_empty());
}

/// Parts of an artifact; what means no byte of it is refused.
pub async fn an_artifact_is_read_in_parts(f: Fixture) {
    let stage = Stage::new(f).await;
    let bytes: Vec<u8> = (0..=255).cycle().take(3_000).collect();
    stage.put("a", body(&[&bytes])).await.unwrap();
    stage.put("empty", body(&[])).await.unwrap();
    for (range, meant) in [
        (ByteRange::From(0, None), 0..3_000),
        (ByteRange::From(2, Some(4)), 2..5),
        (ByteRange::From(999, Some(2_001)), 999..2_002),
        (ByteRange::From(2_999, Some(u64::MAX)), 2_999..3_000),
        (ByteRange::Last(7), 2_993..3_000),
    ] {
        assert_eq!(stage.part("a", Some(range)).await.unwrap(), bytes[meant], "{range:?}");
    }
    assert!(stage.part("empty", None).await.unwrap().is_empty());
    for (artifact, range) in [("a", ByteRange::From(3_000, None)), ("empty", ByteRange::From(0, None))] {
        assert_eq!(refused(stage.part(artifact, Some(range)).await).code(), ErrorCode::Validation);
    }
    assert_eq!(refused(stage.part("b", None).await).code(), ErrorCode::NotFound);
}

/// A sweep deletes the bytes that have no row any more, and no others; two at once do it together.
pub async fn a_sweep_deletes_what_nobody_wants(f: Fixture) {
    let stage = Stage::new(f).await;
    stage.put("kept", body(&[b"kept"])).await.unwrap();
    assert_eq!(stage.service.sweep().await.unwrap(), 0);
    for n in 0..150 {
        stage.put("a", body(&[format!("{n}").as_bytes()])).await.unwrap();
    }
    assert_eq!(stage.blobs.keys().len(), 151);
    let (one, other) = tokio::join!(stage.service.sweep(), stage.service.sweep());
    assert!(one.unwrap() + other.unwrap() >= 149);
    assert_eq!(stage.blobs.keys().len(), 2);
    assert!(stage.f.store.unwanted_blobs(10).await.unwrap().is_empty());
    assert_eq!(
        (stage.part("kept", None).await.unwrap(), stage.part("a", None).await.unwrap()),
        (b"kept".to_vec(), b"149".to_vec())
    );
}

/// What a call leaves without a row it deletes at once. When it cannot, the call is done all the same, and a later sweep finds it.
pub async fn bytes_go_with_the_call_that_takes_their_row(f: Fixture) {
    let stage = Stage::new(f).await;
    let (runs, blobs) = (&stage.runs, &stage.blobs);
    runs.keep_workdir(&stage.hold, body(&[b"tar"])).await.unwrap();
    assert_eq!(read(runs.workdir(&stage.hold).await.unwrap().unwrap()).await, b"tar");
    runs.drop_workdir(&stage.hold).await.unwrap();
    assert!(blobs.keys().is_empty() && runs.workdir(&stage.hold).await.unwrap().is_none());

    stage.put("a", body(&[b"a"])).await.unwrap();
    runs.succeed(&stage.hold, None, None).await.unwrap();
    stage.f.turn(Duration::from_secs(60));
    let retention = Retention::new(Duration::ZERO, Duration::ZERO);
    blobs.stick(true);
    runs.prune(&retention, PruneMode::DryRun).await.unwrap();
    assert_eq!(runs.prune(&retention, PruneMode::Checked).await.unwrap().runs.values().sum::<u64>(), 1);
    assert_eq!(refused(stage.service.sweep().await).code(), ErrorCode::Unavailable);
    assert_eq!(stage.f.store.unwanted_blobs(10).await.unwrap(), blobs.keys());
    blobs.stick(false);
    runs.prune(&retention, PruneMode::Checked).await.unwrap();
    assert!(blobs.keys().is_empty());

    let other = stage.f.tenant("other").await;
    let hold = other.held(of_kind("work")).await;
    let theirs = stage.service.for_caller(other.caller.clone());
    theirs.put_artifact(&hold, &name("a"), "text/plain", body(&[b"a"])).await.unwrap();
    assert!(blobs.keys()[0].starts_with(&format!("other/{}/", hold.id)), "{:?}", blobs.keys());
    stage.service.admin(stage.f.caller.clone()).delete_workspace(&other.caller.workspace).await.unwrap();
    assert!(blobs.keys().is_empty());
}
