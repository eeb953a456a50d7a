//! Files of a run: their rows, and the places whose bytes nobody wants any more.

use std::time::Duration;

use serde_json::json;
use sprongus_core::run::artifact::{FileName, MAX_ARTIFACTS, NewFile, StoredFile};
use sprongus_core::run::retention::Retention;
use sprongus_core::run::step::StepStatus;
use sprongus_core::run::{Answer, ClaimRequest, Hold, NewRun, Outcome};
use sprongus_core::values::names::ClaimId;
use sprongus_core::{ErrorCode, Result};

use crate::fixture::{Fixture, bare, hold_of, of_kind, refused, step, success, worker};

const UPLOAD: Duration = Duration::from_secs(600);

/// The name of an artifact.
pub(crate) fn named(name: &str) -> FileName {
    FileName::Artifact(name.parse().expect("an artifact's name"))
}

/// A file as it would have been written at `location`.
pub(crate) fn written(name: FileName, location: &str) -> NewFile {
    let (sha256, content_type) = ("0".repeat(64), "text/markdown".to_owned());
    NewFile { name, size: location.len() as u64, sha256, content_type, location: location.to_owned() }
}

impl Fixture {
    /// Puts a file as the service does.
    async fn keep(&self, hold: &Hold, name: FileName, location: &str) -> Result<StoredFile> {
        self.store.expect_blob(location, self.now().plus(UPLOAD)).await.expect("a store that answers");
        self.store.put_file(&self.caller, hold, written(name, location)).await
    }

    async fn unwanted(&self) -> Vec<String> {
        self.store.unwanted_blobs(1_000).await.expect("a store that answers")
    }

    async fn listed(&self, hold: &Hold) -> Vec<String> {
        let artifacts = self.store.artifacts(&self.caller, hold.id).await.expect("a store that answers");
        artifacts.iter().map(|artifact| artifact.name.to_string()).collect()
    }

    /// Has the run wait at its gate and go on behind it.
    async fn through_a_gate(&self, hold: &Hold, claim: &str) -> ClaimRequest {
        self.record(hold, vec![step(0, "gate", StepStatus::Running)], vec![]).await.expect("a step");
        self.wait(hold, None).await.expect("a run that waits");
        self.answer(hold.id, Answer::Approved, None).await.expect("an answer");
        let claim_id = Some(claim.parse::<ClaimId>().expect("a claim id"));
        ClaimRequest { claim_id, ..ClaimRequest::new(worker("w"), 1) }
    }
}

/// What is put is listed, by name in the order of its bytes, and read as it was put.
pub async fn an_artifact_is_kept_listed_and_read(f: Fixture) {
    let hold = f.held(of_kind("work")).await;
    let none = refused(f.store.file(&f.caller, hold.id, &named("b.md")).await);
    assert_eq!((none.code(), none.message()), (ErrorCode::NotFound, "no such artifact: b.md"));
    assert!(f.listed(&hold).await.is_empty());
    for (name, location) in [("b.md", "l/1"), ("a/ü.md", "l/22"), ("B.md", "l/333")] {
        f.turn(Duration::from_secs(1));
        let stored = f.keep(&hold, named(name), location).await.unwrap();
        assert_eq!(stored, StoredFile { file: written(named(name), location), created_at: f.now() });
        assert_eq!(f.store.file(&f.caller, hold.id, &named(name)).await.unwrap(), stored);
    }
    assert_eq!(f.listed(&hold).await, ["B.md", "a/ü.md", "b.md"]);
    let first = f.store.artifacts(&f.caller, hold.id).await.unwrap().remove(0);
    let file = written(named("B.md"), "l/333");
    assert_eq!((first.run_id, first.size, first.sha256), (hold.id, file.size, file.sha256));
    assert_eq!((first.content_type, first.created_at), (file.content_type, f.now()));
    assert_eq!(f.event_types(hold.id).await.len(), 2, "files are no events");
    f.turn(UPLOAD * 2);
    assert!(f.unwanted().await.is_empty(), "what has a row is wanted, whenever it was expected");
}

