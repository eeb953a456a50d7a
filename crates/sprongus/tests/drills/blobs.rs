//! A power cut right after artifacts were kept: the bytes of each one that was answered are there, all of them. The control writes
//! the same files without forcing them to the disk, and must lose some.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use futures_util::{TryStreamExt, stream};
use sprongus::artifacts::{self, Place};
use sprongus::core::run::artifact::Blobs;
use sprongus::core::values::ids::RunId;

use crate::disk::{Disk, or_not_run};
use crate::tempo::{block_on, chances, form};

const BYTES: u64 = 96 << 20;

/// How many files one cut follows.
const FILES: usize = 12;

type Files = BTreeMap<String, Vec<u8>>;

#[test]
fn what_was_kept_outlives_a_power_cut() {
    let Some(disk) = or_not_run("blobs", Disk::ext4(BYTES)) else { return };
    let (mut chance, seed) = chances();
    println!("blobs: seed {seed}");
    let (mut kept, mut unforced) = (Losses::default(), Losses::default());
    for _ in 0..form(4, 60) {
        let files = some_files(&mut chance);
        kept.add(&disk, &files, |folder| keep(folder, &files));
        unforced.add(&disk, &files, |folder| write(folder, &files));
    }
    println!(
        "blobs: {} of {} files that were kept are gone or not whole; of the control's, {} of {}",
        kept.lost, kept.all, unforced.lost, unforced.all
    );
    assert_eq!(kept.lost, 0, "bytes that were acknowledged were lost");
    assert!(unforced.lost > 0, "void: the control lost nothing, so this was no power cut");
}

#[derive(Default)]
struct Losses {
    all: usize,
    lost: usize,
}

impl Losses {
    /// Makes the files in a folder that is new, cuts the power, and counts those that are not what they were.
    fn add(&mut self, disk: &Disk, files: &Files, make: impl FnOnce(&Path)) {
        let folder = disk.path().join("kept");
        let _ = fs::remove_dir_all(&folder);
        disk.remount();
        make(&folder);
        disk.cut_power();
        disk.remount();
        let found = fs::metadata(&folder).is_ok();
        let blobs = artifacts::open(&Place::Folder(folder));
        let whole = files
            .iter()
            .filter(|(key, bytes)| found && read(&blobs, key, bytes.len()) == Some((*bytes).clone()));
        let whole = whole.count();
        self.all += files.len();
        self.lost += files.len() - whole;
    }
}

/// Files of one byte to a few hundred KiB, of one run and of several.
fn some_files(chance: &mut fastrand::Rng) -> Files {
    let run = RunId::new();
    let mut files = Files::new();
    for number in 0..FILES {
        let run = if number % 2 == 0 { run } else { RunId::new() };
        let length = chance.usize(1..300_000);
        let bytes = std::iter::repeat_with(|| chance.u8(..)).take(length).collect();
        files.insert(format!("default/{run}/{}", RunId::new()), bytes);
    }
    files
}

fn keep(folder: &Path, files: &Files) {
    let blobs = artifacts::open(&Place::Folder(folder.to_owned()));
    for (key, bytes) in files {
        let body = bytes.clone();
        block_on(blobs.put(key, Box::pin(stream::once(async move { Ok(body.into()) })))).unwrap();
    }
}

fn write(folder: &Path, files: &Files) {
    for (key, bytes) in files {
        let file = folder.join(key);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, bytes).unwrap();
    }
}

fn read(blobs: &Arc<dyn Blobs>, key: &str, length: usize) -> Option<Vec<u8>> {
    block_on(async {
        let pieces = blobs.get(key, 0..length as u64).await.ok()?;
        let pieces: Vec<_> = pieces.try_collect().await.ok()?;
        Some(pieces.concat())
    })
}
