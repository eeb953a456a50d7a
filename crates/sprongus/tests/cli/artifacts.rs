//! `runs artifacts`, and where they lie.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use sprongus::core::run::Hold;
use sprongus::core::run::artifact::{ArtifactName, ByteStream};
use sprongus::{ErrorCode, Runs, RunsExt};
use sprongus_throwaway::BucketServer;

use crate::backing::{Backing, Served, sessions};
use crate::sandbox::{Done, Sandbox, block_on, finished, worker};

fn body(bytes: &[u8]) -> ByteStream {
    Box::pin(futures_util::stream::iter([io::Result::Ok(bytes.to_vec().into())]))
}

/// Claims the next run and keeps files of it.
async fn keep(runs: &dyn Runs, files: &[(&str, &[u8])]) -> Hold {
    let claimed = runs.claim_next(&worker(), 1).await.unwrap().remove(0);
    let hold = claimed.hold();
    for (name, bytes) in files {
        let name: ArtifactName = name.parse().unwrap();
        runs.put_artifact(&hold, &name, "text/plain", body(bytes)).await.unwrap();
    }
    hold
}

/// A run that keeps files.
fn kept(sandbox: &Sandbox, files: &[(&str, &[u8])]) -> String {
    let id = sandbox.enqueue("a");
    block_on(async { keep(&*sandbox.runs().await, files).await });
    id
}

