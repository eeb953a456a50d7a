//! Databases and statements, for callers with and without a runtime.

use std::sync::PoisonError;
use std::thread;
use std::time::{Duration, Instant};

use tokio_postgres::error::SqlState;
use tokio_postgres::{NoTls, SimpleQueryMessage};

use crate::failure::{Doing as _, Failure, Result};
use crate::server::Server;

/// How long a template may be in use by somebody who is just leaving it.
const LEFT_WITHIN: Duration = Duration::from_secs(20);

impl Server {
    /// Makes a database that `sprongus_owner` owns, empty or as a copy of another.
    ///
    /// # Errors
    /// If the name is taken, or somebody stays connected to the template.
    pub fn create_database(&self, name: &str, template: Option<&str>) -> Result<()> {
        let template = template.unwrap_or("template1");
        let statement =
            format!("CREATE DATABASE {} OWNER sprongus_owner TEMPLATE {}", quoted(name), quoted(template));
        // Whoever copies a template is one of its users: two at once refuse each other.
        let _alone = self.copying.lock().unwrap_or_else(PoisonError::into_inner);
        let deadline = Instant::now() + LEFT_WITHIN;
        loop {
            match self.execute("postgres", &statement) {
                Err(Failure::Refused { source, .. })
                    if source.code() == Some(&SqlState::OBJECT_IN_USE) && Instant::now() < deadline =>
                {
                    thread::sleep(Duration::from_millis(20));
                }
                done => return done,
            }
        }
    }

    /// Removes a database and ends the connections to it. One that is not there is no failure.
    ///
    /// # Errors
    /// If the server refuses.
    pub fn drop_database(&self, name: &str) -> Result<()> {
        self.execute("postgres", &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quoted(name)))
    }

    /// Runs statements as the superuser, in a connection of their own that waits for no standby.
    ///
    /// # Errors
    /// If the server refuses one of them.
    pub fn execute(&self, database: &str, statements: &str) -> Result<()> {
        self.ask(database, statements).map(|_| ())
    }

    /// The same; answers with the first column of the last row.
    pub(crate) fn ask(&self, database: &str, statements: &str) -> Result<Option<String>> {
        let url = self.url(database, "postgres");
        // A thread of its own, for the caller may be inside of a runtime, where one must not block on another.
        let answer = thread::scope(|scope| scope.spawn(|| talk(&url, statements)).join());
        answer.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

fn talk(url: &str, statements: &str) -> Result<Option<String>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.doing(|| "start a runtime".to_owned())?.block_on(async {
        let (client, connection) =
            tokio_postgres::connect(url, NoTls).await.doing(|| "connect as the superuser".to_owned())?;
        let connection = tokio::spawn(connection);
        let doing = || format!("run {}", statements.trim());
        // A primary whose standby is not there yet would wait for it forever.
        client.batch_execute("SET synchronous_commit = local").await.doing(doing)?;
        let messages = client.simple_query(statements).await.doing(doing)?;
        // The server must have seen the end of this connection before somebody copies the database it was to.
        drop(client);
        let _ = connection.await;
        let rows = messages.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            SimpleQueryMessage::CommandComplete(_) | SimpleQueryMessage::RowDescription(_) | _ => None,
        });
        let last = rows.last().and_then(|row| row.get(0).map(str::to_owned));
        Ok(last)
    })
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
