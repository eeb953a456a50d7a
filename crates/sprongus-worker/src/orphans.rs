//! What a killed worker leaves behind: process groups that still run.
//!
//! Every running command is noted in a small file, and the file is removed when the command's group is gone.
//! A worker that starts ends the groups of those files whose worker is dead, for their runs are claimed anew
//! and two processes must not do the same work. Numbers of processes are used again, so a group is only ended
//! if boot, namespace and start time say that it is the one noted. Linux only, where `/proc` has that;
//! elsewhere nothing is noted or ended.

mod adopt;
mod process_table;
mod strays;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};

use process_table::{Machine, is_hidden, members, start_time};

pub use adopt::adopt_orphans;
pub(crate) use process_table::has_living_members;
pub(crate) use strays::{Stray, end_strays, kill_strays};

/// A note is a few hundred bytes; what is larger is none.
const LARGEST_NOTE: u64 = 64 * 1024;

/// How long killed orphans are waited for.
const AFTER_KILL: Duration = Duration::from_secs(2);

/// Where and as what to note a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrphanSpec {
    /// The folder of the notes, one for all workers of a user on this machine or one for each.
    pub folder: PathBuf,
    /// The run, which the command's `$SPRONGUS_RUN_ID` has too.
    pub run_id: String,
    /// The epoch under which it runs.
    pub epoch: u64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Note {
    group: i32,
    leader_started: u64,
    worker: i32,
    worker_started: u64,
    machine: Machine,
    run_id: String,
    epoch: u64,
}

/// The note of a running command.
#[derive(Debug)]
pub(crate) struct OrphanRecord {
    path: PathBuf,
}

/// A group that a dead worker left and that was ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KilledOrphan {
    /// The run it worked for.
    pub run_id: String,
    /// The epoch under which it ran.
    pub epoch: u64,
    /// Whether it was seen to be gone.
    pub gone: bool,
}

impl OrphanRecord {
    /// Notes a group. A note that cannot be written is no reason to refuse the work; it is logged.
    pub(crate) fn write(spec: &OrphanSpec, group: Pid) -> Option<Self> {
        match Self::try_write(spec, group) {
            Ok(record) => record,
            Err(error) => {
                let folder = spec.folder.display();
                tracing::warn!(%folder, %error, "cannot record a command; if the worker is killed, it keeps running");
                None
            }
        }
    }

    fn try_write(spec: &OrphanSpec, group: Pid) -> std::io::Result<Option<Self>> {
        let worker = rustix::process::getpid();
        let (Some(machine), Some(worker_started)) = (Machine::current(), start_time(worker)) else {
            return Ok(None);
        };
        // A leader that is gone already has a group that is about to be ended.
        let Some(leader_started) = start_time(group) else { return Ok(None) };
        let note = Note {
            group: group.as_raw_pid(),
            leader_started,
            worker: worker.as_raw_pid(),
            worker_started,
            machine,
            run_id: spec.run_id.clone(),
            epoch: spec.epoch,
        };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&spec.folder)?;
        let path = spec.folder.join(format!("{}-{leader_started}.json", note.group));
        // A temporary file has mode 0600, and the rename makes the note appear whole.
        let mut file = tempfile::Builder::new().prefix(".note-").tempfile_in(&spec.folder)?;
        file.write_all(&serde_json::to_vec(&note)?)?;
        file.persist(&path).map_err(|error| error.error)?;
        Ok(Some(Self { path }))
    }

    pub(crate) fn remove(self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "cannot remove the record of a command");
        }
    }
}

/// Ends what dead workers left, and removes the notes that have no purpose any more. To be called when a
/// worker starts; it waits up to two seconds for what it kills, so not on a thread that serves others.
///
/// # Errors
///
/// When the folder exists but cannot be read.
pub fn kill_orphans(folder: &Path) -> std::io::Result<Vec<KilledOrphan>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let Some(machine) = Machine::current() else { return Ok(Vec::new()) };
    let mut killed = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        match read_note(&path) {
            Ok(Some(note)) if note.machine.boot != machine.boot => remove(&path),
            // In another container's namespace the numbers mean other processes.
            Ok(Some(note)) if note.machine != machine => {}
            Ok(Some(note)) if worker_lives(&note) => {}
            Ok(Some(note)) => {
                let orphan = kill(&note);
                // What could not be killed keeps its note for the next start.
                if orphan.as_ref().is_none_or(|orphan| orphan.gone) {
                    remove(&path);
                }
                killed.extend(orphan);
            }
            Ok(None) => tracing::warn!(path = %path.display(), "skipped: not the record of a command"),
            // Its command has ended since the folder was listed, or another worker was quicker.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "skipped: cannot read the record of a command");
            }
        }
    }
    Ok(killed)
}

/// A note, unless the file is something else or somebody else's: a note makes this worker kill.
fn read_note(path: &Path) -> std::io::Result<Option<Note>> {
    let metadata = fs::symlink_metadata(path)?;
    let own = metadata.uid() == rustix::process::geteuid().as_raw();
    if !metadata.is_file() || !own || metadata.len() > LARGEST_NOTE {
        return Ok(None);
    }
    let note: Option<Note> = serde_json::from_slice(&fs::read(path)?).ok();
    // 1 as a group is "everybody" to kill(2), and no command of ours.
    Ok(note.filter(|note| note.group > 1))
}

fn worker_lives(note: &Note) -> bool {
    let Some(worker) = Pid::from_raw(note.worker) else { return false };
    start_time(worker) == Some(note.worker_started) || is_hidden(worker)
}

fn kill(note: &Note) -> Option<KilledOrphan> {
    let group = Pid::from_raw(note.group)?;
    let ours = match start_time(group) {
        Some(started) => started == note.leader_started,
        // With the leader gone, its number may have led another group since: a member says whose it is.
        None => members(group).iter().any(|member| member.has_variable("SPRONGUS_RUN_ID", &note.run_id)),
    };
    if !ours || !has_living_members(group) {
        return None;
    }
    let _ = kill_process_group(group, Signal::KILL);
    let killed_at = Instant::now();
    while has_living_members(group) && killed_at.elapsed() < AFTER_KILL {
        std::thread::sleep(Duration::from_millis(10));
    }
    Some(KilledOrphan { run_id: note.run_id.clone(), epoch: note.epoch, gone: !has_living_members(group) })
}

fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "cannot remove the record of a command");
    }
}

#[cfg(test)]
mod tests;
