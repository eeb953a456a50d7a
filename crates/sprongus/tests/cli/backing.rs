//! What keeps a sandbox's runs: a file, or a database of its own on a server that the tests of this process share.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use sprongus::postgres;
use sprongus_throwaway::Server;

use crate::sandbox::block_on;

/// What keeps the runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backing {
    /// A file in the sandbox.
    File,
    /// A migrated database, as the role that a server has.
    Postgres,
}

/// A database that is dropped with this.
pub struct Database {
    /// Its name.
    pub name: String,
}

impl Database {
    /// Without a schema.
    pub fn empty() -> Self {
        Self::copied(None)
    }

    /// Migrated, and open to `sprongus_app`.
    pub fn migrated() -> Self {
        static TEMPLATE: OnceLock<()> = OnceLock::new();
        TEMPLATE.get_or_init(|| {
            let server = Server::shared();
            server.create_database("template_of_sandboxes", None).unwrap();
            let url = server.url("template_of_sandboxes", "sprongus_owner");
            let options = postgres::Options::default();
            block_on(postgres::migrate(&url, &options, Some("sprongus_app"))).unwrap();
        });
        Self::copied(Some("template_of_sandboxes"))
    }

    fn copied(template: Option<&str>) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("sandbox_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        Server::shared().create_database(&name, template).unwrap();
        Self { name }
    }

    /// Its URL for a role, without a password.
    pub fn url(&self, role: &str) -> String {
        Server::shared().url(&self.name, role)
    }

    /// The same over TCP, where a password is asked for.
    pub fn tcp_url(&self, role: &str, password: &str) -> String {
        Server::shared().tcp_url(&self.name, role, password)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // The server goes with the process anyway.
        let _ = Server::shared().drop_database(&self.name);
    }
}

/// Plays each session on a file and on a server: what is printed must not depend on it.
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
    };
}
pub(crate) use sessions;
