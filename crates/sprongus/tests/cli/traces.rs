//! Traces as a collector gets them, over OTLP: what enqueues over HTTP and what executes is one trace, and nothing of what a run is about
//! is in it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use rustix::process::{Pid, Signal, kill_process};

use crate::backing::Served;
use crate::sandbox::{Sandbox, finished};

/// Paths and bodies of what was sent.
type Taken = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// A collector that takes everything, and keeps it.
pub struct Collector {
    pub url: String,
    taken: Taken,
}

impl Collector {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://collector:hunter2-planted@{}", listener.local_addr().unwrap());
        let taken: Taken = Arc::default();
        let kept = Arc::clone(&taken);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let kept = Arc::clone(&kept);
                std::thread::spawn(move || while take(stream.as_ref().unwrap(), &kept).is_some() {});
            }
        });
        Self { url, taken }
    }

    /// All that was sent so far, as text: what is none is left as it is.
    pub fn text(&self) -> String {
        self.taken
            .lock()
            .unwrap()
            .iter()
            .map(|(_, body)| String::from_utf8_lossy(body).into_owned())
            .collect()
    }

    /// Every span so far, with the name of the service that sent it.
    pub fn spans(&self) -> Vec<(String, Span)> {
        let mut spans = Vec::new();
        for (path, body) in self.taken.lock().unwrap().iter() {
            assert_eq!(path, "/v1/traces");
            for of_resource in ExportTraceServiceRequest::decode(body.as_slice()).unwrap().resource_spans {
                let resource = of_resource.resource.unwrap();
                let name = text(&resource.attributes, "service.name").unwrap().to_owned();
                let all = of_resource.scope_spans.into_iter().flat_map(|of_scope| of_scope.spans);
                spans.extend(all.map(|span| (name.clone(), span)));
            }
        }
        spans
    }
}

/// Takes a request of a connection.
fn take(mut stream: &TcpStream, kept: &Taken) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let (mut path, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if path.is_empty() {
            path = line.split(' ').nth(1)?.to_owned();
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    kept.lock().unwrap().push((path, body));
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
    stream.write_all(head.as_bytes()).ok()
}

fn text<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()? {
        AnyValue { value: Some(Value::StringValue(text)) } => Some(text),
        other => panic!("{key} is {other:?}"),
    }
}

/// The warnings, but for that of what a worker of another test has left, which is everybody's to remove.
fn warnings(err: &str) -> Vec<&str> {
    err.lines().filter(|line| line.contains("WARN") && !line.contains("left by a dead worker")).collect()
}

pub fn terminate(id: u32) {
    kill_process(Pid::from_raw(i32::try_from(id).unwrap()).unwrap(), Signal::TERM).unwrap();
}

