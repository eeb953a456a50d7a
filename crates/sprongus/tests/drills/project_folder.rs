//! A project in a folder of its own, with nothing of this machine's environment in it, and the real binary at work there.

use std::cell::Cell;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use sprongus::core::json::Json;
use sprongus::core::run::NewRun;
use sprongus::core::store::Batch;
use sprongus::core::values::ids::RunId;
use sprongus::core::values::names::WorkspaceId;
use sprongus::{Caller, Runs, RunsService};
use tempfile::TempDir;

use crate::backing::{Backing, Place};
use crate::history::History;
use crate::journal::{Journal, TELL};
use crate::tempo::{block_on, eventually};
use crate::worker::WorkerProcess;

/// How a command ended, and what it printed.
#[derive(Debug)]
pub struct Done {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

pub struct ProjectFolder {
    folder: TempDir,
    place: Place,
    started: Cell<u32>,
}

impl ProjectFolder {
    /// A project whose runs are in a file where it lies by default, or in a database of its own on a server.
    pub fn new(backing: Backing) -> Self {
        Self::made(|folder| match backing {
            Backing::File => Place::file(folder.join(".sprongus/runs.db")),
            Backing::Postgres => Place::shared(),
        })
    }

    /// The same with its runs elsewhere.
    pub fn with(place: Place) -> Self {
        Self::made(|_| place)
    }

    fn made(place: impl FnOnce(&Path) -> Place) -> Self {
        let folder = tempfile::Builder::new().prefix("sprongus-drill-").tempdir().unwrap();
        fs::create_dir(folder.path().join("tmp")).unwrap();
        let place = place(folder.path());
        Self { folder, place, started: Cell::new(0) }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn place(&self) -> &Place {
        &self.place
    }

    pub fn journal(&self) -> Journal {
        Journal::read(&self.path().join("journal"))
    }

    pub fn history(&self) -> History {
        History::open(&self.place)
    }

    /// Declares a kind whose command is a shell script, which tells the journal what it likes.
    pub fn kind(&self, name: &str, script: &str) {
        self.script(name, script);
        self.declare(&format!("[kinds.{name}]\ncommand = {}\n", Self::argv(name)));
    }

    /// Adds to `sprongus.toml`.
    pub fn declare(&self, toml: &str) {
        use std::io::Write;
        let path = self.path().join("sprongus.toml");
        let mut file = File::options().append(true).create(true).open(path).unwrap();
        writeln!(file, "{toml}").unwrap();
    }

    pub fn script(&self, name: &str, script: &str) {
        fs::write(self.path().join(format!("{name}.sh")), format!("{TELL}{script}\n")).unwrap();
    }

    /// How a script of the project is called, as TOML.
    pub fn argv(script: &str) -> String {
        format!(r#"["sh", "{{{{ project_dir }}}}/{script}.sh", "{{{{ project_dir }}}}/journal"]"#)
    }

    /// The program, with this project around it. `SPRONGUS_DATABASE_URL` names the database.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.path()).env_clear();
        command.env("PATH", "/usr/bin:/bin").env("HOME", self.path()).env("USER", "ada");
        // Work directories and the notes of running commands are this project's own too.
        command.env("TMPDIR", self.path().join("tmp")).envs(self.place.variables());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub fn sprongus(&self, words: &[&str]) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_sprongus"));
        command.args(words);
        command
    }

    /// Runs it to its end.
    pub fn run(&self, words: &[&str]) -> Done {
        finished(&mut self.sprongus(words))
    }

    /// Starts a worker.
    pub fn worker(&self, words: &[&str]) -> WorkerProcess {
        self.worker_with(words, |_| {})
    }

    /// Starts a worker in an environment of its own.
    pub fn worker_with(&self, words: &[&str], around: impl FnOnce(&mut Command)) -> WorkerProcess {
        let mut command = self.sprongus(&["worker"]);
        command.args(words);
        around(&mut command);
        let number = self.started.replace(self.started.get() + 1);
        let file = |name: &str| self.path().join(format!("worker-{number}.{name}"));
        let (stdout, stderr) = (file("out"), file("err"));
        command.stdout(File::create(&stdout).unwrap()).stderr(File::create(&stderr).unwrap());
        WorkerProcess::new(command.spawn().unwrap(), stdout, stderr)
    }

    /// The runs, for a caller of the library.
    pub fn runs(&self) -> Arc<dyn Runs> {
        RunsService::new(self.place.open()).for_caller(Caller::new(WorkspaceId::local(), "drill"))
    }

    /// Enqueues runs of a kind.
    pub fn enqueue(&self, kind: &str, count: usize, wish: impl Fn(NewRun) -> NewRun) -> Vec<RunId> {
        let runs = (0..count).map(|_| wish(NewRun::new(kind, Json::empty_object())));
        let runs = runs.collect::<Vec<_>>();
        let here = self.runs();
        let made = block_on(async {
            let mut made = Vec::with_capacity(count);
            for batch in runs.chunks(500) {
                made.extend(here.enqueue(batch.to_vec(), Batch::EachAlone).await.unwrap());
            }
            made
        });
        made.into_iter().map(|made| made.unwrap().run.id).collect()
    }

    /// Waits until no run is queued or running.
    #[track_caller]
    pub fn until_all_ended(&self, limit: Duration) {
        let history = self.history();
        eventually("all runs ended", limit, || history.open_runs() == 0);
    }

    /// A run as `runs status --json` prints it.
    #[track_caller]
    pub fn status(&self, id: RunId) -> Value {
        let done = self.run(&["--json", "runs", "status", &id.to_string()]);
        assert_eq!(done.code, Some(0), "{done:?}");
        serde_json::from_str(&done.out).unwrap()
    }

    /// Processes that this project's runs started and that still live.
    pub fn processes(&self) -> Vec<Pid> {
        let mark = format!("SPRONGUS_PROJECT_DIR={}", self.path().display());
        let found = fs::read_dir("/proc").unwrap().filter_map(|entry| {
            let pid = entry.ok()?.file_name().to_str()?.parse::<i32>().ok()?;
            let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
            let ours = environment.split(|&byte| byte == 0).any(|variable| variable == mark.as_bytes());
            Pid::from_raw(pid).filter(|_| ours)
        });
        found.collect()
    }
}

/// What a killed worker was executing must not outlive the drill.
impl Drop for ProjectFolder {
    fn drop(&mut self) {
        for pid in self.processes() {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

pub fn finished(command: &mut Command) -> Done {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Done { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}
