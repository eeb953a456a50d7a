//! The document, read by linters of OpenAPI: no errors. Their warnings are matters of taste.

use crate::generated::{document, npm};
use crate::scene::{Scene, printed};

#[test]
fn redocly_finds_no_error() {
    let scene = Scene::new();
    document(&scene);
    let mut lint = npm(&scene, "redocly");
    lint.args(["lint", "openapi.json"])
        .env("REDOCLY_TELEMETRY", "off")
        .env("REDOCLY_SUPPRESS_UPDATE_NOTICE", "true");
    printed(lint.output().expect("redocly"));
}

#[test]
fn spectral_finds_no_error() {
    let scene = Scene::new();
    document(&scene);
    std::fs::write(scene.folder.path().join(".spectral.yaml"), "extends: [\"spectral:oas\"]\n")
        .expect("a file");
    let mut lint = npm(&scene, "spectral");
    lint.args(["lint", "openapi.json", "--fail-severity", "error", "--quiet"]);
    printed(lint.output().expect("spectral"));
}
