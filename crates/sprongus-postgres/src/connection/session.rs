//! Connections and transactions. A transaction belongs to one workspace, which its first statement names to the policies; what
//! can be sent together is sent together, so that a transaction of one statement is one round trip.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use deadpool_postgres::{
    ClientWrapper, Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod,
    Runtime, TimeoutType,
};
use sprongus_core::calendar::Zones;
use sprongus_core::values::names::WorkspaceId;
use sprongus_core::values::time::{Clock, Timestamp};
use sprongus_core::{Error, ErrorCode};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Config, Row, Statement};

use crate::connection::clock::{PRESENT, present};
use crate::connection::tls;
use crate::connection::wake::Wake;
use crate::error::{self, DbError, Result, Retry, unreachable};
use crate::rows::result_sets;
use crate::rows::values::Time;
use crate::schema::migrate::{CONNECT_TIMEOUT, PING, no_answer};

/// The parameters of a statement.
pub type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// The connections of one store.
#[derive(Clone)]
pub struct Database {
    pool: Pool,
    clock: Option<Arc<dyn Clock>>,
    zones: Arc<dyn Zones>,
    wake: Arc<Wake>,
}

/// How many connections there are, there may be, nobody uses, and callers wait for.
pub struct Connections {
    pub open: f64,
    pub most: f64,
    pub idle: f64,
    pub wanted: f64,
}

/// A connection, in or out of a transaction. Dropped within one, or after an error that may stick to it, it is closed, so that nobody
/// else is given what is left of it.
pub struct Session {
    connection: Option<Object>,
    is_open: bool,
    is_spoiled: AtomicBool,
    database: Database,
}

/// Whether those who wait for a change are notified of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notify {
    /// Behind the commit.
    Yes,
    /// There is nothing that others wait for, or not always: whoever knows notifies them.
    No,
}

