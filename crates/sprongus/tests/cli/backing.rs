//! What keeps a sandbox's runs: a file, a database of its own on a Postgres that the tests of this process share, or a server of ours
//! in front of a file.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use sprongus::postgres;
use sprongus_throwaway::Database;

use crate::sandbox::block_on;

/// What keeps the runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backing {
    /// A file in the sandbox.
    File,
    /// A migrated database, as the role that a server has.
    Postgres,
    /// A server in front of a file in the sandbox.
    Remote,
}

/// `sprongus serve`, until it is dropped.
pub struct Served {
    process: Child,
    /// Where it listens.
    pub url: String,
}

impl Served {
    /// Starts it by `command`, which is to print the URL alone.
    pub fn start(command: &mut Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut url = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut url).unwrap();
        assert!(url.starts_with("http://127.0.0.1:"), "{url}");
        Self { process, url: url.trim().to_owned() }
    }

    /// The same of one that prints a document.
    #[cfg(feature = "otlp")]
    pub fn start_telling(command: &mut Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let started: serde_json::Value = serde_json::from_str(&line).unwrap();
        Self { process, url: started["url"].as_str().unwrap().to_owned() }
    }

    /// Ends it at once.
    pub fn stop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// The sum of a metric's samples with this among their labels, as an operator's token reads them.
    pub fn metric(&self, token: &str, name: &str, label: &str) -> f64 {
        let mut stream = TcpStream::connect(self.url.strip_prefix("http://").unwrap()).unwrap();
        let token = token.trim();
        let head =
            format!("GET /metrics HTTP/1.0\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
        let samples =
            answer.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('{')?.split_once("} "));
        samples
            .filter(|(labels, _)| labels.contains(label))
            .map(|(_, value)| value.parse::<f64>().unwrap())
            .sum()
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A database that is migrated, and open to `sprongus_app`.
pub fn migrated() -> Database {
    Database::copy_of("template_of_sandboxes", |url| {
        let options = postgres::Options::default();
        block_on(postgres::migrate(url, &options, Some("sprongus_app"))).unwrap();
    })
}

/// Plays each session on a file, on Postgres and from afar: what is printed must not depend on it.
macro_rules! sessions {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[test]
            fn $name() {
                super::$name(crate::backing::Backing::File);
            })*
        }

        mod postgres {
            $(#[test]
            fn $name() {
                super::$name(crate::backing::Backing::Postgres);
            })*
        }

        mod remote {
            $(#[test]
            fn $name() {
                super::$name(crate::backing::Backing::Remote);
            })*
        }
    };
}
pub(crate) use sessions;
