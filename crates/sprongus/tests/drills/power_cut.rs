//! A power cut amid enqueues: whatever was acknowledged is there afterwards. The control, which forces nothing to the disk before
//! it answers, must lose some, or the drill proves nothing.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use sprongus::core::values::ids::RunId;
use sprongus::{postgres, sqlite};
use sprongus_throwaway::{Durability, Server, Settings};

use crate::backing::Place;
use crate::disk::{Disk, or_not_run};
use crate::history::History;
use crate::tempo::{chances, eventually, form};
use crate::writer::Writer;

const LIMIT: Duration = Duration::from_secs(60);

/// In bytes; a server's first files take about 60 MiB.
const FOR_FILES: u64 = 96 << 20;
const FOR_A_SERVER: u64 = 768 << 20;

/// What is switched off and on.
trait Machine {
    /// Ready to be written to, all of it on the disk.
    fn boot(&self) -> Place;
    fn cut_power(&self);
    fn boot_again(&self);
}

struct WithFile {
    disk: Disk,
    durability: sqlite::Durability,
}

struct WithServer {
    server: Server,
    place: Place,
    disk: Disk,
}

#[test]
fn sqlite_loses_nothing_acknowledged() {
    let Some(disk) = or_not_run("power_cut", Disk::ext4(FOR_FILES)) else { return };
    let mut machine = WithFile { disk, durability: sqlite::Durability::PowerCut };
    let promised = cuts(&machine, form(1, 30), 0);
    machine.durability = sqlite::Durability::ProcessCrash;
    holds("synchronous=FULL", promised, "NORMAL", cuts(&machine, form(1, 30), 9));
}

#[test]
fn postgres_loses_nothing_acknowledged() {
    let Some(disk) = or_not_run("power_cut", Disk::ext4(FOR_A_SERVER)) else { return };
    let promised = cuts(&WithServer::start(disk, "on"), form(1, 10), 0);
    let disk = Disk::ext4(FOR_A_SERVER).unwrap();
    let control = cuts(&WithServer::start(disk, "off"), form(1, 10), 9);
    holds("synchronous_commit=on", promised, "off", control);
}

/// How many were acknowledged before the cuts, and how many of them were gone behind them.
type Losses = (usize, usize);

fn holds(promise: &str, (acked, lost): Losses, control: &str, (control_acked, control_lost): Losses) {
    println!(
        "power_cut: {promise} lost {lost} of {acked} acknowledged runs; the control, {control}, {control_lost} of \
         {control_acked}; none half made"
    );
    assert_eq!(lost, 0, "acknowledged runs were lost");
    assert!(control_lost > 0, "void: the control lost nothing, so this was no power cut");
}

/// A cut right after the log was emptied finds everything on the disk, with a control too: it gets a few `more` until it loses some.
fn cuts(machine: &dyn Machine, cuts: usize, more: usize) -> Losses {
    let notes = tempfile::tempdir().unwrap();
    let (mut chance, seed) = chances();
    println!("power_cut: seed {seed}");
    let (mut acked, mut lost) = (0, 0);
    for number in 0..cuts + more {
        if number >= cuts && lost > 0 {
            break;
        }
        let (one, gone) = cut(machine, &notes.path().join(number.to_string()), chance.usize(50..300));
        (acked, lost) = (acked + one, lost + gone);
    }
    (acked, lost)
}

fn cut(machine: &dyn Machine, acks: &Path, enough: usize) -> Losses {
    let place = machine.boot();
    let mut writer = Writer::start(&place, acks, None);
    eventually("enough is acknowledged", LIMIT, || writer.acked().len() >= enough);
    // What is answered from here on nobody would hear on a machine without power, and an fsync that the cut meets under way may say
    // that it is done (seen with ext4 of Linux 6.18).
    let acked = writer.acked();
    machine.cut_power();
    writer.kill();
    machine.boot_again();

    let history = History::open(&place);
    history.is_sound();
    assert_eq!(history.half_made(), 0, "runs without their event");
    let found: HashSet<RunId> = history.ids().collect();
    (acked.len(), acked.iter().filter(|id| !found.contains(id)).count())
}

impl Machine for WithFile {
    /// The file itself is to be there afterwards, with the control too.
    fn boot(&self) -> Place {
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(self.disk.path().join(format!("runs.db{end}")));
        }
        let path = self.disk.path().join("runs.db");
        drop(Place::file(path.clone()).open());
        self.disk.remount();
        Place::File { path, durability: self.durability }
    }

    fn cut_power(&self) {
        self.disk.cut_power();
    }

    fn boot_again(&self) {
        self.disk.remount();
    }
}

impl WithServer {
    fn start(disk: Disk, synchronous_commit: &str) -> Self {
        let option = ("synchronous_commit".to_owned(), synchronous_commit.to_owned());
        let settings =
            Settings { durability: Durability::Full, options: vec![option], folder: Some(disk.path()) };
        let server = Server::start(settings).unwrap();
        let durability = match synchronous_commit {
            "on" => postgres::Durability::PowerCut,
            _ => postgres::Durability::AsConfigured,
        };
        let place = Place::on(&server, durability);
        Self { server, place, disk }
    }
}

impl Machine for WithServer {
    fn boot(&self) -> Place {
        self.server.start_again().unwrap();
        self.server.execute("runs", "CHECKPOINT").unwrap();
        self.place.clone()
    }

    /// The server finds its disk gone; what is left of it is ended, as on a machine without power.
    fn cut_power(&self) {
        self.disk.cut_power();
        self.server.kill().unwrap();
    }

    fn boot_again(&self) {
        self.disk.remount();
        self.server.start_again().unwrap();
    }
}