/// The same name again is another file in its place, whose bytes are unwanted from then on; the same file again is the same.
pub async fn an_artifact_of_the_same_name_takes_its_place(f: Fixture) {
    let hold = f.held(of_kind("work")).await;
    f.keep(&hold, named("a"), "l/1").await.unwrap();
    f.keep(&hold, named("b"), "l/2").await.unwrap();
    f.turn(Duration::from_secs(1));
    let stored = f.keep(&hold, named("a"), "l/3").await.unwrap();
    assert_eq!(f.store.file(&f.caller, hold.id, &named("a")).await.unwrap(), stored);
    assert_eq!(f.listed(&hold).await, ["a", "b"]);
    assert_eq!(f.unwanted().await, ["l/1"]);
    f.turn(Duration::from_secs(1));
    let again = f.store.put_file(&f.caller, &hold, written(named("a"), "l/3")).await.unwrap();
    assert_eq!(again, stored, "a call that is made once more has been made once");
    assert_eq!(f.unwanted().await, ["l/1"]);
    let gone = f.store.put_file(&f.caller, &hold, written(named("a"), "l/1")).await;
    assert_eq!(refused(gone).code(), ErrorCode::Unavailable, "those bytes may be deleted by now");
    f.store.drop_file(&f.caller, &hold, &named("b")).await.unwrap();
    f.store.drop_file(&f.caller, &hold, &named("b")).await.unwrap();
    assert_eq!(f.listed(&hold).await, ["a"]);
    assert_eq!(f.unwanted().await, ["l/1", "l/2"]);
}

/// S4: who has lost the run puts and drops nothing. A closing lease is good for both: a CLEANUP keeps its report.
pub async fn a_file_is_put_under_a_live_hold_alone(f: Fixture) {
    let stale = f.held(of_kind("work")).await;
    f.keep(&stale, named("a"), "l/1").await.unwrap();
    f.turn(Duration::from_secs(30));
    let hold = hold_of(&f.take_one("w2").await);
    let thief = Hold { worker_id: worker("thief"), ..hold.clone() };
    let early = Hold { epoch: hold.epoch + 1, ..hold.clone() };
    for lost in [&stale, &thief, &early] {
        assert_eq!(refused(f.keep(lost, named("a"), "l/2").await).code(), ErrorCode::LeaseLost);
        let dropped = f.store.drop_file(&f.caller, lost, &named("a")).await;
        assert_eq!(refused(dropped).code(), ErrorCode::LeaseLost);
    }
    assert_eq!(f.store.file(&f.caller, hold.id, &named("a")).await.unwrap().file.location, "l/1");
    f.cancel(hold.id).await.unwrap();
    f.keep(&hold, named("report"), "l/3").await.unwrap();
    f.store.drop_file(&f.caller, &hold, &named("a")).await.unwrap();
    f.cleaned(&hold).await.unwrap();
    assert_eq!(refused(f.keep(&hold, named("b"), "l/4").await).code(), ErrorCode::LeaseLost);
    assert_eq!(f.listed(&hold).await, ["report"]);
    assert_eq!(f.unwanted().await, ["l/1"]);
    f.turn(UPLOAD);
    assert_eq!(f.unwanted().await, ["l/1", "l/2", "l/4"], "what was refused is not kept for ever");
}

/// Bytes get a row before their time is over, and not from then on: they may be deleted at any moment.
pub async fn bytes_get_a_row_while_they_are_expected(f: Fixture) {
    let hold = f.held(of_kind("work")).await;
    let lease = Some(Duration::from_secs(3_600));
    f.store.heartbeat(&f.caller, vec![hold.clone()], lease).await.unwrap().remove(0).unwrap();
    let put = |location| f.store.put_file(&f.caller, &hold, written(named("a"), location));
    let never = refused(put("l/never").await);
    let words = "the upload took too long; its bytes may have been deleted";
    assert_eq!((never.code(), never.message()), (ErrorCode::Unavailable, words));
    f.store.expect_blob("l/late", f.now().plus(UPLOAD)).await.unwrap();
    f.turn(Duration::from_millis(1));
    f.store.expect_blob("l/1", f.now().plus(UPLOAD)).await.unwrap();
    f.store.expect_blob("l/1", f.now().plus(UPLOAD)).await.unwrap();
    f.turn(UPLOAD - Duration::from_millis(1));
    assert_eq!(refused(put("l/late").await), never, "due now is too late");
    put("l/1").await.unwrap();
    f.store.expect_blob("l/2", f.now().plus(UPLOAD)).await.unwrap();
    assert_eq!(f.unwanted().await, ["l/late"]);
    f.turn(UPLOAD);
    assert_eq!(f.unwanted().await, ["l/late", "l/2"], "those due longest first");
    assert_eq!(f.store.unwanted_blobs(1).await.unwrap(), ["l/late"]);
    let known = ["l/late".to_owned(), "l/never".to_owned()];
    f.store.forget_blobs(&known).await.unwrap();
    f.store.forget_blobs(&known).await.unwrap();
    assert_eq!(f.unwanted().await, ["l/2"]);
    assert_eq!(refused(put("l/late").await), never, "what is deleted gets no row");
}

