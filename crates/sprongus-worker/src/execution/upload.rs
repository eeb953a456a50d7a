//! Files on their way to the store: read as they are sent, sent again while the store cannot be reached.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use sprongus_core::error::{Error, ErrorCode, Result};
use sprongus_core::run::artifact::{Artifact, ArtifactName, ByteStream};
use sprongus_core::runs::Runs;
use tokio::time::{Instant, sleep};

use crate::execution::active_run::ActiveRun;
use crate::execution::recorder::Recorder;
use crate::execution::transient::may_pass;
use crate::process::StopReason;

/// How much is read at once.
const CHUNK: usize = 256 * 1024;

/// After so long no upload is begun again: whoever waits for it holds a slot.
const PATIENCE: Duration = Duration::from_secs(5 * 60);

/// The pauses between one try and the next.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// The log of the run, and the step, in which it is said that an upload has to be repeated.
pub(crate) type RunLog<'a> = Option<(&'a Recorder, &'a str)>;

/// Keeps an artifact of the run. `body` makes its bytes anew for each try. What keeps the first try from succeeding is in the log of
/// the worker, and in that of the run named by `log`.
///
/// # Errors
/// The store's refusal; the last failure when it could not be reached for too long; `lease_lost`, at once, when the run is
/// lost.
pub(crate) async fn keep(
    runs: &dyn Runs,
    active: &ActiveRun,
    name: &ArtifactName,
    content_type: &str,
    body: impl Fn() -> ByteStream,
    log: RunLog<'_>,
) -> Result<Artifact> {
    let begun = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        let answer = tokio::select! {
            biased;
            () = active.until_lost() => return Err(lost()),
            answer = runs.put_artifact(&active.hold, name, content_type, body()) => answer,
        };
        match answer {
            Err(error) if may_pass(error.code()) && begun.elapsed() < PATIENCE => {
                if pause == FIRST_PAUSE {
                    tracing::warn!(run = %active.hold.id, code = %error.code(), why = error.message(), "an artifact is not stored yet");
                    if let Some((recorder, step)) = log {
                        let line = format!("[a file is not stored yet; retrying: {}]", error.message());
                        recorder.say(Some(step), line).await;
                    }
                }
            }
            Err(error) if error.code() == ErrorCode::LeaseLost => {
                // Nothing that is done from here on counts, and somebody else may be about to do it.
                active.stop(StopReason::LeaseLost);
                return Err(error);
            }
            answer => return answer,
        }
        tokio::select! {
            () = active.until_lost() => return Err(lost()),
            () = sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
        }
    }
}

/// What a file is, by its name.
pub(crate) fn content_type(name: &ArtifactName) -> String {
    mime_guess::from_path(name.as_str()).first_or_octet_stream().essence_str().to_owned()
}

fn lost() -> Error {
    Error::new(ErrorCode::LeaseLost, "the lease expired")
}

/// The bytes of an open file, from its first to what is its last when that is reached.
pub(crate) fn bytes_of(file: Arc<File>) -> ByteStream {
    Box::pin(stream::unfold(Some(0), move |at: Option<u64>| {
        let file = Arc::clone(&file);
        async move {
            let at = at?;
            let read = tokio::task::spawn_blocking(move || read(&file, at)).await;
            match read.map_err(io::Error::other).flatten() {
                Ok(bytes) if bytes.is_empty() => None,
                Ok(bytes) => {
                    let next = at + bytes.len() as u64;
                    Some((Ok(bytes), Some(next)))
                }
                Err(error) => Some((Err(error), None)),
            }
        }
    }))
}

fn read(file: &File, at: u64) -> io::Result<Bytes> {
    let mut buffer = vec![0; CHUNK];
    loop {
        match file.read_at(&mut buffer, at) {
            Ok(length) => {
                buffer.truncate(length);
                return Ok(buffer.into());
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
