//! Files' contents on their way into a tar.

use std::fs::File;
use std::io::{self, Read};

/// A file's content in the length that its header promises, though the file may change meanwhile.
pub(super) struct Exactly {
    file: File,
    left: u64,
}

impl Exactly {
    pub(super) fn new(file: File, length: u64) -> Self {
        Self { file, left: length }
    }
}

impl Read for Exactly {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.file.read(&mut buffer[..most])?;
        let read = if read == 0 && most > 0 {
            buffer[..most].fill(0);
            most
        } else {
            read
        };
        self.left -= read as u64;
        Ok(read)
    }
}

/// Notes a failure to read, to tell it from one to write.
pub(super) struct Noting<'a, R> {
    content: R,
    failed: &'a mut Option<io::Error>,
}

impl<'a, R> Noting<'a, R> {
    pub(super) fn new(content: R, failed: &'a mut Option<io::Error>) -> Self {
        Self { content, failed }
    }
}

impl<R: Read> Read for Noting<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.content.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let kind = error.kind();
                    *self.failed = Some(error);
                    return Err(kind.into());
                }
                read => return read,
            }
        }
    }
}
