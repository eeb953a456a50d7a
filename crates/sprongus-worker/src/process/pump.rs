//! Reads what a command prints and hands it on, in bounded memory and at the receiver's pace.

use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{ChildStderr, ChildStdout};
use tokio::sync::{mpsc, oneshot};

use super::ending::StepOutput;
use super::head::Head;
use super::lines::{Cut, LineCutter, OutputLine, Stream};

/// How long pipes are waited for when the group is gone; who still holds them has left the group.
const PATIENCE: Duration = Duration::from_secs(1);

/// The most that is read from then on: what pipes can hold, not what an escaped process goes on printing.
const LAST_BYTES: u64 = 2 * 1024 * 1024;

const CHUNK: usize = 16 * 1024;

/// Tells the pump that the group is gone.
pub(super) struct Ended {
    signal: oneshot::Receiver<()>,
    limit: Option<Limit>,
}

/// What is left to the pump from then on.
struct Limit {
    patience: Duration,
    bytes: u64,
}

impl Limit {
    fn new() -> Self {
        Self { patience: PATIENCE, bytes: LAST_BYTES }
    }
}

impl Ended {
    pub(super) fn new(signal: oneshot::Receiver<()>) -> Self {
        Self { signal, limit: None }
    }
}

/// What was printed.
pub(super) struct Printed {
    pub(super) output: StepOutput,
    pub(super) lines: u64,
    pub(super) bytes: u64,
}

/// One of the two pipes.
struct Pipe<R> {
    reader: Option<R>,
    buffer: Vec<u8>,
    cutter: LineCutter,
}

impl<R: AsyncRead + Unpin> Pipe<R> {
    fn new(reader: Option<R>) -> Self {
        Self { reader, buffer: vec![0; CHUNK], cutter: LineCutter::default() }
    }

    /// Reads once; nothing is the end of the pipe. Safe to cancel.
    async fn read(&mut self) -> usize {
        let Some(reader) = &mut self.reader else { return std::future::pending().await };
        match reader.read(&mut self.buffer).await {
            Ok(0) | Err(_) => {
                self.reader = None;
                0
            }
            Ok(length) => length,
        }
    }
}

/// Both pipes and what becomes of their bytes.
pub(super) struct Pump {
    stdout: Pipe<ChildStdout>,
    stderr: Pipe<ChildStderr>,
    sink: Sink,
    head: Head,
    bytes: u64,
}

impl Pump {
    pub(super) fn new(
        stdout: Option<ChildStdout>,
        stderr: Option<ChildStderr>,
        lines: mpsc::Sender<OutputLine>,
    ) -> Self {
        let (stdout, stderr) = (Pipe::new(stdout), Pipe::new(stderr));
        Self { stdout, stderr, sink: Sink { lines, seen: 0 }, head: Head::default(), bytes: 0 }
    }

    /// Reads until both pipes are closed, or for a moment after the group is gone.
    pub(super) async fn run(mut self, mut ended: Ended) -> Printed {
        let mut ready = Vec::new();
        while self.stdout.reader.is_some() || self.stderr.reader.is_some() {
            let Some((stream, length)) = self.read(&mut ended).await else { break };
            self.bytes += length as u64;
            let collect = |cut| ready.push(cut);
            match stream {
                Stream::Stdout => {
                    self.head.push(&self.stdout.buffer[..length]);
                    self.stdout.cutter.cut(&self.stdout.buffer[..length], collect);
                }
                Stream::Stderr => self.stderr.cutter.cut(&self.stderr.buffer[..length], collect),
            }
            self.sink.take(stream, &mut ready).await;
        }
        for stream in [Stream::Stdout, Stream::Stderr] {
            let collect = |cut| ready.push(cut);
            match stream {
                Stream::Stdout => self.stdout.cutter.finish_cut(collect),
                Stream::Stderr => self.stderr.cutter.finish_cut(collect),
            }
            self.sink.take(stream, &mut ready).await;
        }
        Printed { output: self.head.output(), lines: self.sink.seen, bytes: self.bytes }
    }

    /// The next piece and where it came from; `None` when it is time to give up.
    async fn read(&mut self, ended: &mut Ended) -> Option<(Stream, usize)> {
        loop {
            let Some(limit) = &mut ended.limit else {
                tokio::select! {
                    length = self.stdout.read() => return Some((Stream::Stdout, length)),
                    length = self.stderr.read() => return Some((Stream::Stderr, length)),
                    _ = &mut ended.signal => ended.limit = Some(Limit::new()),
                }
                continue;
            };
            // Only the waiting for pipes counts: a slow receiver must not cost the last lines.
            let waited_from = Instant::now();
            let read = tokio::select! {
                biased;
                length = self.stdout.read() => Some((Stream::Stdout, length)),
                length = self.stderr.read() => Some((Stream::Stderr, length)),
                () = tokio::time::sleep(limit.patience) => None,
            };
            limit.patience = limit.patience.saturating_sub(waited_from.elapsed());
            let length = read.map_or(0, |(_, length)| length as u64);
            limit.bytes = limit.bytes.saturating_sub(length);
            return read.filter(|_| limit.bytes > 0);
        }
    }
}

/// Counts lines and sends them on.
struct Sink {
    lines: mpsc::Sender<OutputLine>,
    seen: u64,
}

impl Sink {
    async fn take(&mut self, stream: Stream, ready: &mut Vec<Cut>) {
        let at = Instant::now();
        for Cut { text, continued, redraws } in ready.drain(..) {
            self.seen += u64::from(!continued);
            // A dropped receiver wants no lines; the command is not to blame, and its output is still drained.
            let _ = self.lines.send(OutputLine { stream, text, at, continued, redraws }).await;
        }
    }
}
