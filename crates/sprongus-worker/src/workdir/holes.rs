//! Files with holes on their way through a tar: what is written of them goes, with where it belongs, and what is not stays unwritten.
//!
//! Such a file is an entry below `sparse/` instead of `work/`. Its content is its size, the number of its pieces, the offset and length of
//! each, all as 64 bits in little endian, and then the pieces.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

/// The folder of such files in the tar.
pub(super) const SPARSE: &str = "sparse";

/// The largest such file, holes included: 1 TiB.
const LARGEST: u64 = 1 << 40;

/// The most pieces. One with more is a file like others.
const MOST_PIECES: u64 = 50_000;

/// What is written of a file: its size, and where its pieces are, in order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Map {
    pub(super) size: u64,
    /// Offset and length.
    pub(super) pieces: Vec<(u64, u64)>,
}

impl Map {
    /// Of a file of `size` bytes with `blocks` of 512 bytes on the disk. None where it has no holes, as far as the system tells, and where
    /// it is too large or in too many pieces.
    pub(super) fn of(file: impl AsFd, size: u64, blocks: u64) -> Option<Self> {
        if blocks.saturating_mul(512) >= size || size > LARGEST {
            return None;
        }
        let (mut pieces, mut at) = (Vec::new(), 0);
        while at < size {
            let start = match seek(&file, SeekFrom::Data(at)) {
                Ok(start) => start,
                // Nothing but a hole is left.
                Err(Errno::NXIO) => break,
                Err(_) => return None,
            };
            let end = seek(&file, SeekFrom::Hole(start)).ok()?.min(size);
            if start >= end {
                break;
            }
            pieces.push((start, end - start));
            if pieces.len() as u64 > MOST_PIECES {
                return None;
            }
            at = end;
        }
        Some(Self { size, pieces })
    }

    /// The beginning of the entry's content.
    pub(super) fn head(&self) -> Vec<u8> {
        let numbers = [self.size, self.pieces.len() as u64];
        let pieces = self.pieces.iter().flat_map(|(offset, length)| [*offset, *length]);
        numbers.into_iter().chain(pieces).flat_map(u64::to_le_bytes).collect()
    }

    /// The size of the entry's content.
    pub(super) fn packed(&self) -> u64 {
        let data: u64 = self.pieces.iter().map(|(_, length)| length).sum();
        16 * (1 + self.pieces.len() as u64) + data
    }

    /// Reads the beginning of a content of `packed` bytes. None where no packer would have written it.
    pub(super) fn read(content: &mut impl Read, packed: u64) -> io::Result<Option<Self>> {
        let mut number = || {
            let mut bytes = [0; 8];
            content.read_exact(&mut bytes).map(|()| u64::from_le_bytes(bytes))
        };
        if packed < 16 {
            return Ok(None);
        }
        let (size, count) = (number()?, number()?);
        if size > LARGEST || count > MOST_PIECES || 16 * (1 + count) > packed {
            return Ok(None);
        }
        let mut map = Self { size, pieces: Vec::new() };
        let mut end = 0_u64;
        for _ in 0..count {
            let (offset, length) = (number()?, number()?);
            let next = offset.checked_add(length).filter(|next| offset >= end && *next <= size);
            let Some(next) = next.filter(|_| length > 0) else { return Ok(None) };
            map.pieces.push((offset, length));
            end = next;
        }
        Ok(Some(map).filter(|map| map.packed() == packed))
    }
}

/// The pieces of a file, one after the other, in the lengths that were promised, though it may change meanwhile.
pub(super) struct Pieces {
    file: File,
    pieces: std::vec::IntoIter<(u64, u64)>,
    present: (u64, u64),
}

impl Pieces {
    pub(super) fn new(file: File, map: Map) -> Self {
        Self { file, pieces: map.pieces.into_iter(), present: (0, 0) }
    }
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        use std::os::unix::fs::FileExt as _;
        while self.present.1 == 0 {
            match self.pieces.next() {
                Some(piece) => self.present = piece,
                None => return Ok(0),
            }
        }
        let (offset, length) = self.present;
        let most = usize::try_from(length).unwrap_or(usize::MAX).min(buffer.len());
        let mut read = self.file.read_at(&mut buffer[..most], offset)?;
        if read == 0 && most > 0 {
            buffer[..most].fill(0);
            read = most;
        }
        self.present = (offset + read as u64, length - read as u64);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_packer_writes_is_refused() {
        let map = Map { size: 100, pieces: vec![(0, 10), (50, 50)] };
        let read = |map: &Map, packed| Map::read(&mut map.head().as_slice(), packed).unwrap();
        assert_eq!(map.packed(), 48 + 60);
        assert_eq!(read(&map, map.packed()).as_ref(), Some(&map));
        assert_eq!(read(&map, map.packed() - 1), None);
        for pieces in [
            vec![(50, 51)],
            vec![(50, 10), (40, 10)],
            vec![(50, 10), (55, 10)],
            vec![(5, 0)],
            vec![(u64::MAX, 2)],
        ] {
            let bad = Map { size: 100, pieces };
            let packed =
                bad.pieces.iter().fold(16 * (1 + bad.pieces.len() as u64), |sum, (_, length)| sum + length);
            assert_eq!(read(&bad, packed), None, "{bad:?}");
        }
        assert_eq!(read(&Map { size: u64::MAX, pieces: Vec::new() }, 16), None);
        let many = [100_u64, u64::MAX / 16].map(u64::to_le_bytes).concat();
        assert_eq!(Map::read(&mut many.as_slice(), 1 << 30).unwrap(), None);
        assert!(Map::read(&mut &map.head()[..20], map.packed()).is_err());
    }
}
