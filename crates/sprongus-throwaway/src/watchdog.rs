//! What stops a server and removes its folders when the process that started it is gone, however that came about.
//!
//! Two shells in a row, each reading a pipe until its end. The first ends when nobody holds the server any more, stops it
//! as the account it runs as, and by ending tells the second, which runs as us and may remove what we made.

use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::account::Account;
use crate::binaries::Binaries;
use crate::failure::{Doing as _, Result};
use crate::folders::Folders;

/// Reads until there is nobody left who could write. Signals to the whole terminal must not end it before its work.
const UNTIL_THE_END: &str = "trap '' HUP INT TERM; while read -r _; do :; done";
const STOP: &str = r#""$1" stop -m immediate -D "$2" >/dev/null 2>&1"#;
/// More than once, for a process that was just starting may still make files.
const REMOVE: &str = r#"for _ in 1 2 3 4 5; do rm -rf "$@" && [ ! -e "$1" ] && exit; sleep 1; done"#;

/// The held end of the pipe. It is close-on-exec as all of std's are, so no process we start keeps it open.
#[derive(Debug)]
pub(crate) struct Watchdog {
    held: Option<ChildStdin>,
    stopper: Child,
    remover: Child,
}

impl Watchdog {
    /// Starts to watch over folders that exist.
    pub(crate) fn start(folders: &Folders, binaries: &Binaries, account: Account) -> Result<Self> {
        let mut remover = Command::new("/bin/sh");
        remover.args(["-c", &format!("{UNTIL_THE_END}; {REMOVE}"), "sh"]);
        remover.arg(&folders.whole).arg(&folders.sockets).current_dir("/").process_group(0);
        remover.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut remover = remover.spawn().doing(|| "start the watchdog".to_owned())?;

        let mut stopper = account.command("/bin/sh");
        stopper.args(["-c", &format!("{UNTIL_THE_END}; {STOP}"), "sh"]);
        stopper.arg(binaries.program("pg_ctl")).arg(folders.data());
        let to_remover = remover.stdin.take().map_or_else(Stdio::null, Stdio::from);
        stopper.stdin(Stdio::piped()).stdout(to_remover).stderr(Stdio::null());
        let mut stopper = stopper.spawn().doing(|| "start the watchdog".to_owned())?;
        Ok(Self { held: stopper.stdin.take(), stopper, remover })
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.held.take());
        // What cannot be waited for is gone already.
        let _ = (self.stopper.wait(), self.remover.wait());
    }
}