impl Database {
    /// Makes the pool; connects to nothing yet.
    pub fn new(
        config: &Config,
        size: usize,
        (clock, zones): (Option<Arc<dyn Clock>>, Arc<dyn Zones>),
        wake: Arc<Wake>,
    ) -> sprongus_core::Result<Self> {
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(config.clone(), tls::connector(config)?, recycling);
        let answers = Hook::async_fn(|connection: &mut ClientWrapper, _| {
            Box::pin(async {
                match tokio::time::timeout(CONNECT_TIMEOUT, connection.batch_execute(PING)).await {
                    Ok(answered) => answered.map_err(HookError::Backend),
                    Err(_) => Err(HookError::message("timed out")),
                }
            })
        });
        let pool = Pool::builder(manager)
            .post_create(answers)
            .max_size(size)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(CONNECT_TIMEOUT))
            .create_timeout(Some(CONNECT_TIMEOUT))
            .recycle_timeout(Some(CONNECT_TIMEOUT))
            .build();
        let pool =
            pool.map_err(|error| Error::internal("cannot create a connection pool").with_source(error))?;
        Ok(Self { pool, clock, zones, wake })
    }

    /// A connection.
    pub async fn session(&self) -> Result<Session> {
        match self.pool.get().await {
            Ok(connection) => Ok(Session {
                connection: Some(connection),
                is_open: false,
                is_spoiled: AtomicBool::new(false),
                database: self.clone(),
            }),
            Err(PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error))) => {
                tracing::debug!(cause = error::cause(&error), "cannot open a session with the database");
                Err(error.into())
            }
            Err(
                PoolError::PostCreateHook(HookError::Message(_)) | PoolError::Timeout(TimeoutType::Create),
            ) => Err(no_answer()),
            Err(PoolError::Timeout(kind)) => Err(DbError {
                error: Error::new(ErrorCode::Unavailable, "no database connection became free in time")
                    .with_hint("check that Postgres answers; a larger pool may help")
                    .with_source(format!("timeout: {kind:?}")),
                retry: Retry::Never,
            }),
            Err(error) => Err(unreachable(error)),
        }
    }

    /// [`Session::transact`] on a connection of the pool.
    pub async fn transact<const N: usize>(
        &self,
        workspace: &WorkspaceId,
        statements: [(&str, Params<'_>); N],
    ) -> Result<[Vec<Row>; N]> {
        self.session().await?.transact(workspace, statements).await
    }

    /// [`Session::read`] on a connection of the pool.
    pub async fn read<const N: usize>(
        &self,
        workspace: &WorkspaceId,
        statements: [(&str, Params<'_>); N],
    ) -> Result<[Vec<Row>; N]> {
        self.session().await?.read(workspace, statements).await
    }

    /// The present.
    pub async fn now(&self) -> Result<Timestamp> {
        let clock = self.clock_override();
        let [now] = self.read(&WorkspaceId::local(), [(PRESENT, &[&clock])]).await?;
        present(&now)
    }

    /// The zone data by which schedules are read.
    pub fn zones(&self) -> &Arc<dyn Zones> {
        &self.zones
    }

    /// How the pool stands.
    pub fn connections(&self) -> Connections {
        let status = self.pool.status();
        Connections {
            open: status.size as f64,
            most: status.max_size as f64,
            idle: status.available as f64,
            wanted: status.waiting as f64,
        }
    }

    /// The present where a test has turned the clock; otherwise the database's own clock is asked, in each statement.
    pub fn clock_override(&self) -> Option<Time> {
        self.clock.as_ref().map(|clock| Time(clock.now()))
    }

    /// Something has changed: wakes who waits in this process, and, in a moment, those who wait in others.
    pub fn notify(&self) {
        self.wake.bump();
        let database = self.clone();
        self.wake.notify_later(move |wake| async move {
            if let Ok(session) = database.session().await
                && let Ok(connection) = session.connection()
            {
                wake.notify(connection);
            }
        });
    }
}

/// The second statement of a transaction in `workspace`. The name is a slug (`names.rs`), so it can stand in the text. No `SELECT
/// set_config`, which would be planned anew each time. It is a message of its own behind BEGIN: a balancing pooler that is sent both in one
/// sends them to one server, and what follows to another.
fn set_workspace(workspace: &WorkspaceId) -> String {
    format!("SET LOCAL sprongus.workspace_id = '{workspace}'")
}

impl Session {
    fn connection(&self) -> Result<&Object> {
        self.connection.as_ref().ok_or_else(|| Error::internal("a connection was used after its end").into())
    }

    /// What the server answered. After an error that may stick to the session nobody uses it again, nor what idle ones there are, which
    /// are likely to have had the same happen to them; so a repeat comes by a fresh one.
    fn checked<T>(&self, answer: std::result::Result<T, tokio_postgres::Error>) -> Result<T> {
        answer.map_err(|error| {
            if !error::is_session_sound(&error) {
                self.discard(&error::cause(&error));
            }
            error.into()
        })
    }

    /// Sees to it that neither this session is used again nor one that is idle now; `cause` is for the log.
    pub fn discard(&self, cause: &str) {
        if !self.is_spoiled.swap(true, Ordering::Relaxed) {
            tracing::warn!(cause, "discarding a database session");
            self.database.pool.retain(|_, _| false);
        }
    }

    /// A statement, prepared once per connection.
    pub async fn prepare(&self, sql: &str) -> Result<Statement> {
        self.checked(self.connection()?.prepare_cached(sql).await)
    }

    /// A statement within the transaction.
    pub async fn query(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>> {
        let statement = self.prepare(sql).await?;
        self.checked(self.connection()?.query(&statement, params).await)
    }

    /// Prepares and does; how many rows it was.
    pub async fn execute(&self, sql: &str, params: Params<'_>) -> Result<u64> {
        let statement = self.prepare(sql).await?;
        self.checked(self.connection()?.execute(&statement, params).await)
    }

    /// Begins a transaction that stays open, with several statements in the same round trip, carried out in their order. Answers the rows
    /// of each.
    pub async fn begin_with<const N: usize>(
        &mut self,
        workspace: &WorkspaceId,
        statements: [(&str, Params<'_>); N],
    ) -> Result<[Vec<Row>; N]> {
        let prepared = self.prepare_all(&statements).await?;
        self.is_open = true;
        let connection = self.connection()?;
        let text = set_workspace(workspace);
        let queries = prepared.iter().zip(&statements);
        let queries = queries.map(|(statement, (_, params))| connection.query(statement, params));
        let (begun, entered, rows) = tokio::join!(
            connection.batch_execute("BEGIN"),
            connection.batch_execute(&text),
            futures_util::future::join_all(queries),
        );
        self.checked(begun)?;
        self.checked(entered)?;
        result_sets(self.checked(rows.into_iter().collect())?)
    }

    /// A whole transaction in one round trip.
    pub async fn transact<const N: usize>(
        &mut self,
        workspace: &WorkspaceId,
        statements: [(&str, Params<'_>); N],
    ) -> Result<[Vec<Row>; N]> {
        result_sets(self.pipelined("BEGIN", workspace, &statements, Notify::No).await?)
    }

    /// The same; those who wait for what it does are notified.
    pub async fn transact_and_notify<const N: usize>(
        &mut self,
        workspace: &WorkspaceId,
        statements: [(&str, Params<'_>); N],
    ) -> Result<[Vec<Row>; N]> {
        result_sets(self.pipelined("BEGIN", workspace, &statements, Notify::Yes).await?)
    }

    /// The same for statements that only read: they see one instant.
    pub async fn read<const N: usize>(
        &mut self,
        workspace: &WorkspaceId,
        statements: [(&str, Params<'_>); N],
    ) -> Result<[Vec<Row>; N]> {
        result_sets(self.read_all(workspace, &statements).await?)
    }

    /// The same for as many statements as there are; a result set for each.
    pub async fn read_all(
        &mut self,
        workspace: &WorkspaceId,
        statements: &[(&str, Params<'_>)],
    ) -> Result<Vec<Vec<Row>>> {
        let begin = match statements.len() {
            1 => "BEGIN READ ONLY",
            _ => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        };
        self.pipelined(begin, workspace, statements, Notify::No).await
    }

    async fn pipelined(
        &mut self,
        begin: &str,
        workspace: &WorkspaceId,
        statements: &[(&str, Params<'_>)],
        notify: Notify,
    ) -> Result<Vec<Vec<Row>>> {
        let prepared = self.prepare_all(statements).await?;
        self.is_open = true;
        let connection = self.connection()?;
        let text = set_workspace(workspace);
        let queries = prepared.iter().zip(statements);
        let queries = queries.map(|(statement, (_, params))| connection.query(statement, params));
        let (begun, entered, rows, committed, is_notified) = tokio::join!(
            connection.batch_execute(begin),
            connection.batch_execute(&text),
            futures_util::future::join_all(queries),
            connection.batch_execute("COMMIT"),
            self.notify_others(notify),
        );
        // After a statement that failed, COMMIT answers as if all were well and has rolled back: each answer is looked at.
        let rows: std::result::Result<Vec<_>, _> = rows.into_iter().collect();
        if committed.is_ok() {
            self.is_open = false;
        }
        self.checked(begun)?;
        self.checked(entered)?;
        let rows = self.checked(rows)?;
        self.checked(committed)?;
        self.wake(notify, is_notified);
        Ok(rows)
    }

    /// Sent behind the COMMIT, so that it is on its way even if this process ends with its answer.
    async fn notify_others(&self, notify: Notify) -> bool {
        match (notify, &self.connection) {
            (Notify::Yes, Some(connection)) => self.database.wake.notify(connection),
            (Notify::Yes | Notify::No, _) => false,
        }
    }

    fn wake(&self, notify: Notify, is_notified: bool) {
        match notify {
            Notify::Yes if is_notified => self.database.wake.bump(),
            Notify::Yes => self.database.notify(),
            Notify::No => {}
        }
    }

    /// Does the rest of a transaction and commits it, in one round trip.
    pub async fn commit_with(mut self, statements: &[(&str, Params<'_>)], notify: Notify) -> Result<()> {
        let prepared = self.prepare_all(statements).await?;
        let connection = self.connection()?;
        let changes = prepared.iter().zip(statements);
        let changes = changes.map(|(statement, (_, params))| connection.execute(statement, params));
        let (changed, committed, is_notified) = tokio::join!(
            futures_util::future::join_all(changes),
            connection.batch_execute("COMMIT"),
            self.notify_others(notify),
        );
        if committed.is_ok() {
            self.is_open = false;
        }
        for change in changed {
            self.checked(change)?;
        }
        self.checked(committed)?;
        self.wake(notify, is_notified);
        Ok(())
    }

    /// Ends a transaction that changed nothing.
    pub async fn roll_back(mut self) -> Result<()> {
        self.checked(self.connection()?.batch_execute("ROLLBACK").await)?;
        self.is_open = false;
        Ok(())
    }

    /// Ends a transaction that is refused, of which nothing stays; answers why.
    ///
    /// # Errors
    /// `why`, or that of the connection.
    pub async fn refuse<T>(self, why: impl Into<DbError>) -> Result<T> {
        self.roll_back().await?;
        Err(why.into())
    }

    async fn prepare_all(&self, statements: &[(&str, Params<'_>)]) -> Result<Vec<Statement>> {
        let mut prepared = Vec::with_capacity(statements.len());
        for (sql, _) in statements {
            prepared.push(self.prepare(sql).await?);
        }
        Ok(prepared)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if (self.is_open || *self.is_spoiled.get_mut())
            && let Some(connection) = self.connection.take()
        {
            // Taken out of the pool it is closed, and the server rolls back what was not committed.
            drop(Object::take(connection));
        }
    }
}

#[cfg(test)]
mod tests;
