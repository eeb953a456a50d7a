//! One server: its start, its end, and how it is reached in between.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::account::Account;
use crate::binaries::Binaries;
use crate::failure::{Failure, Result};
use crate::folders::{Folders, Unguarded};
use crate::postmaster::Postmaster;
use crate::settings::{Durability, Settings, line};
use crate::watchdog::Watchdog;

/// Below those that systems hand out for outgoing connections: one of these could take it while the server is down.
const PORTS: std::ops::RangeInclusive<u16> = 15_000..=31_999;

/// How long a port may stay taken, and how often one looks.
const PORT_FREE_WITHIN: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Who may come in: everybody on this machine through the socket, and by password over TCP.
const ADMISSION: &str = "local all all trust
local replication all trust
host all all 127.0.0.1/32 scram-sha-256
";

/// The roles of the tests. None but `postgres` is a superuser, for those pass by every check that is to be tested.
const ROLES: &str = "
    CREATE ROLE sprongus_owner LOGIN NOSUPERUSER NOBYPASSRLS CREATEDB;
    CREATE ROLE sprongus_app LOGIN PASSWORD 'app' NOSUPERUSER NOBYPASSRLS NOCREATEDB;";

/// A Postgres server. It is stopped and its folders are removed when this is dropped, and when the process is gone.
#[derive(Debug)]
pub struct Server {
    pub(crate) folders: Folders,
    pub(crate) settings: Settings,
    pub(crate) binaries: Binaries,
    pub(crate) account: Account,
    /// Held while a template is copied.
    pub(crate) copying: Mutex<()>,
    port: u16,
    postmaster: Mutex<Option<Postmaster>>,
    /// The last to go: it removes what the others use.
    _watchdog: Watchdog,
}

impl Server {
    /// Starts a server, with the superuser `postgres` and the roles `sprongus_owner` (may make databases) and
    /// `sprongus_app` (password `app`), neither of which passes by row security.
    ///
    /// # Errors
    /// If there is no Postgres on this machine, or it does not start.
    pub fn start(settings: Settings) -> Result<Self> {
        let server = Self::start_from(settings, |folders, settings, binaries, account| {
            let mut initdb = account.command(binaries.program("initdb"));
            initdb.args(["-A", "trust", "--locale", "C.UTF-8", "-E", "UTF8", "-U", "postgres", "-D"]);
            initdb.arg(folders.data());
            if settings.durability == Durability::Fast {
                initdb.arg("-N");
            }
            account.run(&mut initdb)?;
            folders.append(&folders.data().join("postgresql.conf"), "\ninclude 'throwaway.conf'\n")?;
            folders.write(&folders.data().join("pg_hba.conf"), ADMISSION, account)
        })?;
        server.execute("postgres", ROLES)?;
        Ok(server)
    }

    /// Starts a server on the data that `fill` makes.
    pub(crate) fn start_from(
        settings: Settings,
        fill: impl FnOnce(&Folders, &Settings, &Binaries, Account) -> Result<()>,
    ) -> Result<Self> {
        let binaries = Binaries::find()?;
        let account = Account::of_servers()?;
        let made = Unguarded::create(settings.folder.as_deref(), account)?;
        let folders = made.folders();
        let watchdog = Watchdog::start(&folders, &binaries, account)?;
        made.keep();

        fill(&folders, &settings, &binaries, account)?;
        folders.write(&folders.options(), &settings.lines(), account)?;
        let deadline = Instant::now() + PORT_FREE_WITHIN;
        let (port, postmaster) = loop {
            let port = free_port();
            match Postmaster::start(&folders, port, &binaries, account) {
                Err(failure) if is_port_taken(&failure) && Instant::now() < deadline => {}
                started => break (port, started?),
            }
        };
        let postmaster = Mutex::new(Some(postmaster));
        Ok(Self {
            folders,
            settings,
            binaries,
            account,
            copying: Mutex::new(()),
            port,
            postmaster,
            _watchdog: watchdog,
        })
    }

