//! What cannot be kept over a gate, what does not come back from one, and what has changed meanwhile.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;
use sprongus_core::run::state::State;
use sprongus_core::run::step::StepStatus::{Completed, Failed};
use sprongus_core::runs::Runs;

use crate::gates::{approval, script};
use crate::scene::Scene;
use crate::tampered::Tampered;

#[tokio::test(flavor = "multi_thread")]
async fn too_much_to_keep_fails_the_gate_for_good_and_cleanup_runs() {
    let mut scene = Scene::on_disk();
    scene.declare(
        &(script("execution", "make", "truncate -s 1100G big", "")
            + &approval("sign-off", "{}")
            + &script("cleanup", "tidy", "test -e big", "")),
    );
    let id = scene.enqueue("k", json!({})).await;
    let run = scene.until_state(id, State::Failed).await;
    assert_eq!(run.attempt, 1);
    let error = run.error.unwrap();
    assert!(error.starts_with("step \"sign-off\": the work directory is over 1 GiB"), "{error}");
    let seen: Vec<_> = scene.attempt_steps(id).await.into_iter().map(|(_, _, status)| status).collect();
    assert_eq!(seen, [Completed, Failed, Completed]);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_kept_is_named_in_the_log() {
    let mut scene = Scene::on_disk();
    scene.declare(
        &(script("execution", "make", "mkfifo pipe; ln -s /etc/passwd out; echo x > kept", "")
            + &approval("sign-off", "{}")
            + &script("validation", "after", "ls", "")),
    );
    let id = scene.enqueue("k", json!({})).await;
    scene.until_waiting(id, "sign-off").await;
    let mut log = scene.log(id).await;
    log.sort();
    assert_eq!(
        log,
        [
            "not kept over the gate: work/out: a link that may lead out of the work directory",
            "not kept over the gate: work/pipe: a FIFO",
        ]
    );
    scene.approve(id, "").await;
    scene.until_state(id, State::Succeeded).await;
    assert_eq!(scene.steps(id).await[2].output.as_deref(), Some("kept"));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_worker_packed_is_not_put_in_place() {
    let mut scene = Scene::on_disk();
    let line = Tampered::new(Arc::clone(&scene.runs));
    let toml = script("execution", "make", "true", "")
        + &approval("sign-off", "{}")
        + &script("validation", "after", "echo went-on", "");
    let worker = scene.worker_over(Arc::clone(&line) as Arc<dyn Runs>).declared(scene.declaration(&toml));
    scene.start(worker);
    let id = scene.enqueue("k", json!({})).await;
    scene.until_waiting(id, "sign-off").await;
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..16].copy_from_slice(b"work/../../owned");
    header.set_size(0);
    header.set_mode(0o644);
    header.set_cksum();
    line.give(vec![Ok(Bytes::copy_from_slice(header.as_bytes()))]);
    scene.approve(id, "").await;
    let run = scene.until_state(id, State::Failed).await;
    assert_eq!(run.attempt, 1, "for good");
    let error = run.error.unwrap();
    assert_eq!(error, "refused the kept work directory: an entry is outside of it");
    assert_eq!(scene.steps(id).await.len(), 2, "nothing behind the gate ran");
    assert!(!scene.path().join("scratch/attempts/owned").exists());
    assert!(scene.kept(id).await.is_none(), "it is let go");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_break_off_are_asked_for_again() {
    let mut scene = Scene::on_disk();
    let line = Tampered::new(Arc::clone(&scene.runs));
    let toml = script("execution", "make", "echo made > a", "")
        + &approval("sign-off", "{}")
        + &script("validation", "after", "cat a; ls -A", "");
    let worker = scene.worker_over(Arc::clone(&line) as Arc<dyn Runs>).declared(scene.declaration(&toml));
    scene.start(worker);
    let id = scene.enqueue("k", json!({})).await;
    scene.until_waiting(id, "sign-off").await;
    let kept = scene.kept(id).await.unwrap();
    let cut = Bytes::copy_from_slice(&kept[..600]);
    line.give(vec![Ok(cut), Err(std::io::Error::other("the line is cut"))]);
    scene.approve(id, "").await;
    scene.until_state(id, State::Succeeded).await;
    assert_eq!(scene.steps(id).await[2].output.as_deref(), Some("made\na"));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declaration_that_was_changed_meanwhile_fails_the_run_for_good() {
    let before = script("execution", "make", "true", "")
        + &approval("sign-off", "{}")
        + &script("validation", "after", "echo went-on", "");
    let moved = script("setup", "new", "true", "") + &before;
    let renamed = before.replace("sign-off", "release");
    for after in [moved, renamed] {
        let mut scene = Scene::on_disk();
        scene.declare(&before);
        let id = scene.enqueue("k", json!({})).await;
        scene.until_waiting(id, "sign-off").await;
        scene.change_worker().await;
        scene.declare(&after);
        scene.approve(id, "").await;
        let run = scene.until_state(id, State::Failed).await;
        assert_eq!(run.attempt, 1);
        let error = run.error.unwrap();
        let expected = "this kind was changed in sprongus.toml while the run waited: step 1 is no longer the approval \"sign-off\"";
        assert!(error.starts_with(expected), "{error}");
        let seen: Vec<_> =
            scene.attempt_steps(id).await.into_iter().map(|(_, name, status)| (name, status)).collect();
        assert_eq!(seen, [("make".to_owned(), Completed), ("sign-off".to_owned(), Failed)]);
        assert!(scene.kept(id).await.is_none(), "it is let go");
        scene.end().await;
    }
}
