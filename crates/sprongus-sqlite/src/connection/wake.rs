//! Wake-up across processes. While somebody waits, a thread watches the write-ahead log and asks SQLite whether another
//! connection has committed; while nobody does, it sleeps.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use sprongus_core::{Error, ErrorCode, Result};
use tokio::sync::watch;

use crate::error::MapDbErr;

/// How often one looks although nothing was heard.
const LOOK_ANYWAY: Duration = Duration::from_millis(250);

/// The log is written before its commit counts: how long after hearing of it one looks for the commit, and how often.
const COMMIT_TAKES: Duration = Duration::from_millis(30);
const LOOK_OFTEN: Duration = Duration::from_micros(300);

const COMMITS_ELSEWHERE: &str = "PRAGMA data_version";

/// How many wait. The thread sleeps at zero, and ends when nobody will wait again.
#[derive(Default)]
struct Waiting {
    count: Mutex<Option<usize>>,
    more: Condvar,
}

/// Watches a database file for the commits of other processes.
pub struct Watch {
    waiting: Arc<Waiting>,
}

/// Somebody who waits; gone when dropped.
pub struct Waiter<'a>(&'a Watch);

impl Watch {
    /// Starts the thread. It raises `changed` when another connection has committed.
    ///
    /// # Errors
    /// `unavailable` when the file cannot be read or the system starts no more threads.
    pub fn start(connection: Connection, file: &Path, changed: watch::Sender<u64>) -> Result<Self> {
        let waiting = Arc::new(Waiting { count: Mutex::new(Some(0)), more: Condvar::new() });
        let log = {
            let mut name = file.as_os_str().to_owned();
            name.push("-wal");
            PathBuf::from(name)
        };
        let shared = Arc::clone(&waiting);
        // Reading opens the log, so that there is one to watch.
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())).map_db_err()?;
        let thread = thread::Builder::new().name("sprongus-watch".to_owned());
        thread.spawn(move || work(&connection, &log, &shared, &changed)).map_err(|error| {
            Error::new(ErrorCode::Unavailable, "cannot start the watching thread").with_source(error)
        })?;
        Ok(Self { waiting })
    }

    /// Wakes the thread until the answer is dropped.
    pub fn wait(&self) -> Waiter<'_> {
        self.add(1);
        Waiter(self)
    }

    fn add(&self, more: isize) {
        let mut count = self.waiting.count.lock().unwrap_or_else(PoisonError::into_inner);
        *count = count.map(|count| count.saturating_add_signed(more));
        self.waiting.more.notify_one();
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.add(-1);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        *self.waiting.count.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.waiting.more.notify_one();
    }
}

impl Waiting {
    /// Sleeps until somebody waits; false when nobody will again.
    fn somebody(&self) -> bool {
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        while *count == Some(0) {
            count = self.more.wait(count).unwrap_or_else(PoisonError::into_inner);
        }
        count.is_some()
    }
}

fn work(connection: &Connection, log: &Path, waiting: &Waiting, changed: &watch::Sender<u64>) {
    let mut signals = signals::Signals::on(log);
    // The first to wait has looked before this thread was there: what was committed in between counts as a change.
    let mut seen = None;
    let mut look_often_until = Instant::now();
    while waiting.somebody() {
        let now = commits_elsewhere(connection);
        if now != seen {
            seen = now;
            changed.send_modify(|generation| *generation += 1);
        }
        if Instant::now() < look_often_until {
            thread::sleep(LOOK_OFTEN);
        } else if signals.wait(LOOK_ANYWAY) {
            look_often_until = Instant::now() + COMMIT_TAKES;
        }
    }
}

fn commits_elsewhere(connection: &Connection) -> Option<i64> {
    let mut select = connection.prepare_cached(COMMITS_ELSEWHERE).ok()?;
    select.query_row([], |row| row.get(0)).ok()
}

#[cfg(target_os = "linux")]
mod signals {
    //! The kernel tells when the log is written.

    use std::mem::MaybeUninit;
    use std::os::fd::OwnedFd;
    use std::path::Path;
    use std::time::Duration;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::fs::inotify::{CreateFlags, Reader, WatchFlags, add_watch, init};

    pub struct Signals(Option<OwnedFd>);

    impl Signals {
        /// Without inotify (its limits are per user) one only looks now and then.
        pub fn on(log: &Path) -> Self {
            let watched = init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)
                .and_then(|notify| add_watch(&notify, log, WatchFlags::MODIFY).map(|_| notify));
            Self(watched.ok())
        }

        /// Until the log is written, or for `longest`; whether it was.
        pub fn wait(&mut self, longest: Duration) -> bool {
            let Some(notify) = &self.0 else {
                std::thread::sleep(longest.min(Duration::from_millis(20)));
                return false;
            };
            let longest = Timespec::try_from(longest).ok();
            let heard = matches!(poll(&mut [PollFd::new(notify, PollFlags::IN)], longest.as_ref()), Ok(1..));
            if heard {
                let mut space = [MaybeUninit::uninit(); 4_096];
                let mut events = Reader::new(notify, &mut space);
                while events.next().is_ok() {}
            }
            heard
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod signals {
    //! Without a kernel that tells, one looks often.

    use std::path::Path;
    use std::time::Duration;

    pub struct Signals;

    impl Signals {
        pub fn on(_log: &Path) -> Self {
            Self
        }

        pub fn wait(&mut self, longest: Duration) -> bool {
            std::thread::sleep(longest.min(Duration::from_millis(2)));
            false
        }
    }
}
