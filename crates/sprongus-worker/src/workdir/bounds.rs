//! What a kept work directory may hold, alike for whoever packs one and whoever unpacks one.

/// The most bytes of a tar's entries: 1 GiB, each with its header of 512 bytes.
pub(super) const MOST_BYTES: u64 = 1 << 30;

/// A header, and what contents are filled up to.
pub(super) const BLOCK: u64 = 512;

/// The longest path, in bytes; the system takes none of 4,096.
pub(super) const LONGEST_PATH: usize = 4_000;

/// Folders within folders.
pub(super) const DEEPEST: usize = 100;

/// The folder of the work directory's entries in the tar.
pub(super) const WORK: &str = "work";

/// The last entry: what of the attempt is in no file. Without it a tar is not whole.
pub(super) const STATE: &str = "state.json";

/// What an entry with a content of `size` counts.
pub(super) fn weight(size: u64) -> u64 {
    size.checked_next_multiple_of(BLOCK).and_then(|size| size.checked_add(BLOCK)).unwrap_or(u64::MAX)
}

/// Whether a link with `target`, in a folder `depth` below the work directory, leads nowhere outside of it.
///
/// Steps upward are allowed at the beginning alone: there they leave folders that are none but folders, since nothing is
/// packed or unpacked through a link. Further on `..` would leave whatever a link before it led to.
pub(super) fn stays_inside(depth: usize, target: &[u8]) -> bool {
    let mut upward = 0;
    let mut down = false;
    for part in target.split(|byte| *byte == b'/') {
        match part {
            b".." if down => return false,
            b".." => upward += 1,
            b"" | b"." => {}
            _ => down = true,
        }
    }
    let relative = target.first().is_some_and(|byte| *byte != b'/');
    relative && upward <= depth && !target.contains(&0) && target.len() <= LONGEST_PATH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_goes_up_at_its_beginning_only() {
        for (depth, target) in [
            (0, "a"),
            (0, "a/b"),
            (0, "."),
            (0, "./a"),
            (1, ".."),
            (1, "../a"),
            (2, "../../a/b"),
            (0, "a//b"),
        ] {
            assert!(stays_inside(depth, target.as_bytes()), "{target}");
        }
        for (depth, target) in [
            (0, ""),
            (0, "/etc/passwd"),
            (0, ".."),
            (1, "../.."),
            (1, ".././../x"),
            // `a` may be a link to `.`.
            (1, "a/../x"),
            (5, "../a/.."),
            (0, "a\0b"),
        ] {
            assert!(!stays_inside(depth, target.as_bytes()), "{target}");
        }
    }

    #[test]
    fn an_entry_weighs_its_header_and_whole_blocks() {
        assert_eq!([weight(0), weight(1), weight(512), weight(513)], [512, 1024, 1024, 1536]);
        assert_eq!(weight(u64::MAX), u64::MAX);
    }
}
