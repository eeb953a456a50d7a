//! A stream of bytes, read as a file is.

use std::future::poll_fn;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::{Buf as _, Bytes};
use sprongus_core::run::artifact::ByteStream;
use tokio::sync::mpsc;

/// Pieces on their way.
const IN_FLIGHT: usize = 4;

/// The reading end, for a thread that may block.
pub(super) struct Source {
    inbox: mpsc::Receiver<io::Result<Bytes>>,
    piece: Bytes,
    interrupted: Arc<AtomicBool>,
}

impl Source {
    /// Of a stream; what it brings comes while the future is awaited.
    pub(super) fn of(mut body: ByteStream) -> (Self, impl Future<Output = ()>) {
        let (pieces, inbox) = mpsc::channel(IN_FLIGHT);
        let feed = async move {
            while let Some(piece) = poll_fn(|context| body.as_mut().poll_next(context)).await {
                let last = piece.is_err();
                if pieces.send(piece).await.is_err() || last {
                    break;
                }
            }
        };
        (Self { inbox, piece: Bytes::new(), interrupted: Arc::default() }, feed)
    }

    /// Becomes true when the stream has broken off.
    pub(super) fn interrupted(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.interrupted)
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.inbox.blocking_recv() {
                Some(Ok(piece)) => self.piece = piece,
                Some(Err(error)) => {
                    self.interrupted.store(true, Ordering::Relaxed);
                    return Err(error);
                }
                None => return Ok(0),
            }
        }
        let taken = self.piece.len().min(buffer.len());
        self.piece.copy_to_slice(&mut buffer[..taken]);
        Ok(taken)
    }
}
