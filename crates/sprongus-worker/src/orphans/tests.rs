use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use super::*;

/// `sh` that leads a group with a second member in it.
fn group(script: &str) -> (Child, Pid) {
    let child = Command::new("sh")
        .args(["-c", script])
        .env("SPRONGUS_RUN_ID", "01RUN")
        .stdin(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap();
    let id = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    (child, id)
}

fn spec(folder: &Path) -> OrphanSpec {
    OrphanSpec { folder: folder.join("running"), run_id: "01RUN".to_owned(), epoch: 4 }
}

/// Rewrites a note as if its worker had been killed, or as `change` says.
fn rewrite(record: &OrphanRecord, change: impl FnOnce(&mut Note)) {
    let mut note = read_note(&record.path).unwrap().unwrap();
    note.worker_started += 1;
    change(&mut note);
    fs::write(&record.path, serde_json::to_vec(&note).unwrap()).unwrap();
}

fn end(mut child: Child, id: Pid) {
    let _ = kill_process_group(id, Signal::KILL);
    let _ = child.wait();
}

#[test]
fn ends_what_a_dead_worker_left() {
    let folder = tempfile::tempdir().unwrap();
    let spec = spec(folder.path());
    let (child, id) = group("trap '' TERM; sleep 1000 & sleep 1000");
    let record = OrphanRecord::write(&spec, id).unwrap();
    assert_eq!(fs::metadata(&record.path).unwrap().permissions().mode() & 0o777, 0o600);

    assert_eq!(kill_orphans(&spec.folder).unwrap(), [], "its worker, this test, is alive");
    assert!(has_living_members(id) && record.path.exists());

    rewrite(&record, |_| {});
    let killed = kill_orphans(&spec.folder).unwrap();
    assert_eq!(killed, [KilledOrphan { run_id: "01RUN".to_owned(), epoch: 4, gone: true }]);
    assert!(!has_living_members(id) && !record.path.exists());
    end(child, id);
}

#[test]
fn ends_a_group_whose_leader_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let spec = spec(folder.path());
    let (mut child, id) = group("sleep 1000 & sleep 0.2");
    let record = OrphanRecord::write(&spec, id).unwrap();
    child.wait().unwrap();
    rewrite(&record, |note| note.run_id = "01OTHER".to_owned());
    assert_eq!(kill_orphans(&spec.folder).unwrap(), [], "another run's number");
    assert!(has_living_members(id) && !record.path.exists());

    fs::write(&record.path, "").unwrap();
    let record = OrphanRecord { path: record.path };
    let note = Note {
        group: id.as_raw_pid(),
        leader_started: 1,
        worker: 1,
        worker_started: u64::MAX,
        machine: Machine::current().unwrap(),
        run_id: "01RUN".to_owned(),
        epoch: 4,
    };
    fs::write(&record.path, serde_json::to_vec(&note).unwrap()).unwrap();
    assert_eq!(kill_orphans(&spec.folder).unwrap().len(), 1);
    assert!(!has_living_members(id));
}

#[test]
fn leaves_everything_else_alone() {
    let folder = tempfile::tempdir().unwrap();
    let spec = spec(folder.path());
    assert_eq!(kill_orphans(&spec.folder).unwrap(), [], "no folder yet");
    let (child, id) = group("sleep 1000");

    let record = OrphanRecord::write(&spec, id).unwrap();
    rewrite(&record, |note| note.leader_started += 1);
    assert_eq!(kill_orphans(&spec.folder).unwrap(), [], "the number was used again");
    assert!(!record.path.exists());

    let record = OrphanRecord::write(&spec, id).unwrap();
    rewrite(&record, |note| note.machine.boot = "another".to_owned());
    assert_eq!(kill_orphans(&spec.folder).unwrap(), [], "before the reboot");
    assert!(!record.path.exists());

    for text in ["", "{}", "{\"group\": -1}"] {
        fs::write(&record.path, text).unwrap();
        assert_eq!(kill_orphans(&spec.folder).unwrap(), [], "{text}");
    }
    let record = OrphanRecord::write(&spec, id).unwrap();
    rewrite(&record, |note| note.group = 1);
    assert_eq!(kill_orphans(&spec.folder).unwrap(), []);
    assert!(has_living_members(id));
    end(child, id);
}