fn fetch(sandbox: &Sandbox, id: &str, into: &str) -> Done {
    sandbox.run(&["runs", "artifacts", id, "--download", into])
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

const REPORT: &[u8] = b"# Report\n";

fn a_run_shows_its_files_and_gives_them(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    let large: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let id = kept(&sandbox, &[("report.md", REPORT), ("out/deep/\u{fc}.bin", &large), ("out/empty", b"")]);
    let table = sandbox.run(&["runs", "artifacts", &id]).exits(0).out;
    for expected in
        ["NAME", "report.md", "9 B", "text/plain", "497b7725a001", "11 MiB", "out/deep/\u{fc}.bin"]
    {
        assert!(table.contains(expected), "{expected} is not in {table}");
    }
    let names = sandbox.run(&["-q", "runs", "artifacts", &id]).exits(0).out;
    assert_eq!(names, "out/deep/\u{fc}.bin\nout/empty\nreport.md\n");
    let listed = sandbox.run(&["--json", "runs", "artifacts", &id]).exits(0).json();
    let report = &listed["data"][2];
    assert_eq!((report["name"].as_str(), report["size"].as_u64()), (Some("report.md"), Some(9)));
    assert_eq!((report["runId"].as_str(), report["contentType"].as_str()), (Some(&*id), Some("text/plain")));
    let status = sandbox.run(&["runs", "status", &id]).exits(0).out;
    assert!(status.contains("3 files, 11 MiB") && status.contains("runs artifacts"), "{status}");

    let done = fetch(&sandbox, &id, "got").exits(0);
    assert_eq!(done.out, "got/out/deep/\u{fc}.bin\ngot/out/empty\ngot/report.md\n");
    let got = sandbox.path().join("got");
    assert_eq!(fs::read(got.join("report.md")).unwrap(), REPORT);
    assert!(fs::read(got.join("out/deep/\u{fc}.bin")).unwrap() == large);
    assert_eq!(fs::read(got.join("out/empty")).unwrap(), b"");
    assert_eq!(files(&got).len(), 3);

    let again = fetch(&sandbox, &id, "got").exits(0);
    assert_eq!((again.out, again.err.matches("unchanged: ").count()), (done.out, 3));
    let lines = sandbox.run(&["--json", "runs", "artifacts", &id, "--download", "got"]).exits(0).lines();
    assert_eq!(
        (lines[2]["path"].as_str(), lines[2]["unchanged"].as_bool()),
        (Some("got/report.md"), Some(true))
    );
    assert_eq!(lines[2]["sha256"], report["sha256"]);
}

fn a_run_without_files_says_so(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    let id = sandbox.enqueue("a");
    assert_eq!(sandbox.run(&["runs", "artifacts", &id]).exits(0).out, "no artifacts\n");
    assert_eq!(fetch(&sandbox, &id, "got").exits(0).out, "");
    assert!(!sandbox.path().join("got").exists());
    sandbox.line("runs artifacts 00000000000000000000000000").exits(3);
    fetch(&sandbox, "00000000000000000000000000", "got").exits(3);
}

fn what_is_there_already_is_left_alone(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    let id = kept(&sandbox, &[("out/a.txt", b"a"), ("report.md", REPORT)]);
    let got = sandbox.path().join("got");
    fs::create_dir(&got).unwrap();
    fs::write(got.join("report.md"), b"# My own\n").unwrap();
    assert!(fetch(&sandbox, &id, "got").exits(4).error().contains("report.md"));
    assert_eq!(fs::read(got.join("report.md")).unwrap(), b"# My own\n", "of the same length");

    let outside = sandbox.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::remove_dir_all(&got).unwrap();
    fs::create_dir(&got).unwrap();
    symlink(&outside, got.join("out")).unwrap();
    assert!(fetch(&sandbox, &id, "got").exits(4).error().contains("out/a.txt"));
    assert!(files(&outside).is_empty(), "a link leads nowhere");
    fs::remove_file(got.join("out")).unwrap();
    fetch(&sandbox, &id, "got").exits(0);
    assert_eq!(fs::read(got.join("out/a.txt")).unwrap(), b"a");
}

fn what_is_damaged_gets_no_name(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    let id = kept(&sandbox, &[("report.md", REPORT)]);
    let [bytes] = &*files(&sandbox.artifacts()) else { panic!("one file of bytes") };
    for damaged in [&b"# repor"[..], b"# Repork\n", b"# Report\n and more"] {
        fs::write(bytes, damaged).unwrap();
        let done = fetch(&sandbox, &id, "got");
        let longer = damaged.len() > REPORT.len();
        // What was appended is no part of the artifact.
        let error = done.exits(if longer { 0 } else { 8 });
        assert!(longer || !error.error().contains("sprongus/artifacts"), "{}", error.err);
        assert_eq!(files(&sandbox.path().join("got")).len(), usize::from(longer), "{damaged:?}");
    }
    fs::remove_file(bytes).unwrap();
    fetch(&sandbox, &id, "elsewhere").exits(3);
    assert!(files(&sandbox.path().join("elsewhere")).is_empty());
}

sessions! {
    a_run_shows_its_files_and_gives_them,
    a_run_without_files_says_so,
    what_is_there_already_is_left_alone,
    what_is_damaged_gets_no_name,
}

#[test]
fn pruned_runs_take_their_files_along() {
    let sandbox = Sandbox::new();
    sandbox.enqueue("a");
    block_on(async {
        let runs = sandbox.runs().await;
        let hold = keep(&*runs, &[("report.md", REPORT)]).await;
        runs.cancel(hold.id).await.unwrap();
    });
    let (folder, file) = (sandbox.artifacts(), sandbox.file().display().to_string());
    assert_eq!(files(&folder).len(), 1);
    sandbox.write("sprongus.toml", "[retention]\nfailed = \"1ms\"\n[retention.kinds.a]\nfailed = \"1d\"\n");
    let kept = sandbox.run(&["--db", &file, "runs", "prune"]).exits(0);
    assert_eq!(kept.out, "deleted no runs\n", "its kind keeps it longer");
    sandbox.write("sprongus.toml", "[retention.kinds.a]\nfailed = \"1ms\"\n");
    let counted = sandbox.run(&["--db", &file, "runs", "prune", "--dry-run"]).exits(0);
    assert_eq!(counted.out, "would delete 1 canceled\n  a: 1 canceled\n");
    let counted = sandbox.run(&["--db", &file, "--json", "runs", "prune", "--dry-run"]).exits(0).json();
    assert_eq!(counted, serde_json::json!({"runs": {"canceled": 1}, "kinds": {"a": {"canceled": 1}}}));
    let pruned = sandbox.run(&["--db", &file, "runs", "prune"]).exits(0);
    assert!(pruned.out.contains("1 canceled") && pruned.err.is_empty(), "{pruned:?}");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0, "the folder of the run is gone, too");
}

