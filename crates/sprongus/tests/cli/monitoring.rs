//! What a Prometheus server makes of a server's metrics, by its own parsers and its own tool; and that page, alerts and dashboard speak of
//! metrics that are there. `./test` installs the parsers into `target/tools/python`, and `promtool` beside them.

mod alerts;
mod away;
mod dashboard;
mod exposition;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::backing::{Backing, Served};
use crate::sandbox::{Done, Sandbox, finished};

/// What a Prometheus server of today accepts.
const PROMETHEUS: &str =
    "application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

fn tool(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools").join(name);
    assert!(path.exists(), "{} is missing: ./test installs it", path.display());
    path
}

fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name);
    std::fs::read_to_string(path).unwrap()
}

/// Runs a tool with `text` on stdin.
fn fed(mut command: Command, text: &str) -> Done {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    finished(child)
}

/// `promtool`, with a file of this text as its last word.
fn promtool(words: &[&str], text: &str) -> Done {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file.yml");
    std::fs::write(&file, text).unwrap();
    let mut command = Command::new(tool("promtool"));
    command.args(words).arg(file);
    fed(command, "")
}

/// Every name of a metric of ours in an expression.
fn names(text: &str) -> BTreeSet<String> {
    let name = regex::Regex::new(r"\bsprongus_\w+").unwrap();
    name.find_iter(text).map(|found| found.as_str().to_owned()).collect()
}

/// A server with a worker beside it, a run that has succeeded, one that has failed and one that nobody serves.
struct Scene {
    sandbox: Sandbox,
    _served: Served,
    /// The port of the listener for metrics.
    metrics: u16,
}

impl Scene {
    fn new(backing: Backing) -> Self {
        let sandbox = Sandbox::on(backing);
        sandbox.write(
            "sprongus.toml",
            "[kinds.good]\ncommand = ['true']\n[kinds.bad]\nmax_attempts = 1\ncommand = ['false']\n",
        );
        let file = sandbox.file().display().to_string();
        let metrics = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let scraped = metrics.to_string();
        let mut words =
            vec!["-q", "serve", "--listen", "127.0.0.1:0", "--metrics-listen", &scraped, "--with-worker"];
        if backing == Backing::File {
            words.extend(["--db", &file]);
        }
        let served = Served::start(sandbox.command(&words).stderr(Stdio::null()));
        let scene = Self { sandbox, _served: served, metrics };
        for kind in ["good", "bad", "nobodys"] {
            let mut words = vec!["-q"];
            if backing == Backing::File {
                words.extend(["--db", &file]);
            }
            words.extend(["runs", "enqueue", kind]);
            scene.sandbox.run(&words).exits(0);
        }
        let began = Instant::now();
        let has_kept_house = |text: &str, chore: &str| {
            !text.contains(&format!(
                "sprongus_housekeeping_rounds_total{{chore=\"{chore}\",outcome=\"well\"}} 0"
            ))
        };
        let is_told = |text: &str| {
            ["timers", "minutes"].iter().all(|chore| has_kept_house(text, chore))
                && [("good", "succeeded"), ("bad", "failed")].iter().all(|(kind, outcome)| {
                text.contains(&format!("sprongus_runs_ended_total{{workspace=\"default\",kind=\"{kind}\",outcome=\"{outcome}\"}} 1"))
            })
        };
        // Sums are as old as the last round of minutes.
        while !is_told(&scene.scrape(PROMETHEUS)) {
            assert!(began.elapsed() < Duration::from_secs(60), "{}", scene.scrape(PROMETHEUS));
            std::thread::sleep(Duration::from_millis(300));
        }
        scene
    }

    fn scrape(&self, accept: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.metrics)).unwrap();
        let head = format!("GET /metrics HTTP/1.0\r\nhost: localhost\r\naccept: {accept}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.0 200"), "{head}");
        body.to_owned()
    }

    /// What the public parser of a format reads: the types of the metrics, and every sample.
    fn parsed(&self, parser: &str, text: &str) -> Parsed {
        let program = format!(
            "import json, sys\nfrom {parser} import text_string_to_metric_families as read\n\
             families = list(read(sys.stdin.read()))\n\
             json.dump([[f.name, f.type, f.documentation, [[s.name, s.labels, s.value] for s in f.samples]] for f in families], sys.stdout)"
        );
        let mut command = Command::new(tool("python/bin/python"));
        command.args(["-c", &program]);
        Parsed::of(&fed(command, text).exits(0).json())
    }
}

/// What a parser has read.
struct Parsed {
    /// By the name of its samples, without `_bucket`, `_sum` and `_count`: its type.
    types: BTreeMap<String, String>,
    /// Name and labels, in order.
    samples: BTreeMap<String, f64>,
}

impl Parsed {
    fn of(families: &Value) -> Self {
        let (mut types, mut samples) = (BTreeMap::new(), BTreeMap::new());
        for family in families.as_array().unwrap() {
            let text = |place: usize| family[place].as_str().unwrap();
            let (name, kind) = (text(0), text(1));
            assert!(!text(2).is_empty(), "{name} says nothing of itself");
            let name = if kind == "counter" { format!("{name}_total") } else { name.to_owned() };
            assert!(types.insert(name, kind.to_owned()).is_none(), "twice");
            for sample in family[3].as_array().unwrap() {
                let labels: BTreeMap<String, String> = serde_json::from_value(sample[1].clone()).unwrap();
                let labels: Vec<String> =
                    labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
                let key = format!("{}{{{}}}", sample[0].as_str().unwrap(), labels.join(","));
                let value = sample[2].as_f64().unwrap_or_else(|| panic!("{key}: {}", sample[2]));
                assert!(samples.insert(key.clone(), value).is_none(), "{key} stands twice");
            }
        }
        Self { types, samples }
    }

    /// Every name that a query may use.
    fn queryable(&self) -> BTreeSet<String> {
        let of_one = |(name, kind): (&String, &String)| match kind.as_str() {
            "histogram" => ["_bucket", "_sum", "_count"].map(|end| format!("{name}{end}")).to_vec(),
            _ => vec![name.clone()],
        };
        self.types.iter().flat_map(of_one).collect()
    }
}

/// The metrics of both stores: by the names that a query may use, and by their own.
fn existing() -> &'static (BTreeSet<String>, BTreeSet<String>) {
    static EXISTING: LazyLock<(BTreeSet<String>, BTreeSet<String>)> = LazyLock::new(|| {
        let (mut queryable, mut own) = (BTreeSet::new(), BTreeSet::new());
        for backing in [Backing::File, Backing::Postgres] {
            let scene = Scene::new(backing);
            let parsed = scene.parsed("prometheus_client.openmetrics.parser", &scene.scrape(PROMETHEUS));
            queryable.extend(parsed.queryable());
            own.extend(parsed.types.into_keys());
        }
        (queryable, own)
    });
    &EXISTING
}
