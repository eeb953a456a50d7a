//! What artifacts hold.

use futures_util::StreamExt as _;
use sprongus_core::values::ids::RunId;

use crate::scene::Scene;

pub async fn artifact_bytes(scene: &Scene, id: RunId, name: &str) -> Vec<u8> {
    let mut body = scene.runs.artifact(id, &name.parse().unwrap(), None).await.unwrap().body;
    let mut all = Vec::new();
    while let Some(bytes) = body.next().await {
        all.extend_from_slice(&bytes.unwrap());
    }
    all
}

pub async fn artifact_text(scene: &Scene, id: RunId, name: &str) -> String {
    String::from_utf8(artifact_bytes(scene, id, name).await).unwrap()
}