pub fn until(what: &str, done: impl Fn() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(30), "never: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// Asks as a client that has a trace of its own.
fn enqueue(url: &str, token: &str, body: &str) -> String {
    let address = url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!(
        "POST /v1/runs?planted-query=1 HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
         traceparent: 00-{TRACE}-00f067aa0ba902b7-01\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    let run = answer.split("\r\n\r\n").nth(1).unwrap();
    serde_json::from_str::<serde_json::Value>(run).unwrap()["id"].as_str().unwrap().to_owned()
}

#[test]
fn what_enqueues_and_what_executes_are_one_trace() {
    let sandbox = Sandbox::new();
    let collector = Collector::start();
    sandbox.write("sprongus.toml", "[kinds.mail]\ncommand = ['cat']\n[kinds.bad]\nmax_attempts = 1\ncommand = ['sh', '-c', 'cat >&2; exit 3']\n");
    let file = sandbox.file().display().to_string();
    let mut command = sandbox.command(&["-q", "serve", "--listen", "127.0.0.1:0", "--db", &file]);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url).stderr(Stdio::null());
    let served = Served::start(&mut command);
    let token = std::fs::read_to_string(sandbox.path().join("data/sprongus/runs.db.token")).unwrap();
    let mut command = sandbox.command(&["-v", "--db", &file, "worker"]);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url).env("OTEL_SERVICE_NAME", "the-worker");
    let working = command.spawn().unwrap();
    let input = r#""input": {"to": "jane@example.org", "planted-key": "planted-input"}"#;
    let good = enqueue(&served.url, token.trim(), &format!(r#"{{"kind": "mail", {input}}}"#));
    let bad = enqueue(&served.url, token.trim(), &format!(r#"{{"kind": "bad", {input}}}"#));
    let state =
        |id: &str| sandbox.run(&["--db", &file, "--json", "runs", "status", id]).json()["state"].clone();
    until("an end", || state(&good) == "succeeded" && state(&bad) == "failed");
    // What is not sent yet goes at the end.
    for id in [served.id(), working.id()] {
        terminate(id);
    }
    let worked = finished(working).exits(0);
    assert!(!worked.err.contains("hunter2") && warnings(&worked.err).is_empty(), "{}", worked.err);
    until("the spans", || collector.spans().len() >= 4);

    let spans = collector.spans();
    let request = |id: &str| {
        let run = spans.iter().find(|(_, span)| text(&span.attributes, "run") == Some(id)).unwrap();
        let parent = spans.iter().find(|(_, span)| span.span_id == run.1.parent_span_id);
        (parent.expect("a parent that was sent").clone(), run.clone())
    };
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    for (id, kind, outcome) in [(&good, "mail", "succeeded"), (&bad, "bad", "failed")] {
        let ((server, asked), (worker, run)) = request(id);
        assert_eq!((server.as_str(), worker.as_str()), ("sprongus", "the-worker"));
        assert_eq!((hex(&asked.trace_id), hex(&run.trace_id)), (TRACE.to_owned(), TRACE.to_owned()));
        assert_eq!(hex(&asked.parent_span_id), "00f067aa0ba902b7", "the client's own");
        assert_eq!((asked.name.as_str(), run.name), ("POST /v1/runs", format!("run {kind}")));
        assert_eq!(text(&asked.attributes, "http.route"), Some("/v1/runs"));
        for (name, value) in [("kind", kind), ("workspace", "default"), ("outcome", outcome)] {
            assert_eq!(text(&run.attributes, name), Some(value), "{name}");
        }
        assert!(text(&run.attributes, "worker").is_some() && run.events.is_empty());
        let is_error = run.status.unwrap_or_default().code == 2;
        assert_eq!(is_error, outcome == "failed");
    }
    let all = collector.taken.lock().unwrap();
    for (_, body) in all.iter() {
        let exported = String::from_utf8_lossy(body);
        for planted in ["planted", "example.org", "spr_", "hunter2", token.trim()] {
            assert!(!exported.contains(planted), "{planted} was exported: {exported}");
        }
    }
}

#[test]
fn a_collector_that_is_away_costs_a_warning_and_nothing_else() {
    let sandbox = Sandbox::new();
    sandbox.write("sprongus.toml", "[kinds.a]\ncommand = ['true']\n");
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let id = sandbox.enqueue("a");
    let mut command = sandbox.command(&["worker"]);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://collector:hunter2@{address}"));
    command.stderr(std::fs::File::create(sandbox.path().join("err")).unwrap());
    let working = command.env("OTEL_BSP_SCHEDULE_DELAY", "100").spawn().unwrap();
    let state = |id: &str| sandbox.run(&["--json", "runs", "status", id]).json()["state"].clone();
    let err = || std::fs::read_to_string(sandbox.path().join("err")).unwrap();
    until("an end", || state(&id) == "succeeded");
    until("a warning", || !warnings(&err()).is_empty());
    // The span of another run is sent in vain too, when the worker ends at the latest.
    let other = sandbox.enqueue("a");
    until("an end", || state(&other) == "succeeded");
    terminate(working.id());
    let began = Instant::now();
    finished(working).exits(0);
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    let err = err();
    let warnings = warnings(&err);
    assert!(warnings.len() == 1 && warnings[0].contains("cannot reach it"), "{err}");
    assert!(!err.contains("hunter2"), "{err}");
}

#[test]
fn an_address_that_is_none_is_refused_and_not_repeated() {
    let sandbox = Sandbox::new();
    sandbox.write("sprongus.toml", "[kinds.a]\ncommand = ['true']\n");
    let mut command = sandbox.command(&["worker"]);
    let refused =
        finished(command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://u:hunter2@:bad").spawn().unwrap());
    let refused = refused.exits(2);
    assert!(refused.error().contains("OTEL_EXPORTER_OTLP_ENDPOINT"), "{}", refused.err);
    assert!(!refused.err.contains("hunter2"), "{}", refused.err);
}
