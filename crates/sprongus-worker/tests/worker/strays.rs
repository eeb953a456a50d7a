//! Processes that leave their command's group, as `setsid` does.

use std::time::Duration;

use serde_json::json;
use sprongus_core::json::Json;
use sprongus_core::run::NewRun;
use sprongus_core::run::state::State;

use crate::scene::{Scene, lives};

/// Leaves its group, and writes where it is.
fn daemon(scene: &Scene, rest: &str) -> String {
    let pid = scene.path().join("daemon");
    format!(
        "command = [\"sh\", \"-c\", '''setsid sh -c 'echo $$ > {}; exec sleep 600' >/dev/null 2>&1 & {rest}''']\n",
        pid.display()
    )
}

async fn is_gone(scene: &Scene, pid: &str) {
    let mut tries = 0;
    while lives(pid) {
        assert!(tries < 500, "it lives on: {:#?}", scene.path());
        tries += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn is_named(scene: &Scene, id: sprongus_core::values::ids::RunId, pid: &str) {
    let log = scene.log(id).await;
    let named = format!("[killed sleep (process {pid}), which had left its command's process group]");
    assert!(log.contains(&named), "{log:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_left_its_group_ends_with_its_attempt_and_is_named() {
    let mut scene = Scene::new();
    let wait = format!("while [ ! -s {} ]; do sleep 0.05; done", scene.path().join("daemon").display());
    scene.declare(&format!("[kinds.k]\n{}", daemon(&scene, &wait)));
    let id = scene.enqueue("k", json!({})).await;
    let pid = scene.file("daemon").await;
    scene.until_state(id, State::Succeeded).await;
    is_gone(&scene, &pid).await;
    is_named(&scene, id, &pid).await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_when_the_run_is_called_off_times_out_or_the_worker_stops() {
    for how in ["cancel", "timeout", "stop"] {
        let mut scene = Scene::new();
        scene.options.grace = Duration::ZERO;
        let timeout = if how == "timeout" { "timeout = \"2s\"\n" } else { "" };
        scene.declare(&format!("[kinds.k]\n{timeout}{}", daemon(&scene, "sleep 60")));
        let run = NewRun { max_attempts: Some(1), ..NewRun::new("k", Json::empty_object()) };
        let id = scene.enqueue_with(run).await;
        let pid = scene.file("daemon").await;
        assert!(lives(&pid));
        match how {
            "cancel" => {
                scene.runs.cancel(id).await.unwrap();
                scene.until(id, |run| run.lease_expires_at.is_none()).await;
            }
            "stop" => scene.shutdown.now(),
            _ => {
                scene.until_state(id, State::Failed).await;
            }
        }
        is_gone(&scene, &pid).await;
        if how == "stop" {
            scene.ended().await;
        } else {
            is_named(&scene, id, &pid).await;
            scene.end().await;
        }
    }
}