/// Retention takes a run with its files, and their bytes are unwanted; those of others stay.
pub async fn retention_leaves_the_bytes_of_its_runs_unwanted(f: Fixture) {
    let live = f.made(of_kind("live")).await;
    let claim = ClaimRequest { lease: Duration::from_secs(3_600), ..ClaimRequest::new(worker("w"), 1) };
    let live = Hold { id: live.id, ..hold_of(&f.claim(&claim).await.claimed[0]) };
    f.keep(&live, named("a"), "l/live").await.unwrap();
    let done = f.held(of_kind("work")).await;
    f.keep(&done, named("a"), "l/1").await.unwrap();
    f.keep(&done, FileName::Workdir, "l/2").await.unwrap();
    f.finish(&done, success(json!(1))).await.unwrap();
    f.turn(Duration::from_secs(60));
    let retention = Retention::new(Duration::ZERO, Duration::ZERO);
    f.store.prune(&f.caller, &retention, 10, true).await.unwrap();
    assert!(f.unwanted().await.is_empty(), "a dry run takes nothing");
    f.store.prune(&f.caller, &retention, 10, false).await.unwrap();
    assert_eq!(refused(f.store.artifacts(&f.caller, done.id).await).code(), ErrorCode::NotFound);
    assert_eq!(f.unwanted().await, ["l/1", "l/2"]);
    assert_eq!(f.listed(&live).await, ["a"]);
}

/// A workspace that is deleted leaves the places of its bytes behind, whoever asks for them.
pub async fn a_deleted_workspace_leaves_its_bytes_unwanted(f: Fixture) {
    let mine = f.held(of_kind("work")).await;
    f.keep(&mine, named("a"), "l/mine").await.unwrap();
    let other = f.tenant("other").await;
    let theirs = other.held(of_kind("work")).await;
    other.keep(&theirs, named("a"), "l/1").await.unwrap();
    other.keep(&theirs, FileName::Workdir, "l/2").await.unwrap();
    f.store.delete_workspace(&f.caller, &other.caller.workspace).await.unwrap();
    assert_eq!(f.unwanted().await, ["l/1", "l/2"]);
    assert_eq!(f.listed(&mine).await, ["a"]);
}

/// A caller narrowed to projects reads and puts the files of their runs; what lies elsewhere is in [`super::tenants`].
pub async fn a_narrowed_caller_has_the_files_of_its_projects(f: Fixture) {
    f.store.create_project(&f.caller, &"p".parse().unwrap()).await.unwrap();
    let hold = f.held(NewRun { project_id: Some("p".to_owned()), ..of_kind("work") }).await;
    let narrow = f.narrowed(&["p"]);
    let stored = narrow.keep(&hold, named("a"), "l/1").await.unwrap();
    assert_eq!(narrow.store.file(&narrow.caller, hold.id, &named("a")).await.unwrap(), stored);
    assert_eq!(narrow.listed(&hold).await, ["a"]);
    narrow.store.drop_file(&narrow.caller, &hold, &named("a")).await.unwrap();
    assert!(f.listed(&hold).await.is_empty());
}

/// One more is refused and keeps nothing; another in place of one, and the work directory, are none more.
pub async fn a_run_keeps_a_thousand_artifacts(f: Fixture) {
    let hold = f.held(of_kind("work")).await;
    let mut puts = tokio::task::JoinSet::new();
    for n in 0..MAX_ARTIFACTS {
        let (f, hold) = (f.clone(), hold.clone());
        puts.spawn(async move { f.keep(&hold, named(&format!("{n}")), &format!("l/{n}")).await });
    }
    for put in puts.join_all().await {
        put.unwrap();
    }
    f.keep(&hold, FileName::Workdir, "l/workdir").await.unwrap();
    let error = refused(f.keep(&hold, named("more"), "l/more").await);
    assert_eq!(error.code(), ErrorCode::Validation);
    assert_eq!(error.message(), "a run can have at most 1000 artifacts");
    f.keep(&hold, named("7"), "l/other").await.unwrap();
    f.keep(&hold, FileName::Workdir, "l/workdir2").await.unwrap();
    assert_eq!(f.listed(&hold).await.len(), MAX_ARTIFACTS);
    f.store.drop_file(&f.caller, &hold, &named("8")).await.unwrap();
    f.keep(&hold, named("more"), "l/more2").await.unwrap();
}

