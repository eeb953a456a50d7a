//! Nothing that is secret comes out: secrets of every shape and what is private are planted wherever anybody can write, and everything that
//! comes out is searched. `planted.rs` has what is planted, `others.rs` speaks HTTP as a client that is none of ours.
//!
//! What is legitimate is left out by not being collected: the answer in which a client is given its own run, and what a person reads of it
//! with a token. Logs, spans, metrics, refusals and what commands say on stderr have no such exception.

mod others;
mod planted;

use std::process::{Command, Stdio};

use sprongus::core::run::lease::PREFIX as LEASE_TOKEN;

use crate::backing::{Backing, Served};
use crate::sandbox::{Done, Sandbox, finished};
use crate::traces::{Collector, terminate, until};
use others::Client;
use planted::{PHONE, PRIVATE, SECRET, TOKEN, secrets};

/// All that came out, each with where it did.
#[derive(Default)]
struct Out(Vec<(String, String)>);

impl Out {
    fn add(&mut self, place: impl Into<String>, text: impl Into<String>) {
        self.0.push((place.into(), text.into()));
    }

    /// What a command said; what it was asked for, and answered, is the asker's own.
    fn done(&mut self, place: &str, done: &Done) {
        if done.code != Some(0) || place.contains("doctor") || place.contains("logs") {
            self.add(format!("{place}, stdout"), &done.out);
        }
        self.add(format!("{place}, stderr"), &done.err);
    }

    /// Where a marker came out.
    fn leaks(&self, markers: &[&str]) -> Vec<String> {
        let mut leaks = Vec::new();
        for (place, text) in &self.0 {
            for line in text.lines().filter(|line| markers.iter().any(|marker| line.contains(marker))) {
                leaks.push(format!("{place}: {}", line.chars().take(600).collect::<String>()));
            }
        }
        leaks
    }

    #[track_caller]
    fn holds_none(&self, markers: &[&str]) {
        let said = self.0.iter().filter(|(_, text)| !text.is_empty()).count();
        assert!(said * 2 > self.0.len(), "{said} of {} places say anything", self.0.len());
        let leaks = self.leaks(markers);
        assert!(leaks.is_empty(), "{} leaks:\n{}", leaks.len(), leaks.join("\n"));
    }
}

/// A server and a worker that say all they can, with secrets all around them.
struct Scene {
    sandbox: Sandbox,
    collector: Collector,
    backing: Backing,
}

impl Scene {
    fn new(backing: Backing) -> Self {
        let sandbox = Sandbox::on(backing);
        sandbox.write("sprongus.toml", planted::DECLARATION);
        let secrets_folder = sandbox.path().join(".sprongus/secrets");
        std::fs::create_dir_all(&secrets_folder).unwrap();
        std::fs::write(secrets_folder.join("pin"), format!("{SECRET}-in-a-file\n")).unwrap();
        Self { sandbox, collector: Collector::start(), backing }
    }

    /// A command that says all it can, among secrets.
    fn command(&self, words: &[&str]) -> Command {
        let file = self.sandbox.file().display().to_string();
        let mut all = vec!["-v", "-v"];
        if self.backing == Backing::File {
            all.extend(["--db", &file]);
        }
        all.extend(words);
        let mut command = self.sandbox.command(&all);
        command.env("SPRONGUS_LOG", "trace").env("OTEL_EXPORTER_OTLP_ENDPOINT", &self.collector.url);
        command.env(
            "OTEL_EXPORTER_OTLP_HEADERS",
            format!("authorization=Bearer {SECRET}-of-the-collector-0001"),
        );
        command.env("OPENAI_API_KEY", format!("sk-proj-{SECRET}0000000000000009"));
        command.env("HOOK_PASSWORD", format!("{SECRET}-by-reference"));
        // A bucket that nobody serves, with a password in its address.
        command.env("SPRONGUS_ARTIFACTS", "s3://kept/here").env("AWS_ACCESS_KEY_ID", "AKIAPLANTED000000002");
        command
            .env("AWS_SECRET_ACCESS_KEY", format!("{SECRET}-of-the-bucket"))
            .env("AWS_REGION", "eu-north-1");
        command.env("AWS_ENDPOINT", "http://127.0.0.1:9").env("AWS_ALLOW_HTTP", "true");
        command
    }

    fn run(&self, words: &[&str]) -> Done {
        finished(self.command(words).spawn().unwrap())
    }
}