#[test]
fn a_mistaken_place_stops_those_who_need_it() {
    let sandbox = Sandbox::new();
    let id = kept(&sandbox, &[("report.md", REPORT)]);
    let with = |place: &str, words: &[&str]| {
        let mut command = sandbox.command(words);
        let mut child = command.env("SPRONGUS_ARTIFACTS", place).spawn().unwrap();
        let until = Instant::now() + Duration::from_secs(20);
        while child.try_wait().unwrap().is_none() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
        // A server that starts all the same would not end by itself.
        let _ = child.kill();
        finished(child)
    };
    let file = sandbox.file().display().to_string();
    let bad = "ftp://u:hunter2@h";
    with(bad, &["runs", "status", &id]).exits(0);
    for words in [
        &["runs", "artifacts", &id, "--download", "got"][..],
        &["serve", "--listen", "127.0.0.1:0", "--db", &file],
    ] {
        let done = with(bad, words).exits(2);
        assert!(done.error().starts_with("SPRONGUS_ARTIFACTS: "), "{}", done.err);
        assert!(!done.err.contains("hunter2"), "{}", done.err);
    }
    let doctor = with(bad, &["doctor"]).exits(1);
    assert!(doctor.out.contains("\u{2717} artifacts") && !doctor.out.contains("hunter2"), "{}", doctor.out);
    let doctor = with(&file, &["doctor"]).exits(1);
    assert!(doctor.out.contains("not a directory"), "{}", doctor.out);
    let fine = sandbox.line("doctor").exits(0).out;
    assert!(fine.contains(&format!("{} (next to the database)", sandbox.artifacts().display())), "{fine}");
}

#[test]
fn several_machines_are_told_to_share_a_place() {
    let sandbox = Sandbox::on(Backing::Postgres);
    let findings = sandbox.line("--json doctor").exits(1).json();
    let artifacts =
        findings["findings"].as_array().unwrap().iter().find(|it| it["what"] == "artifacts").unwrap();
    assert_eq!(artifacts["ok"], true);
    assert!(artifacts["found"].as_str().unwrap().contains("a bucket or a shared folder"), "{artifacts}");
    assert!(!sandbox.artifacts().exists(), "looking makes nothing");
}

