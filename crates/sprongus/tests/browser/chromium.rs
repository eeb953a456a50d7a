//! A headless Chromium of our own, spoken to by its DevTools protocol over a pipe.
//!
//! A pipe and no driver beside it: nothing listens on this machine, the browser ends itself when this process does (however that
//! happens), and what a page complains of comes by itself. `devtools.rs` speaks, `tab.rs` is a page.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, Weak};

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::json;
use tempfile::TempDir;

use crate::devtools::Devtools;

/// The protocol is read from descriptor 3 and written to 4.
const ON_A_PIPE: &str = r#"exec "$@" 3<&0 4>&1 </dev/null >/dev/null"#;

/// Works as root, in a chroot and without a graphics card; asks nobody in the world for anything, and slows no page that is not looked at.
const OPTIONS: [&str; 18] = [
    "--headless",
    "--remote-debugging-pipe",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--hide-scrollbars",
    "--disable-breakpad",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--disable-default-apps",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--enable-precise-memory-info",
];

/// A running browser; it and what it has written are gone when it is dropped.
pub struct Chromium {
    process: Child,
    pub devtools: Devtools,
    _folder: TempDir,
}

impl Chromium {
    /// The browser that the tests of this process share for as long as one of them holds it.
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Chromium>> = Mutex::new(Weak::new());
        // A test that failed to start it has said so; the next one tries again.
        let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let started = Arc::new(Self::start());
            *shared = Arc::downgrade(&started);
            started
        })
    }

    fn start() -> Self {
        let program = installed()
            .expect("no Chromium on this machine: install Debian's chromium package (./test does)");
        let folder = tempfile::Builder::new().prefix("sprongus-browser-").tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", ON_A_PIPE, "sh"]).arg(program).args(OPTIONS);
        command
            .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
            .arg("about:blank");
        // What it would write elsewhere lies in its folder too.
        command.env("HOME", folder.path()).env("TMPDIR", folder.path()).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let complaints = folder.path().join("complaints");
        command.stderr(File::create(&complaints).unwrap());
        let mut process = command.spawn().unwrap();
        let devtools = Devtools::new(process.stdin.take().unwrap(), process.stdout.take().unwrap());
        if let Err(error) = devtools.call(None, "Browser.getVersion", &json!({})) {
            let _ = process.kill();
            panic!("Chromium does not start ({error}): {}", std::fs::read_to_string(complaints).unwrap());
        }
        Self { process, devtools, _folder: folder }
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // Killed as a whole: it would take its time to end in order, and nothing of it is to be kept.
        if let Some(group) = Pid::from_raw(i32::try_from(self.process.id()).unwrap_or_default()) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.process.wait();
    }
}

/// Where it is.
fn installed() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let mut places = std::env::split_paths(&path).flat_map(|folder| names.map(|name| folder.join(name)));
    places.find(|place| place.is_file())
}
