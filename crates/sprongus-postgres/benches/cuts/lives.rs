//! One connection that enqueues, claims and finishes, each in one pipelined transaction, and says how long it took.

use std::cell::Cell;
use std::error::Error;
use std::time::{Duration, Instant};

use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Row, Statement};
use uuid::Uuid;

use crate::design::Sql;

/// Whatever goes wrong ends the measurement.
pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Rows of one enqueue, and of one claim and one finish.
pub const ENQUEUED: usize = 1_000;
/// Of these there are two for each enqueue.
pub const CLAIMED: usize = 500;
/// Short, so that timers come due within a measurement.
pub const LEASE: Duration = Duration::from_secs(2);

/// A table that is empty when it is analysed is scanned from then on, however it grows. What is compared here is shapes at their
/// best plan, so all cuts walk their indexes.
const PLANS: &str = "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off";

const KINDS: [&str; 3] = ["mail.send", "report.render", "video.encode"];

/// Opens a connection and keeps it going.
pub async fn connect(url: &str) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// What is counted over all connections of a measurement.
#[derive(Default)]
pub struct Counts {
    claims: Cell<usize>,
    /// Reminders that a sweep looked up.
    pub swept: Cell<i64>,
    /// Of these, or of what else was due, runs still held: there should be next to none.
    pub held: Cell<i64>,
}

/// A connection with its statements.
pub struct Worker {
    client: Client,
    name: String,
    tenant: Statement,
    enqueue: Statement,
    sweep: Statement,
    claim: Statement,
    finish: Statement,
}

impl Worker {
    /// Connects as the role that row security holds.
    pub async fn connect(url: &str, sql: &Sql, number: usize) -> Result<Self> {
        let client = connect(url).await?;
        client.batch_execute(PLANS).await?;
        Ok(Self {
            tenant: client.prepare("SELECT set_config('sprongus.workspace_id', $1, true)").await?,
            enqueue: client.prepare(&sql.enqueue).await?,
            sweep: client.prepare(&sql.sweep).await?,
            claim: client.prepare(&sql.claim).await?,
            finish: client.prepare(&sql.finish).await?,
            name: format!("worker-{number}"),
            client,
        })
    }

    /// Makes the statistics of this connection visible.
    pub async fn flush_statistics(&self) -> Result<()> {
        self.client.batch_execute("SELECT pg_stat_force_next_flush()").await?;
        Ok(self.client.batch_execute("SELECT 1").await?)
    }

    /// A thousand runs of three kinds, a tenth with a key and a fifth for a task.
    pub async fn enqueue(&self) -> Result<Duration> {
        let ids: Vec<Uuid> = (0..ENQUEUED).map(|_| Uuid::now_v7()).collect();
        let places = 0..ENQUEUED;
        let projects: Vec<_> = places.clone().map(|place| format!("project-{}", place % 4)).collect();
        let tasks: Vec<_> =
            places.clone().map(|place| (place % 5 == 0).then(|| format!("task-{}", place % 10))).collect();
        let kinds: Vec<_> = places.clone().map(|place| KINDS[place % KINDS.len()]).collect();
        let inputs: Vec<_> = ids
            .iter()
            .map(|id| {
                format!(
                    r#"{{"to": "somebody@example.org", "subject": "Your report is ready", "ref": "{id}"}}"#
                )
            })
            .collect();
        let priorities: Vec<i16> = places.clone().map(|place| if place % 10 == 3 { 50 } else { 0 }).collect();
        let keys: Vec<_> = ids
            .iter()
            .enumerate()
            .map(|(place, id)| (place % 10 == 0).then(|| format!("order-{id}")))
            .collect();
        let fingerprints: Vec<_> = ids.iter().map(|id| format!("{0}{0}", id.simple())).collect();
        let began = Instant::now();
        let (_, rows) = self
            .transact(
                None,
                &self.enqueue,
                &[&"default", &ids, &projects, &tasks, &kinds, &inputs, &priorities, &keys, &fingerprints],
            )
            .await?;
        let took = began.elapsed();
        complete("enqueue", rows.len(), ENQUEUED)?;
        Ok(took)
    }

    /// Looks at timers that are due, then takes 500 runs of one kind.
    pub async fn claim(&self, counts: &Counts) -> Result<(Vec<(Uuid, i64)>, Duration)> {
        let kind = KINDS[counts.claims.get() % KINDS.len()];
        counts.claims.set(counts.claims.get() + 1);
        let claim_id = Uuid::now_v7().to_string();
        let lease = i64::try_from(LEASE.as_millis())?;
        let limit = i64::try_from(CLAIMED)?;
        let began = Instant::now();
        let (swept, rows) = self
            .transact(
                Some(&self.sweep),
                &self.claim,
                &[&"default", &kind, &self.name, &lease, &limit, &claim_id],
            )
            .await?;
        let took = began.elapsed();
        if let Some(row) = swept.first() {
            counts.swept.set(counts.swept.get() + row.try_get::<_, i64>(0)?);
            counts.held.set(counts.held.get() + row.try_get::<_, i64>(1)?);
        }
        complete("claim", rows.len(), CLAIMED)?;
        let read = |row: &Row| Ok((row.try_get(0)?, row.try_get(1)?));
        Ok((rows.iter().map(read).collect::<Result<_>>()?, took))
    }

    /// Ends them all with a result.
    pub async fn finish(&self, runs: &[(Uuid, i64)]) -> Result<Duration> {
        let (ids, epochs): (Vec<Uuid>, Vec<i64>) = runs.iter().copied().unzip();
        let results = vec![r#"{"ok": true}"#; runs.len()];
        let began = Instant::now();
        let (_, rows) =
            self.transact(None, &self.finish, &[&"default", &self.name, &ids, &epochs, &results]).await?;
        let took = began.elapsed();
        complete("finish", rows.len(), runs.len())?;
        Ok(took)
    }

    /// One round trip: whatever is asked for is sent before the first answer is there.
    async fn transact(
        &self,
        sweep: Option<&Statement>,
        statement: &Statement,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<(Vec<Row>, Vec<Row>)> {
        let look = async {
            match sweep {
                Some(sweep) => self.client.query(sweep, &[&"default"]).await,
                None => Ok(Vec::new()),
            }
        };
        let (_, _, swept, rows, _) = tokio::try_join!(
            self.client.batch_execute("BEGIN"),
            self.client.query(&self.tenant, &[&"default"]),
            look,
            self.client.query(statement, params),
            self.client.batch_execute("COMMIT"),
        )?;
        Ok((swept, rows))
    }
}

/// A rate of statements that did less than they were asked for would say nothing.
fn complete(what: &str, rows: usize, asked: usize) -> Result<()> {
    if rows == asked { Ok(()) } else { Err(format!("{what} gave {rows} of {asked} rows").into()) }
}
