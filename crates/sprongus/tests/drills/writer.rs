//! A process of its own that enqueues through the library and writes down, elsewhere and to the disk, what was acknowledged.
//! It may well die with the disk it writes on, so it must not be the drill's own process: the test binary starts itself again.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use sprongus::core::json::Json;
use sprongus::core::run::NewRun;
use sprongus::core::values::ids::RunId;
use sprongus::core::values::names::WorkspaceId;
use sprongus::{Caller, RunsExt, RunsService};

use crate::backing::Place;
use crate::tempo::block_on;

const ACKS: &str = "SPRONGUS_DRILL_ACKS";
const NORMAL: &str = "SPRONGUS_DRILL_NORMAL";
const TASKS: usize = 8;

/// A started writer; killed when it is dropped.
pub struct Writer {
    child: Child,
    acks: PathBuf,
}

impl Writer {
    /// Begins to write. `within` may put the program into other surroundings, such as a limit.
    pub fn start(place: &Place, acks: &Path, within: Option<&str>) -> Self {
        let own = std::env::current_exe().unwrap();
        let mut command = match within {
            Some(script) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", &format!("{script}; exec \"$0\" \"$@\"")]).arg(own);
                shell
            }
            None => Command::new(own),
        };
        command.args(["--exact", "writer::enqueues_until_it_is_killed", "--ignored", "--nocapture"]);
        command.envs(place.variables()).env(ACKS, acks);
        if place.is_weak_file() {
            command.env(NORMAL, "1");
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self { child: command.spawn().unwrap(), acks: acks.to_owned() }
    }

    pub fn pid(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_child(&self.child)
    }

    /// What was acknowledged so far.
    pub fn acked(&self) -> Vec<RunId> {
        let text = fs::read_to_string(&self.acks).unwrap_or_default();
        let whole = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
        whole.filter(|line| !line.starts_with('!')).map(|line| line.parse().unwrap()).collect()
    }

    /// What was refused so far.
    pub fn refusals(&self) -> Vec<String> {
        let text = fs::read_to_string(&self.acks).unwrap_or_default();
        text.lines().filter_map(|line| line.strip_prefix("! ")).map(str::to_owned).collect()
    }

    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.kill();
    }
}

#[test]
#[ignore = "the process that other drills start"]
fn enqueues_until_it_is_killed() {
    let Some(acks) = std::env::var_os(ACKS) else { return };
    let store = Place::of_this_process(std::env::var_os(NORMAL).is_some()).open();
    let runs = RunsService::new(store).for_caller(Caller::new(WorkspaceId::local(), "writer"));
    let (answers, answered) = mpsc::channel();
    let acks = File::options().append(true).create(true).open(acks).unwrap();
    std::thread::spawn(move || write_down(acks, &answered));
    block_on(async {
        let tasks = (0..TASKS).map(|_| {
            let (runs, answers) = (Arc::clone(&runs), answers.clone());
            tokio::spawn(async move {
                loop {
                    let input = serde_json::json!({"note": "x".repeat(200)});
                    match runs.enqueue_one(NewRun::new("note", Json::from_value(input))).await {
                        Ok(made) => answers.send(made.run.id.to_string()).unwrap(),
                        Err(error) => {
                            answers.send(format!("! {} {}", error.code(), error.message())).unwrap();
                            tokio::time::sleep(Duration::from_millis(50)).await;
                        }
                    }
                }
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            let () = task.await.unwrap();
        }
    });
}

/// Everything that is waiting as one write and one fsync.
fn write_down(mut acks: File, answers: &Receiver<String>) {
    while let Ok(first) = answers.recv() {
        let mut text = first + "\n";
        answers.try_iter().for_each(|answer| text.extend([answer.as_str(), "\n"]));
        acks.write_all(text.as_bytes()).unwrap();
        acks.sync_data().unwrap();
    }
}
