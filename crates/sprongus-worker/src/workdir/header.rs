//! Headers of a tar's entries: what is kept of a file besides its content, written and read.

use rustix::fs::{Mode, Stat, Timespec, Timestamps};
use tar::{EntryType, Header};

/// Seconds and nanoseconds; what is older than 1970 is of its first instant.
pub(super) fn mtime(stat: &Stat) -> (u64, u64) {
    match u64::try_from(stat.st_mtime) {
        Ok(seconds) => (seconds, nanoseconds(stat)),
        Err(_) => (0, 0),
    }
}

#[expect(clippy::useless_conversion, reason = "the field has another type on other systems")]
fn nanoseconds(stat: &Stat) -> u64 {
    u64::try_from(stat.st_mtime_nsec).unwrap_or(0)
}

/// The nanoseconds of its time are where a tar has a file's ctime, which is nothing that could be put back.
pub(super) fn header(kind: EntryType, mode: u32, size: u64, (seconds, nanoseconds): (u64, u64)) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    // No set-user-id over a gate.
    header.set_mode(mode & 0o777);
    header.set_size(size);
    header.set_mtime(seconds);
    if let Some(gnu) = header.as_gnu_mut() {
        gnu.set_ctime(nanoseconds);
    }
    header.set_uid(0);
    header.set_gid(0);
    header
}

/// The times that a header gives a file.
pub(super) fn times(header: &Header) -> Timestamps {
    let seconds = header.mtime().ok().and_then(|seconds| i64::try_from(seconds).ok()).unwrap_or(0);
    // Not there in what an earlier version has packed.
    let nanoseconds = header.as_gnu().and_then(|gnu| gnu.ctime().ok()).filter(|nanos| *nanos < 1_000_000_000);
    #[expect(clippy::cast_possible_wrap, reason = "less than a second")]
    let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds.unwrap_or(0) as _ };
    Timestamps { last_access: time, last_modification: time }
}

/// The mode that it gives it: no set-user-id.
pub(super) fn mode(header: &Header) -> Mode {
    Mode::from_raw_mode(header.mode().unwrap_or(0o600) & 0o777)
}

/// Copies as much as fits; says whether that is not all.
pub(super) fn fill(field: &mut [u8; 100], text: &[u8]) -> bool {
    let fits = text.len().min(field.len());
    field[..fits].copy_from_slice(&text[..fits]);
    fits < text.len()
}

/// A header's field, up to its NUL.
pub(super) fn field(field: &[u8; 100]) -> Vec<u8> {
    field.iter().copied().take_while(|byte| *byte != 0).collect()
}
