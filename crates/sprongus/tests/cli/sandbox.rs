//! A folder of its own for every test, with nothing of this machine's environment in it, and the real binary.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use serde_json::Value;
use sprongus::artifacts;
use sprongus::core::run::artifact::MAX_ARTIFACT_BYTES;
use sprongus::core::store::Store;
use sprongus::core::values::names::{WorkerId, WorkspaceId};
use sprongus::postgres::Postgres;
use sprongus::sqlite::{Options, Sqlite};
use sprongus::{Caller, Runs, RunsService};
use sprongus_throwaway::Database;
use tempfile::TempDir;

use crate::backing::{Backing, Served, migrated};

/// How a command ended, and what it printed.
#[derive(Debug)]
pub struct Done {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Done {
    /// What it printed to stdout; it must have exited with `code`.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.out, self.err);
        self
    }

    /// Stdout as one JSON value.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }

    /// Stdout as one JSON value a line.
    #[track_caller]
    pub fn lines(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
    }

    /// The message of an error told to people: one line, then a hint, and nothing of us that nobody can act on.
    #[track_caller]
    pub fn error(&self) -> String {
        let line = self.err.lines().find_map(|line| line.strip_prefix("error: "));
        let line = line.unwrap_or_else(|| panic!("no error in: {}", self.err)).to_owned();
        assert!(self.err.lines().any(|line| line.starts_with("hint: ")), "no hint in: {}", self.err);
        assert!(!self.err.contains("panicked") && !self.err.contains("RUST_BACKTRACE"), "{}", self.err);
        assert!(!self.err.contains('\u{1b}') && !self.err.contains("SELECT "), "{}", self.err);
        line
    }
}

pub struct Sandbox {
    folder: TempDir,
    /// Nothing where the runs are in a file.
    database: Option<Database>,
    /// A server in front of the file, if there is one.
    served: Option<Served>,
}

impl Sandbox {
    /// With its runs in a file.
    pub fn new() -> Self {
        Self::on(Backing::File)
    }

    /// With its runs where the session is to be played.
    pub fn on(backing: Backing) -> Self {
        let database = match backing {
            Backing::File | Backing::Remote => None,
            Backing::Postgres => Some(migrated()),
        };
        let mut sandbox = Self { folder: tempfile::tempdir().expect("a folder"), database, served: None };
        if backing == Backing::Remote {
            sandbox.serve();
        }
        sandbox
    }

    /// Starts a server in front of the sandbox's own file, and has every command go there.
    fn serve(&mut self) {
        let file = self.file().display().to_string();
        let words = ["-q", "serve", "--listen", "127.0.0.1:0", "--db", &file];
        let mut command = self.command(&words);
        self.served = Some(Served::start(command.stderr(Stdio::null())));
    }

    /// Where the server in front of the file listens.
    pub fn url(&self) -> &str {
        &self.served.as_ref().expect("a server").url
    }

    /// Ends the server in front of the file; commands still go to where it was.
    pub fn stop_serving(&mut self) {
        self.served.as_mut().expect("a server").stop();
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Where the file lies when nothing else is said.
    pub fn file(&self) -> PathBuf {
        self.path().join("data/sprongus/runs.db")
    }

    /// Where artifacts lie when nothing else is said, whatever keeps the runs.
    pub fn artifacts(&self) -> PathBuf {
        self.path().join("data/sprongus/artifacts")
    }

    /// The name of its database on the server, where it has one.
    pub fn database(&self) -> Option<&str> {
        self.database.as_ref().map(|database| database.name())
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path
    }

    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sprongus"));
        command.args(words).current_dir(self.path()).env_clear();
        command.env("PATH", "/usr/bin:/bin").env("HOME", self.path()).env("USER", "ada");
        command
            .env("XDG_DATA_HOME", self.path().join("data"))
            .env("XDG_CONFIG_HOME", self.path().join("config"));
        // The tests' server forces nothing to the disk, and is refused where nobody says so.
        command.env("SPRONGUS_POSTGRES_DURABILITY", "as_configured");
        if let Some(database) = &self.database {
            command.env("SPRONGUS_DATABASE_URL", database.url("sprongus_app"));
        }
        if let Some(served) = &self.served {
            command.env("SPRONGUS_API_URL", &served.url);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub fn run(&self, words: &[&str]) -> Done {
        done(&mut self.command(words))
    }

    /// Runs a line of words that need no quoting.
    pub fn line(&self, line: &str) -> Done {
        self.run(&line.split(' ').collect::<Vec<_>>())
    }

    /// Runs with `text` on stdin.
    pub fn fed(&self, words: &[&str], text: &[u8]) -> Done {
        let mut command = self.command(words);
        let mut child = command.stdin(Stdio::piped()).spawn().expect("a process");
        let mut stdin = child.stdin.take().expect("a pipe");
        let text = text.to_vec();
        let feeding = std::thread::spawn(move || {
            // A program that stops reading is the point of some tests.
            let _ = stdin.write_all(&text);
        });
        let done = finished(child);
        feeding.join().expect("a feeder");
        done
    }

    /// Runs with a terminal as stdin, on which `typed` is typed.
    pub fn at_terminal(&self, words: &[&str], typed: &str) -> Done {
        let (mut keyboard, screen) = terminal();
        let mut command = self.command(words);
        let child = command.stdin(Stdio::from(screen)).spawn().expect("a process");
        keyboard.write_all(typed.as_bytes()).expect("a keyboard");
        finished(child)
    }

    /// Enqueues a run and answers its id.
    #[track_caller]
    pub fn enqueue(&self, kind: &str) -> String {
        self.run(&["-q", "runs", "enqueue", kind]).exits(0).out.trim().to_owned()
    }

    /// The runs of the sandbox's own database, for playing the worker.
    pub async fn runs(&self) -> Arc<dyn Runs> {
        let store: Arc<dyn Store> = match &self.database {
            None => Arc::new(Sqlite::open(&self.file(), Options::default()).expect("a file")),
            Some(database) => {
                let options = sprongus::postgres::Options {
                    durability: sprongus::postgres::Durability::AsConfigured,
                    ..sprongus::postgres::Options::default()
                };
                let url = database.url("sprongus_app");
                Arc::new(Postgres::connect(&url, options).await.expect("a database"))
            }
        };
        let blobs = artifacts::open(&artifacts::Place::Folder(self.artifacts()));
        let service = RunsService::new(store).with_blobs(blobs, MAX_ARTIFACT_BYTES);
        service.for_caller(Caller::new(WorkspaceId::local(), "test"))
    }
}

/// A worker's name.
pub fn worker() -> WorkerId {
    "test-worker".parse().expect("a worker id")
}

/// Plays a worker.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}

fn done(command: &mut Command) -> Done {
    finished(command.spawn().expect("a process"))
}

pub fn finished(child: Child) -> Done {
    let output = child.wait_with_output().expect("an end");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    Done { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// A pseudo-terminal: the end that types, and the end that a program reads.
pub fn terminal() -> (File, OwnedFd) {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&keyboard).expect("a terminal of ours");
    unlockpt(&keyboard).expect("an open terminal");
    let name = ptsname(&keyboard, Vec::new()).expect("a name");
    let name = name.to_str().expect("text");
    let screen = File::options().read(true).write(true).open(name).expect("the other end");
    (File::from(keyboard), OwnedFd::from(screen))
}

/// Copies the program, by another process: a file that this one had open for writing could not be executed while a neighbouring
/// test forks ("text file busy").
pub fn copy_program(to: &Path) {
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_sprongus")).arg(to).status().unwrap();
    assert!(copied.success());
}
