//! A Postgres server of its own for tests, drills and benchmarks, gone when its process is.
//!
//! `initdb` into a temporary folder, a socket and a port of its own, and a watchdog that stops the server and removes the folder when
//! the process that started it has ended, however it ended. Where Postgres is not installed, starting fails: nothing is skipped.

mod binaries;
mod database;
mod watchdog;

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use binaries::Binaries;
pub use binaries::Failure;
use watchdog::Watchdog;

/// How much a server keeps through a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Durability {
    /// Nothing: for tests of anything else.
    #[default]
    Fast,
    /// What a server in production keeps: `fsync`, `full_page_writes` and `synchronous_commit` are on.
    Full,
}

/// How a server is started.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// What it keeps.
    pub durability: Durability,
    /// More lines of its configuration.
    pub options: Vec<(String, String)>,
    /// The folder to make its own in; that of temporary files where none is named.
    pub folder: Option<PathBuf>,
}

/// A server.
pub struct Server {
    binaries: Binaries,
    folder: PathBuf,
    port: u16,
    _watchdog: Watchdog,
    making: Mutex<()>,
}

/// The roles every server has: a superuser, who owns the databases, and who a program connects as.
const ROLES: &str = "
    CREATE ROLE sprongus_owner LOGIN NOSUPERUSER NOBYPASSRLS CREATEDB PASSWORD 'owner';
    CREATE ROLE sprongus_app LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB PASSWORD 'app';";

const ACCESS: &str =
    "local all all trust\nlocal replication all trust\nhost all all 127.0.0.1/32 scram-sha-256\n";

