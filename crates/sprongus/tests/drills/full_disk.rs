//! A full disk: enqueues are refused in one clear line, nothing acknowledged is lost, and once there is space again everything
//! goes on, without a restart.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, prlimit};
use serde_json::Value;
use sprongus::core::values::ids::RunId;
use sprongus::postgres;
use sprongus_throwaway::{Durability, Server, Settings};

use crate::backing::{Backing, Place};
use crate::disk::{Disk, or_not_run};
use crate::history::History;
use crate::project_folder::{Done, ProjectFolder, finished};
use crate::tempo::{eventually, form};
use crate::writer::Writer;

const LIMIT: Duration = Duration::from_secs(30);

/// In bytes.
const DISK: u64 = 64 << 20;
const LEFT: u64 = 4 << 20;

/// The tables of a server lie on a disk of their own; were it that of its log, the server itself would stop.
#[test]
fn everything_goes_on_once_a_server_has_space() {
    rounds(|disk| {
        let server = Server::start(Settings { durability: Durability::Full, ..Settings::default() }).unwrap();
        let account = std::fs::metadata(server.folder()).unwrap();
        let tables = disk.path().join("tables");
        std::fs::create_dir(&tables).unwrap();
        std::os::unix::fs::chown(&tables, Some(account.uid()), Some(account.gid())).unwrap();
        let place = Place::on(&server, postgres::Durability::PowerCut);
        let make = format!("CREATE TABLESPACE small LOCATION '{}'", tables.display());
        server.execute("postgres", &make).unwrap();
        server.execute("postgres", "ALTER DATABASE runs SET TABLESPACE small").unwrap();
        (place, Some(server))
    });
}

#[test]
fn everything_goes_on_once_there_is_space() {
    rounds(|disk| (Place::file(disk.path().join("runs.db")), None));
}

fn rounds(make: impl Fn(&Disk) -> (Place, Option<Server>)) {
    let (rounds, mut waited) = (form(1, 10), 0);
    for _ in 0..rounds {
        let Some(disk) = or_not_run("full_disk", Disk::small(DISK)) else { return };
        let (place, _server) = make(&disk);
        waited += u32::from(on_a_disk(&disk, place));
    }
    println!(
        "full_disk: {rounds} times full and freed: refused as unavailable, nothing acknowledged lost; a run that ended \
         meanwhile had to wait for space {waited} times, and was reported then"
    );
}

/// Whether the end of a run had to wait: a small commit may still find a place where a large one did not.
fn on_a_disk(disk: &Disk, place: Place) -> bool {
    let project = ProjectFolder::with(place);
    project
        .kind("wait", "tell start; until [ -e \"$SPRONGUS_PROJECT_DIR/go\" ]; do sleep 0.05; done; tell end");
    let ending = project.enqueue("wait", 1, |run| run)[0];
    let worker = project.worker(&[]);
    eventually("it is executed", LIMIT, || project.journal().said("start").count() == 1);

    let filler = disk.path().join("filler");
    fill(&filler);
    let mut writer = Writer::start(project.place(), &project.path().join("acks"), None);
    fills(&writer);
    let mut acked = until_refused(|| project.run(&["-q", "runs", "enqueue", "note"]));
    let status = project.status(ending);
    assert_eq!(status["state"], "running", "reading goes on");
    std::fs::write(project.path().join("go"), "").unwrap();
    eventually("it ended", LIMIT, || project.journal().said("end").count() == 1);
    std::thread::sleep(Duration::from_millis(500));
    let waits = project.history().state(ending) == "running";

    std::fs::remove_file(filler).unwrap();
    acked.extend(goes_on(&project, &mut writer));
    all_there(&project.history(), &acked);
    let history = project.history();
    eventually("its end is reported", LIMIT, || history.state(ending) == "succeeded");
    assert_eq!(history.text(ending, "attempt").as_deref(), Some("1"));
    drop(worker);
    waits
}

/// Leaves a little, which is full within a moment.
fn fill(filler: &Path) {
    let disk = rustix::fs::statvfs(filler.parent().unwrap()).unwrap();
    let free = disk.f_bavail * disk.f_frsize;
    std::fs::write(filler, vec![b'x'; usize::try_from(free - LEFT).unwrap()]).unwrap();
}

/// The same without root: a limit on the size of files, lifted from outside while the process lives.
#[test]
fn everything_goes_on_once_a_limit_is_lifted() {
    // Half-KiB blocks: 1 MiB for the log. The signal that comes with the limit is ignored, as services do.
    const WITHIN: &str = "trap '' XFSZ; ulimit -S -f 2048";
    let rounds = form(1, 10);
    for _ in 0..rounds {
        let project = ProjectFolder::new(Backing::File);
        project.enqueue("note", 1, |run| run);
        let mut writer = Writer::start(project.place(), &project.path().join("acks"), Some(WITHIN));
        fills(&writer);
        let script = format!("{WITHIN}; exec \"$0\" -q runs enqueue note");
        let words = ["-c", &script, env!("CARGO_BIN_EXE_sprongus")];
        let mut acked = until_refused(|| finished(project.command("sh").args(words)));
        prlimit(Some(writer.pid()), Resource::Fsize, Rlimit { current: None, maximum: None }).unwrap();
        acked.extend(goes_on(&project, &mut writer));
        all_there(&project.history(), &acked);
    }
    println!("full_disk: {rounds} times a limit on files reached and lifted: likewise");
}

/// A commit of many may be refused where one of few still fits: full is when nothing is acknowledged any more.
fn fills(writer: &Writer) {
    eventually("the disk is full", Duration::from_secs(60), || {
        let before = writer.acked().len();
        std::thread::sleep(Duration::from_millis(500));
        !writer.refusals().is_empty() && writer.acked().len() == before
    });
}

/// What one process after another could still enqueue: a small commit fits where a large one did not. Then the refusal: one
/// clear line and a hint, the contract's exit code, and no run.
fn until_refused(enqueue: impl Fn() -> Done) -> Vec<RunId> {
    let mut acked = Vec::new();
    for _ in 0..200 {
        let done = enqueue();
        if done.code == Some(0) {
            acked.push(done.out.trim().parse().unwrap());
            continue;
        }
        assert_eq!((done.code, done.out.as_str()), (Some(8), ""), "{done:?}");
        let [error, hint] = done.err.lines().collect::<Vec<_>>()[..] else { panic!("{done:?}") };
        assert!(
            error.starts_with("error: the ") && error.contains("disk ") && hint.starts_with("hint: "),
            "{done:?}"
        );
        return acked;
    }
    panic!("never refused");
}

/// The same process, and new ones. Answers what was acknowledged.
fn goes_on(project: &ProjectFolder, writer: &mut Writer) -> Vec<RunId> {
    let before = writer.acked().len();
    eventually("enqueues are acknowledged again", LIMIT, || writer.acked().len() > before + 20);
    writer.kill();
    let done = project.run(&["--json", "runs", "enqueue", "note"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    let refusals = writer.refusals();
    assert!(refusals.iter().all(|refusal| refusal.starts_with("unavailable ")), "{refusals:?}");

    let made: Value = serde_json::from_str(&done.out).unwrap();
    let mut acked = writer.acked();
    acked.push(made["id"].as_str().unwrap().parse().unwrap());
    acked
}

fn all_there(history: &History, acked: &[RunId]) {
    history.is_sound();
    let gone: Vec<_> = acked.iter().filter(|&&id| history.event_count(id, "run.enqueued") != 1).collect();
    assert!(gone.is_empty(), "acknowledged, and gone: {gone:?}");
}
