//! What outlives what: the store's promise, and the disk that it rests on, called what it is.

use std::path::Path;

use sprongus_core::store::Health;

use super::finding::Finding;

/// What a kind of file system does to a promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Disk {
    /// It is the machine's memory.
    Memory,
    /// It belongs to a container.
    Layer,
    /// It is another machine's, or another program's.
    Elsewhere,
}

/// File systems by the numbers that the kernel knows them by (`statfs(2)`).
const KNOWN: [(u64, &str, Disk); 19] = [
    (0x0102_1994, "tmpfs", Disk::Memory),
    (0x8584_58f6, "ramfs", Disk::Memory),
    (0x794c_7630, "overlay", Disk::Layer),
    (0x6969, "nfs", Disk::Elsewhere),
    (0xff53_4d42, "cifs", Disk::Elsewhere),
    (0xfe53_4d42, "smb2", Disk::Elsewhere),
    (0x517b, "smb", Disk::Elsewhere),
    (0x0102_1997, "9p", Disk::Elsewhere),
    (0x6573_5546, "fuse", Disk::Elsewhere),
    (0x00c3_6400, "ceph", Disk::Elsewhere),
    (0x0bd0_0bd0, "lustre", Disk::Elsewhere),
    (0x0116_1970, "gfs2", Disk::Elsewhere),
    (0x7461_636f, "ocfs2", Disk::Elsewhere),
    (0x1983_0326, "beegfs", Disk::Elsewhere),
    (0x4750_4653, "gpfs", Disk::Elsewhere),
    (0x5346_414f, "afs", Disk::Elsewhere),
    (0x7375_7245, "coda", Disk::Elsewhere),
    (0x786f_4256, "vboxsf", Disk::Elsewhere),
    (0xbacb_acbc, "vmhgfs", Disk::Elsewhere),
];

const POWER_CUT: &str = "acknowledged changes survive a power cut";

/// Whether what is acknowledged stays, as far as the store and its disk tell. `file` is the database, where it is a file.
pub fn finding(health: &Health, file: Option<&Path>) -> Finding {
    let system = file.and_then(|file| rustix::fs::statfs(file).ok());
    // The kernel's number is one of 32 bits, whatever the type that holds it.
    let number = system.map(|system| u64::try_from(i128::from(system.f_type) & 0xffff_ffff).unwrap_or(0));
    judged(health, number)
}

fn judged(health: &Health, system: Option<u64>) -> Finding {
    if !health.durable {
        return Finding::wrong(
            "durability",
            "a power cut may lose acknowledged changes",
            "set synchronous=FULL (SQLite), or turn on fsync, full_page_writes and synchronous_commit (Postgres)",
        );
    }
    let known = KNOWN.iter().find(|(number, ..)| Some(*number) == system);
    match known.map(|(_, name, disk)| (name, disk)) {
        None => match &health.caveat {
            None => Finding::fine("durability", POWER_CUT),
            Some(caveat) => Finding::fine("durability", format!("{POWER_CUT} {caveat}")),
        },
        Some((name, Disk::Memory)) => Finding::wrong(
            "durability",
            format!("the database is in memory ({name}): a restart of the machine loses it"),
            "keep the database on a disk: use another path with --db",
        ),
        Some((name, Disk::Layer)) => Finding::fine(
            "durability",
            format!("{POWER_CUT}; on {name}, where a container's files go when the container is removed"),
        ),
        Some((name, Disk::Elsewhere)) => Finding::wrong(
            "durability",
            format!(
                "the database is on a network or shared file system ({name}): SQLite's locks and write-ahead log are not safe there"
            ),
            "keep the database on a local disk, or use Postgres",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health(durable: bool, caveat: Option<&str>) -> Health {
        let (engine, place) = (String::new(), String::new());
        let (caveat, problems) = (caveat.map(str::to_owned), Vec::new());
        Health { engine, place, schema: 1, durable, caveat, not_checked: None, problems }
    }

    #[test]
    fn disks_that_keep_no_promise_are_called_what_they_are() {
        let wrong = |number: u64| {
            judged(&health(true, None), Some(number)).amiss().map(|(_, text, _)| text.to_owned())
        };
        for (number, name) in [
            (0x0102_1994, "tmpfs"),
            (0x6969, "nfs"),
            (0xff53_4d42, "cifs"),
            (0x0102_1997, "9p"),
            (0x6573_5546, "fuse"),
        ] {
            assert!(wrong(number).unwrap().contains(&format!("({name})")), "{name}");
        }
        // ext4, xfs, btrfs, zfs, and a container's layer.
        for number in [0xef53, 0x5846_5342, 0x9123_683e, 0x2fc1_2fc1, 0x794c_7630] {
            assert_eq!(wrong(number), None);
        }
        let weak = judged(&health(false, None), None);
        assert!(weak.amiss().unwrap().1.contains("a power cut may lose"));
    }

    #[test]
    fn memory_is_found_to_be_memory() {
        let shared = Path::new("/dev/shm");
        let is_memory =
            rustix::fs::statfs(shared).is_ok_and(|system| i128::from(system.f_type) == 0x0102_1994);
        let found = finding(&health(true, None), Some(shared));
        assert_eq!(found.amiss().is_some_and(|(_, text, _)| text.contains("in memory (tmpfs)")), is_memory);
    }
}
