//! Whoever started a server may end without a word. A shell waits for that: its standard input ends when the process does, and then it
//! stops the server and removes the folder.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};

use crate::binaries::{Binaries, Failure};

const SCRIPT: &str = r#"
    trap '' INT TERM HUP
    cat >/dev/null
    pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null) && kill -QUIT "$pid" 2>/dev/null
    for _ in 1 2 3 4 5 6 7 8 9 10; do kill -0 "$pid" 2>/dev/null || break; sleep 0.2; done
    [ -n "$pid" ] && kill -KILL "$pid" 2>/dev/null
    rm -rf "$1"
"#;

/// Keeps the server alive; the server ends with it.
pub struct Watchdog {
    _open: Option<ChildStdin>,
}

impl Watchdog {
    /// Watches over the server in `folder`.
    pub fn over(folder: &Path, _binaries: &Binaries) -> Result<Self, Failure> {
        let mut shell = Command::new("sh");
        shell.args(["-c", SCRIPT, "watchdog"]).arg(folder).current_dir("/").process_group(0);
        let mut shell = shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        Ok(Self { _open: shell.stdin.take() })
    }
}
