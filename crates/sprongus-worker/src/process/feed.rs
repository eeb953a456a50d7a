//! Writes a command's stdin.

use tokio::io::AsyncWriteExt as _;
use tokio::process::ChildStdin;
use tokio::sync::oneshot;

/// Writes all of `bytes` and closes the pipe, or gives up when the command no longer wants them or is gone. A
/// command need not read its input, so a broken pipe is no error.
pub(super) async fn feed(stdin: Option<ChildStdin>, bytes: &[u8], gone: oneshot::Receiver<()>) {
    let Some(mut stdin) = stdin else { return };
    tokio::select! {
        _ = stdin.write_all(bytes) => {}
        _ = gone => {}
    }
}
