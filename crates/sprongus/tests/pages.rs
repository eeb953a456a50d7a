//! Every block of code in the documentation: which test runs it, or why none does; a block that nobody has thought of fails. What has no
//! runner elsewhere is run here: declarations, the storyboard's commands, the README's program. And every command that stands in a
//! sentence exists, with the options it has there.

#![expect(clippy::expect_used, reason = "a test that cannot set itself up has failed")]

#[path = "pages/spoken.rs"]
mod spoken;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use sprongus::core::run::NewRun;
use sprongus::core::values::names::WorkspaceId;
use sprongus::sqlite::{Options, Sqlite};
use sprongus::worker::declaration::Declaration;
use sprongus::worker::{HandlerError, RunContext, Shutdown, Worker, WorkerOptions};
use sprongus::{Caller, RunsExt as _, RunsService};

/// Who runs a page's blocks of a language. Sessions (`console`) are `readme.rs`'s, on every page.
const RUN: &[(&str, &str, &str)] = &[
    ("README.md", "rust", "pages.rs"),
    ("docs/api.md", "python", "api_page/main.rs"),
    ("docs/api.md", "sh", "api_page/main.rs"),
    ("docs/api.md", "toml", "pages.rs"),
    ("docs/config.md", "toml", "pages.rs"),
    ("docs/embedding.md", "rust", "embedding.rs"),
    ("docs/operations.md", "sql", "cli/monitoring/alerts.rs"),
    ("docs/operations.md", "yaml", "cli/monitoring/alerts.rs"),
    ("docs/postgres.md", "sh", "postgres_page.rs"),
    ("docs/postgres.md", "sql", "postgres_page.rs"),
    ("docs/proxies.md", "caddy", "cli/proxies.rs"),
    ("docs/proxies.md", "haproxy", "cli/proxies.rs"),
    ("docs/proxies.md", "nginx", "cli/proxies.rs"),
    ("docs/retention.md", "toml", "pages.rs"),
    ("docs/schedules.md", "toml", "pages.rs"),
    ("docs/sql.md", "python", "postgres_page.rs"),
    ("docs/sql.md", "sh", "postgres_page.rs"),
    ("docs/sql.md", "sql", "postgres_page.rs"),
    ("examples/storyboard/README.md", "sh", "pages.rs"),
];

/// What no test runs as it stands, by how the block begins, and what stands in for it.
const NOT_RUN: &[(&str, &str, &str)] = &[
    ("README.md", "cargo run --release -- demo", "the forge runs both; tests/cli/demo.rs runs the demo"),
    ("CONTRIBUTING.md", "cargo run -- demo", "the forge runs them"),
    (
        "docs/tutorial.md",
        "cargo install",
        "builds for minutes; tests/cli/help.rs has each shell read its completions",
    ),
    (
        "docs/embedding.md",
        "[dependencies]",
        "needs the repository's address; the workspace builds with these features",
    ),
    (
        "docs/operations.md",
        "OTEL_EXPORTER_OTLP_ENDPOINT=",
        "tests/cli/traces.rs, with a collector that is there",
    ),
    ("docs/postgres.md", "; pgbouncer.ini", "needs PgBouncer; its settings were tried by hand"),
    (
        "packaging/README.md",
        "docker build",
        "needs Docker; tests/cli/packaging.rs tries the lines that can be",
    ),
    (
        "packaging/README.md",
        "install -m 755",
        "needs root; tests/cli/packaging.rs has systemd read the units",
    ),
    ("packaging/README.md", "cargo install --locked cargo-cyclonedx", "needs a network"),
    (
        "examples/agent-review/README.md",
        "cargo build --release",
        "readme.rs builds the same without --release",
    ),
];