/// The work directory is nobody's artifact, is there behind the gate on whatever worker, and is let go of there.
pub async fn a_kept_work_directory_goes_on_behind_its_gate(f: Fixture) {
    let hold = f.held(of_kind("work")).await;
    let none = refused(f.store.file(&f.caller, hold.id, &FileName::Workdir).await);
    assert_eq!((none.code(), none.message()), (ErrorCode::NotFound, "no such work directory of the run"));
    f.keep(&hold, FileName::Workdir, "l/1").await.unwrap();
    f.keep(&hold, FileName::Workdir, "l/2").await.unwrap();
    assert!(f.listed(&hold).await.is_empty());
    let request = f.through_a_gate(&hold, "claim-1").await;
    let first = f.claim(&request).await.claimed;
    let resume = first[0].resume.clone().unwrap();
    assert_eq!(resume.workdir, Some(format!("/v1/runs/{}/workdir", hold.id)));
    let claimed = f.claim(&request).await.claimed;
    assert_eq!(bare(&claimed), bare(&first), "the same claim, the same resume");
    let hold = hold_of(&claimed[0]);
    let kept = f.store.file(&f.caller, hold.id, &FileName::Workdir).await.unwrap();
    assert_eq!(kept.file.location, "l/2");
    f.store.drop_file(&f.caller, &hold, &FileName::Workdir).await.unwrap();
    assert_eq!(f.unwanted().await, ["l/1", "l/2"]);
    f.keep(&hold, named("a"), "l/3").await.unwrap();
    let claimed = f.claim(&f.through_a_gate(&hold, "claim-2").await).await.claimed;
    assert_eq!(claimed[0].resume.as_ref().unwrap().workdir, None, "an artifact is no work directory");
    f.finish(&hold_of(&claimed[0]), Outcome::Release).await.unwrap();
    assert!(f.take_one("w").await.resume.is_none());
}

/// The work directory kept at a gate is for the run's CLEANUP; when that is done, was given up, or is not owed, nobody wants it.
pub async fn a_kept_work_directory_goes_when_no_cleanup_needs_it(f: Fixture) {
    let mut unwanted: Vec<String> = Vec::new();
    for (number, ending) in ["cleaned", "given up", "succeeded", "failed"].into_iter().enumerate() {
        let hold = f.held(of_kind("work")).await;
        let location = format!("l/{number}");
        f.keep(&hold, FileName::Workdir, &location).await.unwrap();
        let artifact = format!("a/{number}");
        f.keep(&hold, named("a"), &artifact).await.unwrap();
        if ending == "succeeded" || ending == "failed" {
            // Behind the gate, and not let go of by its worker.
            let claimed = f.claim(&f.through_a_gate(&hold, ending).await).await.claimed;
            let outcome = match ending {
                "succeeded" => success(json!(1)),
                _ => Outcome::Fail { error: "no".to_owned(), retryable: false, retry_in: None },
            };
            assert_eq!(f.unwanted().await, unwanted);
            f.finish(&hold_of(&claimed[0]), outcome).await.unwrap();
        } else {
            f.wait(&hold, None).await.unwrap();
            f.cancel(hold.id).await.unwrap();
            let closing = hold_of(&f.take_one("closer").await);
            f.store.file(&f.caller, hold.id, &FileName::Workdir).await.unwrap();
            assert_eq!(f.unwanted().await, unwanted, "CLEANUP has it");
            if ending == "cleaned" {
                f.cleaned(&closing).await.unwrap();
            } else {
                f.turn(Duration::from_secs(600));
                f.expire().await;
                assert!(f.take("late", 1).await.is_empty(), "it is given up");
            }
        }
        unwanted.push(location);
        assert_eq!(f.unwanted().await, unwanted, "{ending}");
        let none = refused(f.store.file(&f.caller, hold.id, &FileName::Workdir).await);
        assert_eq!(none.code(), ErrorCode::NotFound, "{ending}");
        assert_eq!(f.listed(&hold).await, ["a"], "{ending}: artifacts stay");
    }
}
