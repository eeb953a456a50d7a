//! A database of its own for each test, on the server that the tests of a process share, dropped behind it.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::failure::{Failure, Result};
use crate::server::Server;

/// A database of [`Server::shared`]; dropped with this.
#[derive(Debug)]
pub struct Database {
    name: String,
}

impl Database {
    /// An empty one, owned by `sprongus_owner`.
    ///
    /// # Panics
    /// If it cannot be made.
    pub fn empty() -> Self {
        made(Self::copied(None))
    }

    /// A copy of a template, which the first to ask in a process makes: `fill` is given its URL as its owner.
    ///
    /// # Panics
    /// If it cannot be made, or `fill` panics.
    pub fn copy_of(template: &str, fill: impl FnOnce(&str)) -> Self {
        static FILLED: Mutex<Option<HashSet<String>>> = Mutex::new(None);
        let mut filled = FILLED.lock().unwrap_or_else(PoisonError::into_inner);
        let known = filled.get_or_insert_default();
        if !known.contains(template) {
            made(Server::shared().create_database(template, None));
            fill(&Server::shared().url(template, "sprongus_owner"));
            known.insert(template.to_owned());
        }
        drop(filled);
        made(Self::copied(Some(template)))
    }

    fn copied(template: Option<&str>) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        Server::shared().create_database(&name, template)?;
        Ok(Self { name })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its URL for a role, through the socket, where no password is asked for.
    pub fn url(&self, role: &str) -> String {
        Server::shared().url(&self.name, role)
    }

    /// The same over TCP, where one is.
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

#[expect(clippy::panic, reason = "a test without its database has failed")]
fn made<T>(made: std::result::Result<T, Failure>) -> T {
    made.unwrap_or_else(|failure| panic!("{failure}"))
}