impl Server {
    /// The server of this process, with nothing durable; made when it is first asked for.
    ///
    /// # Panics
    /// Without Postgres: a test that needs it fails.
    #[expect(clippy::panic, reason = "a test that needs Postgres fails without it, it is not skipped")]
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(|| match Self::start(Settings::default()) {
            Ok(server) => server,
            Err(failure) => panic!("no Postgres for the tests: {failure}"),
        })
    }

    /// Makes a server and starts it.
    ///
    /// # Errors
    /// When Postgres is not installed or does not start; the text says why.
    pub fn start(settings: Settings) -> Result<Self, Failure> {
        let binaries = Binaries::find()?;
        let folder = folder(settings.folder.as_deref(), &binaries)?;
        let watchdog = Watchdog::over(&folder, &binaries)?;
        let port = free_port()?;
        let server = Self { binaries, folder, port, _watchdog: watchdog, making: Mutex::new(()) };
        let data = server.data();
        server.binaries.run(
            "initdb",
            &["-N", "-A", "trust", "--locale", "C.UTF-8", "-E", "UTF8", "-U", "postgres", "-D", &data],
        )?;
        fs::write(server.folder.join("data/pg_hba.conf"), ACCESS)?;
        server.configure(&settings)?;
        server.start_again()?;
        database::batch(&server.url("postgres", "postgres"), ROLES)?;
        Ok(server)
    }

    /// A copy of `primary` that follows it, under the name `standby`.
    ///
    /// # Errors
    /// When the primary cannot be copied or the copy does not start.
    pub fn standby_of(primary: &Self) -> Result<Self, Failure> {
        let binaries = Binaries::find()?;
        let folder = folder(None, &binaries)?;
        let watchdog = Watchdog::over(&folder, &binaries)?;
        let port = free_port()?;
        let server = Self { binaries, folder, port, _watchdog: watchdog, making: Mutex::new(()) };
        let source = format!(
            "host={} port={} user=postgres application_name=standby",
            primary.folder.display(),
            primary.port
        );
        server.binaries.run(
            "pg_basebackup",
            &["-R", "-X", "stream", "-c", "fast", "-d", &source, "-D", &server.data()],
        )?;
        let folder = server.folder.display();
        server.append(&format!("port = {port}\nunix_socket_directories = '{folder}'\n"))?;
        server.start_again()?;
        Ok(server)
    }

    fn configure(&self, settings: &Settings) -> Result<(), Failure> {
        let (keep, memory) = match settings.durability {
            Durability::Fast => ("off", "64MB"),
            Durability::Full => ("on", "256MB"),
        };
        let (folder, port) = (self.folder.display(), self.port);
        let mut text = format!(
            "listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = '{folder}'\nmax_connections = 200\n\
             fsync = {keep}\nfull_page_writes = {keep}\nsynchronous_commit = {keep}\nshared_buffers = {memory}\n\
             password_encryption = 'scram-sha-256'\nlog_lock_waits = on\nmax_wal_size = 4GB\n"
        );
        for (name, value) in &settings.options {
            text.push_str(&format!("{name} = '{value}'\n"));
        }
        self.append(&text)
    }

    fn append(&self, text: &str) -> Result<(), Failure> {
        use std::io::Write;
        let mut file = fs::OpenOptions::new().append(true).open(self.folder.join("data/postgresql.conf"))?;
        Ok(file.write_all(text.as_bytes())?)
    }

    /// Changes settings while it runs, those that can be.
    ///
    /// # Errors
    /// When the file cannot be written or the server does not read it.
    pub fn reload(&self, options: &[(&str, &str)]) -> Result<(), Failure> {
        let text: String = options.iter().map(|(name, value)| format!("{name} = '{value}'\n")).collect();
        self.append(&text)?;
        self.binaries.run("pg_ctl", &["reload", "-D", &self.data()])
    }

    /// The address of a database through the socket.
    pub fn url(&self, database: &str, role: &str) -> String {
        let folder = self.folder.display().to_string().replace('/', "%2F");
        format!("postgres://{role}@{folder}:{}/{database}", self.port)
    }

    /// The address of a database over TCP, where a password is asked for.
    pub fn tcp_url(&self, database: &str, role: &str, password: &str) -> String {
        format!("postgres://{role}:{password}@127.0.0.1:{}/{database}", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where its socket is.
    pub fn socket_folder(&self) -> &Path {
        &self.folder
    }

    fn data(&self) -> String {
        self.folder.join("data").display().to_string()
    }

    /// Makes a database that `sprongus_owner` owns, as a copy of `template` if one is named.
    ///
    /// # Errors
    /// When there is one of that name, or the template is in use.
    pub fn create_database(&self, name: &str, template: Option<&str>) -> Result<(), Failure> {
        let _one_at_a_time = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        let from = template.map(|template| format!(" TEMPLATE {template}")).unwrap_or_default();
        let sql = format!("CREATE DATABASE {name} OWNER sprongus_owner{from}");
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            match database::batch(&self.url("postgres", "postgres"), &sql) {
                Err(failure)
                    if failure.to_string().contains("being accessed") && Instant::now() < deadline =>
                {
                    std::thread::sleep(Duration::from_millis(50));
                }
                done => return done,
            }
        }
    }

    /// Drops a database, whoever is connected to it.
    ///
    /// # Errors
    /// When the server is not there.
    pub fn drop_database(&self, name: &str) -> Result<(), Failure> {
        database::batch(
            &self.url("postgres", "postgres"),
            &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
        )
    }

    /// Carries out SQL as the superuser.
    ///
    /// # Errors
    /// The server's.
    pub fn execute(&self, database: &str, sql: &str) -> Result<(), Failure> {
        database::batch(&self.url(database, "postgres"), sql)
    }

    /// Starts it after [`Server::stop`] or [`Server::kill`].
    ///
    /// # Errors
    /// When it does not start; the text holds the end of its log.
    pub fn start_again(&self) -> Result<(), Failure> {
        let log = self.folder.join("log").display().to_string();
        let started =
            self.binaries.run("pg_ctl", &["start", "-w", "-t", "60", "-D", &self.data(), "-l", &log]);
        started.map_err(|failure| Failure::new(format!("{failure}\n{}", self.log())))
    }

    /// Stops it in good order.
    ///
    /// # Errors
    /// When it does not stop.
    pub fn stop(&self) -> Result<(), Failure> {
        self.binaries.run("pg_ctl", &["stop", "-m", "fast", "-w", "-D", &self.data()])
    }

    /// Kills it with all its processes, as a crash of its machine would, but for what the disk holds.
    ///
    /// # Errors
    /// When its processes do not end.
    pub fn kill(&self) -> Result<(), Failure> {
        let file = self.folder.join("data/postmaster.pid");
        let text = fs::read_to_string(&file)?;
        let pid = text.lines().next().and_then(|line| line.trim().parse::<i32>().ok());
        let pid = pid.and_then(rustix::process::Pid::from_raw);
        let pid = pid.ok_or_else(|| Failure::new("the server has no process id".to_owned()))?;
        let children = children_of(pid.as_raw_nonzero().get());
        for process in std::iter::once(pid).chain(children) {
            // One that has ended by itself meanwhile is as good.
            let _ = rustix::process::kill_process(process, rustix::process::Signal::KILL);
        }
        let deadline = Instant::now() + Duration::from_secs(10);
        while is_alive(pid) {
            if Instant::now() > deadline {
                return Err(Failure::new("the killed server does not end".to_owned()));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(50));
        Ok(fs::remove_file(file)?)
    }

    /// Makes a standby the primary.
    ///
    /// # Errors
    /// When it is none, or does not become one in time.
    pub fn promote(&self) -> Result<(), Failure> {
        self.binaries.run("pg_ctl", &["promote", "-w", "-D", &self.data()])
    }

    /// What it has logged, the end of it.
    pub fn log(&self) -> String {
        let text = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        text.lines().rev().take(30).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

fn children_of(parent: i32) -> Vec<rustix::process::Pid> {
    let output =
        Command::new("ps").args(["-o", "pid=", "--ppid", &parent.to_string()]).stderr(Stdio::null()).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let pids = text.split_whitespace().filter_map(|word| word.parse().ok());
    pids.filter_map(rustix::process::Pid::from_raw).collect()
}

fn is_alive(pid: rustix::process::Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    // A zombie is dead; its parent has only not looked yet.
    stat.is_ok_and(|text| text.rsplit(')').next().is_some_and(|rest| !rest.trim_start().starts_with('Z')))
}

fn free_port() -> Result<u16, Failure> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

fn folder(within: Option<&Path>, binaries: &Binaries) -> Result<PathBuf, Failure> {
    let within = within.map_or_else(std::env::temp_dir, Path::to_owned);
    let made = tempfile::Builder::new().prefix("spg-").tempdir_in(within)?.keep();
    binaries.give(&made)?;
    Ok(made)
}