/// A server that keeps artifacts in a bucket, and the variables that say so.
fn serve_from(bucket: &BucketServer, sandbox: &Sandbox) -> (Served, Vec<(&'static str, String)>) {
    let variables = vec![
        ("SPRONGUS_ARTIFACTS", "s3://ours/runs".to_owned()),
        ("AWS_ENDPOINT", bucket.url()),
        ("AWS_ALLOW_HTTP", "true".to_owned()),
        ("AWS_ACCESS_KEY_ID", "AKIAOURS".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "hunter2".to_owned()),
    ];
    let file = sandbox.file().display().to_string();
    let mut command = sandbox.command(&["-q", "serve", "--listen", "127.0.0.1:0", "--db", &file]);
    command.envs(variables.iter().map(|(name, value)| (name, value))).stderr(Stdio::null());
    (Served::start(&mut command), variables)
}

fn client(sandbox: &Sandbox, served: &Served) -> sprongus_http::client::RunsClient {
    let token = fs::read_to_string(sandbox.path().join("data/sprongus/runs.db.token")).unwrap();
    let token = sprongus::core::workspace::token::TokenSecret::parse(token.trim()).unwrap();
    sprongus_http::client::RunsClient::new(&served.url, &token, &sprongus_http::client::Options::default())
        .unwrap()
}

#[test]
fn artifacts_in_a_bucket_are_reached_from_here_and_from_afar() {
    let bucket = BucketServer::start().unwrap();
    bucket.make("ours").unwrap();
    let sandbox = Sandbox::new();
    let (served, variables) = serve_from(&bucket, &sandbox);
    let id = sandbox.enqueue("a");
    let large = vec![7; 9 << 20];
    block_on(async {
        keep(&client(&sandbox, &served), &[("large.bin", &large), ("report.md", REPORT)]).await
    });
    let keys = bucket.keys("ours").unwrap();
    assert_eq!(keys.len(), 2);
    assert!(keys.iter().all(|key| key.starts_with(&format!("runs/default/{id}/"))), "{keys:?}");
    assert!(!sandbox.artifacts().exists());

    let remote = format!("--remote={}", served.url);
    sandbox.run(&[&remote, "runs", "artifacts", &id, "--download", "afar"]).exits(0);
    let here = |words: &[&str]| {
        let mut command = sandbox.command(words);
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        finished(command.spawn().unwrap())
    };
    here(&["runs", "artifacts", &id, "--download", "here"]).exits(0);
    for folder in ["afar", "here"] {
        assert_eq!(fs::read(sandbox.path().join(folder).join("report.md")).unwrap(), REPORT);
        assert!(fs::read(sandbox.path().join(folder).join("large.bin")).unwrap() == large);
    }
    let doctor = here(&["-v", "doctor"]).exits(0);
    assert!(doctor.out.contains(&format!("s3://ours/runs at {}", bucket.url())), "{}", doctor.out);
    assert_eq!(bucket.keys("ours").unwrap(), keys, "looking leaves nothing");
    drop(bucket);
    let away = here(&["-v", "doctor"]).exits(1);
    assert!(away.out.contains("no answer from the server"), "{}", away.out);
    for done in [doctor, away] {
        let text = done.out + &done.err;
        assert!(!text.contains("hunter2") && !text.contains("AKIAOURS"), "{text}");
    }
}

#[test]
fn an_artifact_is_as_large_as_the_declaration_lets_it_be() {
    let sandbox = Sandbox::new();
    sandbox.write("sprongus.toml", "[artifacts]\nurl = \"kept\"\nmax_size = \"1kB\"\n");
    let file = sandbox.file().display().to_string();
    let mut command = sandbox.command(&["-q", "serve", "--listen", "127.0.0.1:0", "--db", &file]);
    let served = Served::start(command.stderr(Stdio::null()));
    sandbox.run(&["--db", &file, "runs", "enqueue", "a"]).exits(0);
    let client = client(&sandbox, &served);
    block_on(async {
        let hold = keep(&client, &[("small", &[1; 1_000])]).await;
        let large =
            client.put_artifact(&hold, &"large".parse().unwrap(), "text/plain", body(&[1; 1_001])).await;
        assert_eq!(large.unwrap_err().code(), ErrorCode::PayloadTooLarge);
    });
    assert_eq!(files(&sandbox.path().join("kept")).len(), 1, "beside sprongus.toml");
}

#[test]
fn ctrl_c_leaves_no_half_file() {
    let sandbox = Sandbox::new();
    let large = vec![0; 200 << 20];
    let id = kept(&sandbox, &[("large.bin", &large)]);
    let got = sandbox.path().join("got");
    // On a busy machine all of it may be there before its beginning is seen here.
    let broken_off = (0..10).any(|_| {
        let _ = fs::remove_dir_all(&got);
        let child = sandbox.command(&["runs", "artifacts", &id, "--download", "got"]).spawn().unwrap();
        while files(&got).iter().all(|file| fs::metadata(file).map_or(0, |file| file.len()) == 0) {
            std::thread::sleep(Duration::from_millis(1));
        }
        let process = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(process, rustix::process::Signal::INT).unwrap();
        let done = finished(child);
        let is_done = done.code == Some(0);
        if !is_done {
            done.exits(130);
        }
        !is_done
    });
    assert!(broken_off, "each download was done before it could be broken off");
    assert!(files(&got).is_empty());
}
