//! A project of its own with a real server and a real worker, and people who may do different things there.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::json;
use sprongus::core::json::Json;
use sprongus::core::run::NewRun;
use sprongus::core::run::view::RunView;
use sprongus::core::store::Batch;
use sprongus::core::values::ids::RunId;
use sprongus::core::workspace::token::TokenSecret;
use sprongus::{Runs, RunsExt as _};
use sprongus_http::client::{Options, RunsClient};
use tempfile::TempDir;

use crate::tab::Tab;

/// The kinds; `MODEL` stands for where a model listens.
const DECLARED: &str = include_str!("site/sprongus.toml");

/// Every scope there is.
const ALL: &str = "runs:read,runs:write,runs:approve,runs:work,settings:write,admin";

pub struct Site {
    folder: TempDir,
    server: Child,
    worker: Child,
    pub url: String,
    /// A token for everything.
    token: String,
    pub runs: RunsClient,
}

/// Ends a process when it is not needed any more.
fn end(process: &mut Child) {
    let _ = process.kill();
    let _ = process.wait();
}

impl Drop for Site {
    fn drop(&mut self) {
        // What the worker executes sees that its project is gone, and ends.
        end(&mut self.worker);
        end(&mut self.server);
    }
}

impl Site {
    pub fn open() -> Self {
        let folder = tempfile::Builder::new().prefix("sprongus-site-").tempdir().unwrap();
        std::fs::write(folder.path().join("sprongus.toml"), DECLARED.replace("MODEL", &model())).unwrap();
        let token = said(folder.path(), &["-q", "token", "create", "--name", "ada", "--scopes", ALL]);
        for words in [
            ["projects", "create", "spring-film"].as_slice(),
            &["agent-tasks", "create", "storyboard-14"],
            &["workspaces", "create", "quiet"],
        ] {
            said(folder.path(), words);
        }
        let (server, url) = serve(folder.path(), "127.0.0.1:0");
        let worker = command(folder.path(), &["worker", "--concurrency", "6"]).spawn().unwrap();
        let secret = TokenSecret::parse(&token).unwrap();
        let runs = RunsClient::new(&url, &secret, &Options::default()).unwrap();
        Self { folder, server, worker, url, token, runs }
    }

    /// Ends the server as a crash does.
    pub fn stop_serving(&mut self) {
        end(&mut self.server);
    }

    /// Starts it again where it was.
    pub fn serve_again(&mut self) {
        let at = self.url.strip_prefix("http://").unwrap();
        (self.server, _) = serve(self.folder.path(), at);
    }

    /// A token for somebody else.
    pub fn token(&self, words: &[&str]) -> String {
        said(self.folder.path(), &[&["-q", "token", "create"], words].concat())
    }

    /// A page where nobody is signed in.
    pub fn stranger(&self) -> Tab {
        Tab::open()
    }

    /// A page of one who may do everything.
    pub fn admin(&self) -> Tab {
        self.signed_in(&self.token)
    }

    /// A page of one who has a token.
    #[track_caller]
    pub fn signed_in(&self, token: &str) -> Tab {
        let tab = Tab::open();
        self.sign_in(&tab, token);
        tab
    }

    /// Signs in as people do.
    #[track_caller]
    pub fn sign_in(&self, tab: &Tab, token: &str) {
        tab.goto(&format!("{}/login", self.url));
        tab.fill("#token", token);
        tab.leaving(|| tab.key("Enter"));
        assert_eq!(tab.path(), "/");
    }

    /// Opens a page of this site.
    #[track_caller]
    pub fn visit(&self, tab: &Tab, path: &str) {
        tab.goto(&format!("{}{path}", self.url));
    }

    /// Asks for a run.
    pub fn enqueue(&self, run: NewRun) -> RunId {
        block_on(self.runs.enqueue_one(run)).unwrap().run.id
    }

    /// Asks for many of a kind.
    pub fn enqueue_many(&self, kind: &str, count: usize) {
        let runs = (1..=count).map(|scene| NewRun::new(kind, input(&json!({"scene": scene})))).collect();
        block_on(self.runs.enqueue(runs, Batch::AllOrNothing)).unwrap();
    }

    /// Waits until a run is so.
    #[track_caller]
    pub fn until(&self, id: RunId, is_so: impl Fn(&RunView) -> bool) -> RunView {
        let began = Instant::now();
        loop {
            let run = block_on(self.runs.get(id)).unwrap();
            if is_so(&run) {
                return run;
            }
            assert!(began.elapsed() < Duration::from_secs(30), "{run:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// An input.
pub fn input(value: &serde_json::Value) -> Json {
    Json::from_value(value.clone())
}

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    let make = || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    RUNTIME.get_or_init(make).block_on(future)
}

fn command(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sprongus"));
    command.args(words).current_dir(folder).env_clear();
    command.env("PATH", "/usr/bin:/bin").env("HOME", folder).env("USER", "ada").env("TMPDIR", folder);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// What a command prints, which must do what it was asked.
#[track_caller]
fn said(folder: &Path, words: &[&str]) -> String {
    let done = command(folder, words).stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
    assert!(done.status.success(), "{words:?}: {done:?}");
    String::from_utf8(done.stdout).unwrap().trim().to_owned()
}

fn serve(folder: &Path, at: &str) -> (Child, String) {
    let mut server =
        command(folder, &["-q", "serve", "--listen", at]).stdout(Stdio::piped()).spawn().unwrap();
    let mut url = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut url).unwrap();
    assert!(url.starts_with("http://127.0.0.1:"), "{url}");
    (server, url.trim().to_owned())
}

/// A model server that answers every call alike, for as long as this process lives.
fn model() -> String {
    static MODEL: OnceLock<String> = OnceLock::new();
    let start = || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        std::thread::spawn(move || listener.incoming().flatten().for_each(answer));
        url
    };
    MODEL.get_or_init(start).clone()
}

fn answer(mut stream: TcpStream) {
    let mut asked = Vec::new();
    let mut piece = [0; 4_096];
    // The whole of it has come when its JSON is closed; a caller that hangs up earlier is answered in vain.
    while !asked.ends_with(b"}") {
        match stream.read(&mut piece) {
            Ok(count) if count > 0 => asked.extend_from_slice(&piece[..count]),
            _ => return,
        }
    }
    let mut body = String::new();
    for text in
        ["Two shots share one camera angle; ", "the cut at scene 14 comes early.\n", "Otherwise good to go."]
    {
        let event = json!({"choices": [{"index": 0, "delta": {"content": text}}]});
        body.push_str(&format!("data: {event}\n\n"));
    }
    let end = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
    let usage = json!({"choices": [], "usage": {"prompt_tokens": 1_840, "completion_tokens": 212}});
    body.push_str(&format!("data: {end}\n\ndata: {usage}\n\ndata: [DONE]\n\n"));
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n";
    let _ = write!(stream, "{head}content-length: {}\r\n\r\n{body}", body.len());
}