/// A block of code.
struct Block {
    page: String,
    language: String,
    text: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The pages for those who use it, by their paths.
fn pages() -> Vec<(String, String)> {
    let mut names = vec!["README.md".to_owned(), "CONTRIBUTING.md".to_owned()];
    let folder =
        |name: &str| fs::read_dir(root().join(name)).expect("a folder").map(|entry| entry.expect("an entry"));
    names.extend(folder("docs").map(|page| format!("docs/{}", page.file_name().to_string_lossy())));
    names.extend(
        folder("examples").map(|one| format!("examples/{}/README.md", one.file_name().to_string_lossy())),
    );
    names.push("packaging/README.md".to_owned());
    let mut pages: Vec<_> = names
        .into_iter()
        .filter(|name| name.ends_with(".md"))
        .map(|name| (name.clone(), fs::read_to_string(root().join(name)).expect("text")))
        .collect();
    pages.sort();
    pages
}

fn blocks() -> Vec<Block> {
    let mut blocks = Vec::new();
    for (page, text) in pages() {
        for block in text.split("\n```").skip(1).step_by(2) {
            let (language, text) = block.split_once('\n').expect("a block's first line");
            blocks.push(Block { page: page.clone(), language: language.to_owned(), text: text.to_owned() });
        }
    }
    blocks
}

#[test]
fn every_block_has_its_test() {
    let (mut run, mut not_run) = (BTreeSet::new(), BTreeSet::new());
    for block in blocks() {
        // Drawings and the like, and what a test compares with the program's own output.
        if ["text", "console"].contains(&block.language.as_str()) {
            continue;
        }
        let excused =
            NOT_RUN.iter().find(|(page, begins, _)| *page == block.page && block.text.starts_with(begins));
        let runner =
            RUN.iter().find(|(page, language, _)| *page == block.page && *language == block.language);
        match (excused, runner) {
            (Some(excuse), _) => not_run.insert(excuse),
            (None, Some(runner)) => run.insert(runner),
            (None, None) => {
                let (page, language, text) = (block.page, block.language, block.text);
                panic!("{page}: say in pages.rs which test runs this block of {language:?}\n{text}")
            }
        };
    }
    let stale: Vec<_> = RUN
        .iter()
        .filter(|one| !run.contains(one))
        .chain(NOT_RUN.iter().filter(|one| !not_run.contains(one)))
        .collect();
    assert!(stale.is_empty(), "no such block any more: {stale:?}");
    for (page, language, runner) in RUN {
        let source = fs::read_to_string(root().join("crates/sprongus/tests").join(runner)).expect("a test");
        let name = page.rsplit('/').next().expect("a name");
        assert!(source.contains(name), "{runner} does not read {page} for its blocks of {language}");
    }
}

#[test]
fn every_declaration_is_one() {
    let mut read = 0;
    for block in blocks() {
        if block.language == "toml" && block.page != "docs/embedding.md" {
            // The schema that the page names need not be there to show how it is named.
            let text = block.text.replace("input_schema = \"schemas/report.json\"\n", "");
            Declaration::parse(&text, Path::new("sprongus.toml"))
                .unwrap_or_else(|fault| panic!("{}: {fault}", block.page));
            read += 1;
        }
    }
    assert!(read >= 3, "config.md, api.md and retention.md have one each");
}

/// In a copy of the example's folder, by one shell, in the order of the page.
#[test]
fn the_storyboards_commands_do_what_its_page_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let work = folder.path().join("work");
    let copied = Command::new("cp").arg("-r").arg(root().join("examples/storyboard")).arg(&work).status();
    assert!(copied.expect("cp").success());
    let script: Vec<String> = blocks()
        .into_iter()
        .filter(|block| block.page == "examples/storyboard/README.md" && block.language == "sh")
        .map(|block| block.text)
        .collect();
    let script = format!("set -e\n{}\nkill $(jobs -p); wait\n", script.join("\n"));
    let binary = Path::new(env!("CARGO_BIN_EXE_sprongus")).parent().expect("a folder").display().to_string();
    let mut shell = Command::new("bash");
    shell.args(["--norc", "-c", &script]).current_dir(&work).env_clear();
    shell.env("PATH", format!("{binary}:/usr/bin:/bin")).env("HOME", folder.path()).env("USER", "ada");
    let output = shell.output().expect("bash");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    assert_eq!(out.matches("✓ succeeded").count(), 5, "{out}\n{err}");
    assert!(out.contains("retrying in"), "the locked screenplay was retried: {out}");
    assert!(work.join("storyboard.csv").is_file() && work.join("storyboard.md").is_file());
}

/// The README's program, compiled; the next test holds the page to it.
#[expect(dead_code, reason = "it would wait for a signal")]
async fn program() -> Result<(), Box<dyn std::error::Error>> {
    async fn count(_: RunContext, input: serde_json::Value) -> Result<serde_json::Value, HandlerError> {
        Ok(input)
    }
    use serde_json::json;
    let store = Sqlite::open(Path::new("runs.db"), Options::default())?;
    let runs = RunsService::new(Arc::new(store)).for_caller(Caller::new(WorkspaceId::local(), "my-program"));
    let made = runs.enqueue_one(NewRun::new("text.count", json!({ "path": "README.md" }).into())).await?;
    let worker = Worker::new(Arc::clone(&runs), WorkerOptions::default()).kind("text.count", count);
    worker.run(Shutdown::on_signals()?).await?;
    drop(made);
    Ok(())
}

#[test]
fn the_program_of_the_readme_is_the_one_compiled_here() {
    let here: BTreeSet<&str> = include_str!("pages.rs").lines().map(str::trim).collect();
    let block = blocks().into_iter().find(|block| block.page == "README.md" && block.language == "rust");
    let text = block.expect("a program").text;
    let strange: Vec<&str> = text.lines().filter(|line| !here.contains(line.trim())).collect();
    assert!(strange.is_empty() && text.lines().count() >= 5, "{strange:?}");
}
