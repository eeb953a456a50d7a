//! A server of buckets as S3 has them, `moto` from PyPI, in memory and gone when its process is.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::failure::{Doing as _, Failure, Result};

/// Runs the server until nobody holds its other end any more. Signals to the whole terminal must not end it before its work.
const UNTIL_THE_END: &str =
    r#"trap '' HUP INT TERM; "$@" & server=$!; while read -r _; do :; done; kill -9 "$server""#;

/// How long Python may take to load it on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where `./test` installs it, seen from this crate.
const INSTALLED: &str = "../../target/tools/python/bin/moto_server";

/// A running server.
#[derive(Debug)]
pub struct BucketServer {
    held: Option<ChildStdin>,
    shell: Child,
    address: String,
}

impl BucketServer {
    /// Starts one on a free port of this machine.
    ///
    /// # Errors
    /// When it is not installed, or does not start.
    pub fn start() -> Result<Self> {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join(INSTALLED);
        if !program.exists() {
            return Err(Failure::NoBucketServer);
        }
        let log = tempfile::tempfile().doing(|| "make a file for the log of moto".to_owned())?;
        let said = log.try_clone().doing(|| "share the log of moto".to_owned())?;
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", UNTIL_THE_END, "sh"]).arg(program).args(["-H", "127.0.0.1", "-p", "0"]);
        shell.current_dir("/").process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(said);
        let mut shell = shell.spawn().doing(|| "start moto".to_owned())?;
        let held = shell.stdin.take();
        let mut server = Self { held, shell, address: String::new() };
        server.address = address(&log)?;
        Ok(server)
    }

    /// Its URL, for `AWS_ENDPOINT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Makes a bucket.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub fn make(&self, bucket: &str) -> Result<()> {
        self.ask("PUT", &format!("/{bucket}")).map(|_| ())
    }

    /// The keys in a bucket: what `object_store` would not list is listed, too.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub fn keys(&self, bucket: &str) -> Result<Vec<String>> {
        self.ask("GET", &format!("/{bucket}")).map(|answer| named(&answer))
    }

    /// The keys of uploads that were neither ended nor given up.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub fn uploads(&self, bucket: &str) -> Result<Vec<String>> {
        self.ask("GET", &format!("/{bucket}?uploads")).map(|answer| named(&answer))
    }

    fn ask(&self, method: &str, target: &str) -> Result<String> {
        let mut answer = String::new();
        let request = format!(
            "{method} {target} HTTP/1.0\r\nHost: {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            self.address
        );
        let asked = TcpStream::connect(&self.address).and_then(|mut stream| {
            stream.write_all(request.as_bytes())?;
            stream.read_to_string(&mut answer)
        });
        asked.doing(|| format!("ask moto: {method} {target}"))?;
        if answer.split(' ').nth(1) == Some("200") {
            return Ok(answer);
        }
        Err(Failure::Program { name: "moto".to_owned(), said: answer })
    }
}

impl Drop for BucketServer {
    fn drop(&mut self) {
        drop(self.held.take());
        // What cannot be waited for is gone already.
        let _ = self.shell.wait();
    }
}

/// Where it says that it listens.
fn address(log: &File) -> Result<String> {
    let until = Instant::now() + PATIENCE;
    loop {
        let mut bytes = vec![0; 64 << 10];
        let length = log.read_at(&mut bytes, 0).doing(|| "read the log of moto".to_owned())?;
        let said = String::from_utf8_lossy(bytes.get(..length).unwrap_or_default()).into_owned();
        let line = said.split_once("http://").and_then(|(_, rest)| rest.split_once('\n'));
        if let Some((address, _)) = line {
            return Ok(address.trim().to_owned());
        }
        if Instant::now() > until {
            return Err(Failure::NotReady { log: said });
        }
        sleep(Duration::from_millis(20));
    }
}

/// The keys that an answer names.
fn named(answer: &str) -> Vec<String> {
    let keys = answer.split("<Key>").skip(1).filter_map(|rest| rest.split_once("</Key>"));
    keys.map(|(key, _)| key.to_owned()).collect()
}
