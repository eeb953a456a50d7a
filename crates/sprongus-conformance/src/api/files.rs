//! Artifacts and the kept work directory.

use std::time::Duration;

use sprongus_core::run::artifact::{ArtifactName, ByteRange};
use sprongus_core::run::step::StepStatus;
use sprongus_core::run::{Answer, Hold};
use sprongus_core::values::ids::RunId;
use sprongus_core::{ErrorCode, RunsExt};

use super::Api;
use crate::blobs::{body, read};
use crate::fixture::{of_kind, refused, step, worker};

/// A name that needs care in an address.
const NAME: &str = "out/a b%2F?ü#.md";

fn name(text: &str) -> ArtifactName {
    text.parse().expect("an artifact's name")
}

impl Api {
    async fn read_part(&self, id: RunId, text: &str, range: Option<ByteRange>) -> Vec<u8> {
        read(self.runs.artifact(id, &name(text), range).await.expect("an artifact").body).await
    }
}

/// What is put is listed and read, whole and in parts.
pub async fn an_artifact_is_put_listed_and_read(api: Api) {
    let hold = api.held(of_kind("work")).await;
    assert!(api.runs.artifacts(hold.id).await.unwrap().is_empty());
    let (text, nothing) = (name(NAME), name("empty"));
    let put = |text, body| api.runs.put_artifact(&hold, text, "text/markdown; charset=utf-8", body);
    let kept = put(&text, body(&[b"01234", b"56789"])).await.unwrap();
    assert_eq!((kept.run_id, kept.name.as_str(), kept.size), (hold.id, NAME, 10));
    assert_eq!(kept.sha256, "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882");
    assert_eq!((&*kept.content_type, kept.created_at), ("text/markdown; charset=utf-8", api.now()));
    let empty = put(&nothing, body(&[])).await.unwrap();
    assert_eq!(empty.size, 0);
    assert_eq!(api.runs.artifacts(hold.id).await.unwrap(), [empty, kept.clone()]);
    let download = api.runs.artifact(hold.id, &name(NAME), None).await.unwrap();
    assert_eq!((download.artifact, download.range), (kept.clone(), 0..10));
    assert_eq!(read(download.body).await, b"0123456789");
    assert!(api.read_part(hold.id, "empty", None).await.is_empty());
    for (range, meant, bytes) in [
        (ByteRange::From(0, Some(0)), 0..1, "0"),
        (ByteRange::From(2, Some(4)), 2..5, "234"),
        (ByteRange::From(7, None), 7..10, "789"),
        (ByteRange::From(8, Some(99)), 8..10, "89"),
        (ByteRange::Last(3), 7..10, "789"),
        (ByteRange::Last(99), 0..10, "0123456789"),
    ] {
        let download = api.runs.artifact(hold.id, &name(NAME), Some(range)).await.unwrap();
        assert_eq!((download.artifact, download.range), (kept.clone(), meant), "{range:?}");
        assert_eq!(read(download.body).await, bytes.as_bytes(), "{range:?}");
    }
    for (text, range) in [(NAME, ByteRange::From(10, None)), ("empty", ByteRange::From(0, None))] {
        let error = refused(api.runs.artifact(hold.id, &name(text), Some(range)).await);
        assert_eq!(error.code(), ErrorCode::Validation, "{range:?} of {text}");
    }
}

/// Another file of the same name takes its place; many pieces are one file.
pub async fn an_artifact_is_replaced(api: Api) {
    let hold = api.held(of_kind("work")).await;
    let piece = [7_u8; 65_536];
    let pieces = [&piece[..]; 40];
    for (body, size) in [(body(&[b"one"]), 3), (body(&pieces), 40 * 65_536), (body(&[b"two"]), 3)] {
        let kept = api.runs.put_artifact(&hold, &name("a"), "text/plain", body).await.unwrap();
        assert_eq!(kept.size, size);
        assert_eq!(api.runs.artifacts(hold.id).await.unwrap(), [kept]);
        assert_eq!(api.read_part(hold.id, "a", None).await.len() as u64, size);
    }
    assert_eq!(api.read_part(hold.id, "a", None).await, b"two");
}

