//! From a thread that writes and may block to a stream that somebody reads, a few pieces in memory.

use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use sprongus_core::run::artifact::ByteStream;
use tokio::sync::mpsc;

/// Bytes of a piece of the stream.
const PIECE: usize = 64 * 1024;

/// Pieces on their way.
const IN_FLIGHT: usize = 4;

/// A pipe whose far end is read as a body.
pub(super) fn pipe() -> (Pipe, ByteStream) {
    let (pieces, inbox) = mpsc::channel(IN_FLIGHT);
    let pipe = Pipe { pieces, gathered: Vec::with_capacity(PIECE), ended: false };
    (pipe, Box::pin(Body { inbox, ended: false }))
}

enum Piece {
    Bytes(Bytes),
    Broken(io::Error),
    End,
}

/// The reading end; it ends well only when the writing one said so.
struct Body {
    inbox: mpsc::Receiver<Piece>,
    ended: bool,
}

impl Stream for Body {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let piece = std::task::ready!(self.inbox.poll_recv(context));
        self.ended = !matches!(piece, Some(Piece::Bytes(_)));
        Poll::Ready(match piece {
            Some(Piece::Bytes(bytes)) => Some(Ok(bytes)),
            Some(Piece::Broken(error)) => Some(Err(error)),
            Some(Piece::End) => None,
            None => Some(Err(io::Error::other("writing was interrupted"))),
        })
    }
}

/// The writing end.
pub(super) struct Pipe {
    pieces: mpsc::Sender<Piece>,
    gathered: Vec<u8>,
    ended: bool,
}

impl Pipe {
    /// Says that all was written, or why not. Whatever is written afterwards, as the end of a tar that is dropped is, is
    /// refused.
    pub(super) fn end(&mut self, failure: Option<String>) -> io::Result<()> {
        let last = match failure {
            None => self.flush().map(|()| Piece::End)?,
            Some(why) => Piece::Broken(io::Error::other(why)),
        };
        self.ended = true;
        self.send(last)
    }

    fn send(&self, piece: Piece) -> io::Result<()> {
        self.pieces.blocking_send(piece).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.ended {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.gathered.extend_from_slice(bytes);
        if self.gathered.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.ended || self.gathered.is_empty() {
            return Ok(());
        }
        let bytes = std::mem::replace(&mut self.gathered, Vec::with_capacity(PIECE));
        self.send(Piece::Bytes(bytes.into()))
    }
}