fn nothing_secret_comes_out(backing: Backing) {
    let scene = Scene::new(backing);
    let log = std::fs::File::create(scene.sandbox.path().join("serve.log")).unwrap();
    let mut command = scene.command(&["--json", "serve", "--listen", "127.0.0.1:0", "--no-listen"]);
    let (served, url) = started(command.stderr(log));
    let token = scene.sandbox.run(&token_words(&scene)).exits(0).out.trim().to_owned();
    let client = Client { url: url.clone(), token: token.clone() };

    let mut out = Out::default();
    client.plant(&mut out);

    // A worker that is a client of the server executes what talks.
    let mut command = scene.sandbox.command(&["-v", "-v", "--json", &format!("--remote={url}"), "worker"]);
    for (name, value) in scene.command(&[]).get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    // It says more than a pipe holds.
    let log = std::fs::File::create(scene.sandbox.path().join("worker.log")).unwrap();
    let working = command.env("SPRONGUS_TOKEN", &token).stderr(log).spawn().unwrap();
    let runs: Vec<String> = planted::KINDS.iter().map(|kind| client.enqueue_by_reference(kind)).collect();
    until("an end of each run", || runs.iter().all(|id| client.is_over(id)));
    for id in &runs {
        for part in ["", "/steps", "/events", "/logs"] {
            out.add(format!("run {part}"), client.get(&format!("/v1/runs/{id}{part}")));
        }
        let words = [&format!("--remote={url}"), "runs", "logs", id.as_str()];
        let mut command = scene.sandbox.command(&words.map(|word| word as &str));
        out.done("runs logs", &finished(command.env("SPRONGUS_TOKEN", &token).spawn().unwrap()));
    }
    client.look_at_pages(&runs, &mut out);
    out.add("metrics", client.get("/metrics"));
    terminate(working.id());
    let worked = finished(working).exits(0);
    out.add("worker, stdout", &worked.out);

    planted::commands(
        &mut out,
        |words| scene.run(words),
        |words, name, value| finished(scene.command(words).env(name, value).spawn().unwrap()),
    );

    terminate(served.id());
    until("the spans", || scene.collector.spans().len() > 20);
    let mut logs = Out::default();
    logs.add("serve, log", std::fs::read_to_string(scene.sandbox.path().join("serve.log")).unwrap());
    logs.add("worker, log", std::fs::read_to_string(scene.sandbox.path().join("worker.log")).unwrap());
    logs.add("spans", scene.collector.text());
    logs.add("metrics", client_metrics(&out));
    // It was told enough for the search to mean something.
    for (place, text) in &logs.0 {
        assert!(text.len() > 2_000, "{place} says {} bytes only", text.len());
    }
    assert!(logs.0[0].1.contains("\"level\":\"DEBUG\"") && logs.0[0].1.contains("refused"));
    out.0.extend(logs.0.iter().cloned());
    // Runs were claimed, by a worker of ours and by a client.
    assert!(out.0.iter().any(|(place, text)| place.contains("/events") && text.contains("run.started")));
    out.holds_none(&[SECRET, TOKEN, &token, LEASE_TOKEN]);
    logs.holds_none(&[PRIVATE, PHONE]);

    // The search finds what is there, and every shape is one that the layer knows.
    out.add("control", format!("a line with {SECRET} in it"));
    assert_eq!(out.leaks(&[SECRET]).len(), 1);
    for (name, secret) in secrets() {
        let masked = sprongus::core::redact::redact(&secret).into_owned();
        let holds = |text: &str| [SECRET, TOKEN].iter().any(|marker| text.contains(marker));
        assert!(holds(&secret) && !holds(&masked), "{name} passes the layer: {masked}");
    }
}

fn client_metrics(out: &Out) -> String {
    out.0.iter().find(|(place, _)| place == "metrics").unwrap().1.clone()
}

fn token_words(scene: &Scene) -> Vec<&str> {
    let words = [
        "-q",
        "token",
        "create",
        "--name",
        "all",
        "--scopes",
        "runs:read,runs:write,runs:approve,runs:work,admin",
    ];
    match scene.backing {
        Backing::File | Backing::Remote => {
            let file: &'static str = Box::leak(scene.sandbox.file().display().to_string().into_boxed_str());
            [&["--db", file], &words[..]].concat()
        }
        Backing::Postgres => words.to_vec(),
    }
}

/// Starts a server whose first line is a document, and answers its URL.
fn started(command: &mut Command) -> (Served, String) {
    let served = Served::start_telling(command.stdout(Stdio::piped()));
    let url = served.url.clone();
    (served, url)
}

mod file {
    #[test]
    fn nothing_secret_comes_out() {
        super::nothing_secret_comes_out(super::Backing::File);
    }
}

mod postgres {
    #[test]
    fn nothing_secret_comes_out() {
        super::nothing_secret_comes_out(super::Backing::Postgres);
    }
}