/// Who has lost the run puts nothing, and what is not there is not found.
pub async fn a_file_needs_its_run_its_hold_and_its_name(api: Api) {
    let hold = api.held(of_kind("work")).await;
    api.runs.put_artifact(&hold, &name("a"), "text/plain", body(&[b"a"])).await.unwrap();
    let stale = Hold { epoch: hold.epoch + 1, ..hold.clone() };
    let put = api.runs.put_artifact(&stale, &name("a"), "text/plain", body(&[b"b"])).await;
    assert_eq!(refused(put).code(), ErrorCode::LeaseLost);
    assert_eq!(refused(api.runs.keep_workdir(&stale, body(&[b"b"])).await).code(), ErrorCode::LeaseLost);
    assert_eq!(refused(api.runs.workdir(&stale).await.map(drop)).code(), ErrorCode::LeaseLost);
    assert_eq!(refused(api.runs.drop_workdir(&stale).await).code(), ErrorCode::LeaseLost);
    assert_eq!(api.read_part(hold.id, "a", None).await, b"a");
    let bad_type = api.runs.put_artifact(&hold, &name("b"), "markdown", body(&[b"b"])).await;
    assert_eq!(refused(bad_type).code(), ErrorCode::Validation);
    let error = refused(api.runs.artifact(hold.id, &name("b"), None).await);
    assert_eq!((error.code(), error.message()), (ErrorCode::NotFound, "no such artifact: b"));
    let nobody = Hold { id: RunId::new(), ..hold };
    let put = api.runs.put_artifact(&nobody, &name("a"), "text/plain", body(&[b"b"])).await;
    assert_eq!(refused(put).code(), ErrorCode::NotFound);
    assert_eq!(refused(api.runs.artifacts(nobody.id).await).code(), ErrorCode::NotFound);
    assert_eq!(refused(api.runs.artifact(nobody.id, &name("a"), None).await).code(), ErrorCode::NotFound);
}

/// The work directory is kept over a gate, no artifact, and gone when it is let go of.
pub async fn a_work_directory_is_kept_over_a_gate(api: Api) {
    let hold = api.held(of_kind("work")).await;
    assert!(api.runs.workdir(&hold).await.unwrap().is_none());
    api.runs.keep_workdir(&hold, body(&[b"an ", b"earlier one"])).await.unwrap();
    api.runs.keep_workdir(&hold, body(&[b"a ", b"tar"])).await.unwrap();
    let gate = step(0, "gate", StepStatus::Running);
    api.runs.record(&hold, vec![gate], vec![]).await.unwrap();
    let step = sprongus_core::values::ids::StepId::of(hold.id, hold.epoch, 0);
    api.runs.wait(&hold, step, None).await.unwrap();
    assert_eq!(refused(api.runs.workdir(&hold).await.map(drop)).code(), ErrorCode::LeaseLost);
    api.runs.answer(hold.id, Some(step), Answer::Approved, None).await.unwrap();
    api.clock.turn(Duration::from_secs(1));
    let claimed = api.runs.claim_next(&worker("w2"), 1).await.unwrap().remove(0);
    let workdir = claimed.resume.as_ref().unwrap().workdir.as_deref();
    assert_eq!(workdir, Some(&*format!("/v1/runs/{}/workdir", hold.id)));
    let hold = claimed.hold();
    assert!(api.runs.artifacts(hold.id).await.unwrap().is_empty());
    assert_eq!(read(api.runs.workdir(&hold).await.unwrap().unwrap()).await, b"a tar");
    api.runs.drop_workdir(&hold).await.unwrap();
    api.runs.drop_workdir(&hold).await.unwrap();
    assert!(api.runs.workdir(&hold).await.unwrap().is_none());
}
