//! A power cut amid enqueues: whatever was acknowledged is there afterwards. The control, `synchronous=NORMAL`, must lose some,
//! or the drill proves nothing.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use sprongus::core::ids::RunId;
use sprongus::sqlite::{Durability, Options, Sqlite};

use crate::disk::{Disk, or_not_run};
use crate::history::History;
use crate::tempo::{chances, eventually, form};
use crate::writer::Writer;

#[test]
fn nothing_acknowledged_is_lost() {
    let cuts = form(1, 30);
    let Some(disk) = or_not_run("power_cut", Disk::ext4()) else { return };
    let notes = tempfile::tempdir().unwrap();
    let (mut chance, seed) = chances();
    let mut told = Vec::new();
    for durability in [Durability::PowerCut, Durability::ProcessCrash] {
        let (mut acked, mut lost) = (0, 0);
        // A cut right after the log was emptied finds everything on the disk, with the control too: it gets a few more.
        let most = match durability {
            Durability::PowerCut => cuts,
            Durability::ProcessCrash => cuts + 9,
        };
        for number in 0..most {
            if number >= cuts && lost > 0 {
                break;
            }
            let acks = notes.path().join(format!("{durability:?}-{number}"));
            let enough = chance.usize(50..300);
            let (one, gone) = cut(&disk, &acks, durability, enough);
            (acked, lost) = (acked + one, lost + gone);
        }
        told.push((acked, lost));
    }
    let [(acked, lost), (control, control_lost)] = told[..] else { panic!("two forms") };
    println!(
        "power_cut: seed {seed}: {cuts} cuts: synchronous=FULL lost {lost} of {acked} acknowledged runs; the control, \
         NORMAL, {control_lost} of {control}; all files sound"
    );
    assert_eq!(lost, 0, "acknowledged runs were lost");
    assert!(control_lost > 0, "void: the control lost nothing, so this was no power cut");
}

/// How many were acknowledged before the cut, and how many of them are gone.
fn cut(disk: &Disk, acks: &Path, durability: Durability, enough: usize) -> (usize, usize) {
    let file = disk.path().join("runs.db");
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(disk.path().join(format!("runs.db{end}")));
    }
    // The file itself is to be there afterwards, with the control too.
    drop(Sqlite::open(&file, Options::default()).unwrap());
    disk.remount();

    let mut writer = Writer::start(&file, acks, durability, None);
    eventually("enough is acknowledged", Duration::from_secs(60), || writer.acked().len() >= enough);
    disk.cut_power();
    writer.kill();
    disk.remount();

    let history = History::open(&file);
    history.is_sound();
    let mut ids = history.connection().prepare("SELECT id FROM runs").unwrap();
    let found: HashSet<RunId> = ids
        .query_map([], |row| row.get::<_, String>(0))
        .unwrap()
        .map(|id| id.unwrap().parse().unwrap())
        .collect();
    let half =
        "SELECT count(*) FROM runs WHERE 1 <> (SELECT count(*) FROM run_events WHERE run_id = runs.id)";
    let half: u32 = history.connection().query_row(half, [], |row| row.get(0)).unwrap();
    assert_eq!(half, 0, "runs without their event");
    let acked = writer.acked();
    (acked.len(), acked.iter().filter(|id| !found.contains(id)).count())
}