    /// The one server that all tests of a process share, started by whoever asks first. It is [`Durability::Fast`].
    ///
    /// # Panics
    /// If it does not start: a test that needs it must not pass without.
    #[expect(clippy::panic, reason = "a test without its server has failed, and says what to install")]
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(Settings::default()).unwrap_or_else(|failure| panic!("{failure}")))
    }

    /// The address of a database for a role, through the socket, where no password is asked for.
    pub fn url(&self, database: &str, role: &str) -> String {
        let sockets = encoded(&self.folders.sockets.to_string_lossy());
        format!("postgres://{}@{sockets}:{}/{}", encoded(role), self.port, encoded(database))
    }

    /// The address of a database for a role over TCP, where a password is asked for.
    pub fn tcp_url(&self, database: &str, role: &str, password: &str) -> String {
        let (role, password) = (encoded(role), encoded(password));
        format!("postgres://{role}:{password}@127.0.0.1:{}/{}", self.port, encoded(database))
    }

    /// The port, on TCP and in the name of the socket. It stays the same when the server starts again.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of the socket, what libpq takes as a host.
    pub fn socket_folder(&self) -> &Path {
        &self.folders.sockets
    }

    /// The folder of Postgres' own programs, such as `psql`; `PATH` need not have them.
    pub fn programs(&self) -> &Path {
        self.binaries.folder()
    }

    /// The folder that holds the data and the log.
    pub fn folder(&self) -> &Path {
        &self.folders.whole
    }

    /// What the server has logged since it was first started.
    pub fn log(&self) -> String {
        self.folders.logged()
    }

    /// Whether its first process is there.
    pub fn is_running(&self) -> bool {
        self.held().as_mut().is_some_and(Postmaster::is_running)
    }

    /// The number of its first process, while there is one.
    pub fn process_id(&self) -> Option<u32> {
        let mut held = self.held();
        held.as_mut().and_then(|postmaster| postmaster.is_running().then(|| postmaster.id()))
    }

    /// Kills the first process without warning (SIGKILL) and waits until the others have noticed and are gone too.
    ///
    /// # Errors
    /// If one of them does not go within a minute, such as in a long computation.
    pub fn kill(&self) -> Result<()> {
        self.end(Signal::KILL)
    }

    /// Stops the server in order, ending its connections, and waits for it.
    ///
    /// # Errors
    /// If it does not end within a minute.
    pub fn stop(&self) -> Result<()> {
        self.end(Signal::INT)
    }

    /// Starts a server that was killed or stopped, on the same data and port, and waits until it has recovered.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start_again(&self) -> Result<()> {
        let mut held = self.held();
        if held.as_mut().is_some_and(Postmaster::is_running) {
            return Ok(());
        }
        if let Some(mut ended) = held.take() {
            ended.end(Signal::KILL)?;
            self.remove_locks();
        }
        let deadline = Instant::now() + PORT_FREE_WITHIN;
        *held = loop {
            match Postmaster::start(&self.folders, self.port, &self.binaries, self.account) {
                Err(failure) if is_port_taken(&failure) && Instant::now() < deadline => sleep(LOOK_EVERY),
                started => break Some(started?),
            }
        };
        Ok(())
    }

    /// Adds options, which win over those before, and waits until connections that are made from now on have them.
    ///
    /// # Errors
    /// If the server is not running or does not take them.
    pub fn reload(&self, options: &[(&str, &str)]) -> Result<()> {
        let added: String = options.iter().map(|(name, value)| line(name, value)).collect();
        self.folders.append(&self.folders.options(), &added)?;
        let loaded_at = || self.ask("postgres", "VALUES (pg_conf_load_time())");
        let before = loaded_at()?;
        self.account.run(&mut self.control("reload"))?;
        let deadline = Instant::now() + PORT_FREE_WITHIN;
        while loaded_at()? == before {
            if Instant::now() > deadline {
                return Err(Failure::NotReady { log: self.log() });
            }
            sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// `pg_ctl` with one of its verbs.
    pub(crate) fn control(&self, verb: &str) -> Command {
        let mut command = self.account.command(self.binaries.program("pg_ctl"));
        command.arg(verb).arg("-D").arg(self.folders.data());
        command
    }

    fn end(&self, signal: Signal) -> Result<()> {
        let mut held = self.held();
        if let Some(postmaster) = held.as_mut() {
            postmaster.end(signal)?;
            *held = None;
            self.remove_locks();
        }
        Ok(())
    }

    /// A killed server leaves locks with the number of its process. When another process has that number by the next
    /// start, Postgres would refuse; we have seen all of its processes gone and know better.
    fn remove_locks(&self) {
        let socket = self.folders.sockets.join(format!(".s.PGSQL.{}.lock", self.port));
        for lock in [self.folders.lock(), socket] {
            // After a stop in order there is none.
            let _ = std::fs::remove_file(lock);
        }
    }

    fn held(&self) -> MutexGuard<'_, Option<Postmaster>> {
        self.postmaster.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // At once and without a checkpoint, for nobody will read it. Whatever fails here, the watchdog does after us.
        let _ = self.end(Signal::QUIT);
    }
}

fn free_port() -> u16 {
    let mut ports = std::iter::repeat_with(|| fastrand::u16(PORTS)).take(100);
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap_or(*PORTS.start())
}

fn is_port_taken(failure: &Failure) -> bool {
    matches!(failure, Failure::NotReady { log } if log.contains("Address already in use"))
}

/// For a part of a URL.
fn encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(encode).collect()
}
