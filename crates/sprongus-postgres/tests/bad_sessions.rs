//! A store whose database is read-only for a while, is altered under it, or stands behind a pooler that lets everybody in and
//! answers nobody.
#![expect(clippy::unwrap_used, reason = "a test panics when its database cannot be made")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sprongus_core::json::Json;
use sprongus_core::run::NewRun;
use sprongus_core::run::list::ListFilter;
use sprongus_core::store::{Diagnostics, Store};
use sprongus_core::values::names::WorkspaceId;
use sprongus_core::{Caller, Error, ErrorCode, Runs, RunsExt, RunsService};
use sprongus_postgres::{Durability, Options, Postgres, migrate, pending};
use sprongus_throwaway::{Database, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};

mod scene;

fn options() -> Options {
    Options { durability: Durability::AsConfigured, pool_size: 3, listen: false, ..Options::default() }
}

async fn opened(url: &str) -> (Arc<Postgres>, Arc<dyn Runs>) {
    let store = Arc::new(Postgres::connect(url, options()).await.unwrap());
    let service = RunsService::new(Arc::clone(&store) as Arc<dyn Store>);
    (store, service.for_caller(Caller::new(WorkspaceId::local(), "test")))
}

fn work() -> NewRun {
    NewRun::new("work", Json::empty_object())
}

fn alter(database: &Database, statements: &str) {
    Server::shared().execute(database.name(), statements).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_was_read_only_for_a_while_is_written_to_as_soon_as_it_can_be() {
    let database = scene::migrated();
    let (store, runs) = opened(&database.url("sprongus_app")).await;
    let name = database.name();
    // Sessions made meanwhile stay read-only, as those with a primary that was demoted do.
    let set =
        |how: &str| Server::shared().execute("postgres", &format!("ALTER DATABASE {name} {how}")).unwrap();
    set("SET default_transaction_read_only = on");
    for _ in 0..3 {
        let error = runs.enqueue_one(work()).await.unwrap_err();
        assert_eq!((error.code(), error.message()), (ErrorCode::Unavailable, "the database is read-only"));
        let problems = store.health(false).await.unwrap().problems;
        assert!(problems.iter().any(|problem| problem.what == "writes"), "{problems:?}");
    }
    runs.list(&ListFilter::default()).await.unwrap();
    set("RESET default_transaction_read_only");
    for _ in 0..5 {
        runs.enqueue_one(work()).await.unwrap();
    }
    let problems = store.health(false).await.unwrap().problems;
    assert!(!problems.iter().any(|problem| problem.what == "writes"), "{problems:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_altered_and_altered_back_sticks_to_no_session() {
    let database = scene::migrated();
    let (_, runs) = opened(&database.url("sprongus_app")).await;
    runs.enqueue_one(work()).await.unwrap();
    runs.list(&ListFilter::default()).await.unwrap();
    alter(&database, "ALTER TABLE sprongus.runs ALTER COLUMN lease_ms TYPE numeric");
    runs.list(&ListFilter::default()).await.unwrap_err();
    alter(&database, "ALTER TABLE sprongus.runs ALTER COLUMN lease_ms TYPE bigint");
    for _ in 0..5 {
        assert_eq!(runs.list(&ListFilter::default()).await.unwrap().data.len(), 1);
    }
    // One that changes nothing that is read is not even noticed.
    alter(&database, "ALTER TABLE sprongus.runs ADD COLUMN later text");
    runs.list(&ListFilter::default()).await.unwrap();
}

/// Stands before the server's socket. While it is full it lets everybody in, passes nothing on, and answers nothing.
struct Pooler {
    port: u16,
    is_full: Arc<AtomicBool>,
}

impl Pooler {
    async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let is_full = Arc::new(AtomicBool::new(false));
        let full = Arc::clone(&is_full);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, Arc::clone(&full)));
            }
        });
        Self { port, is_full }
    }

    fn url(&self, database: &Database, role: &str) -> String {
        format!("postgres://{role}@127.0.0.1:{}/{}?sslmode=disable", self.port, database.name())
    }
}

async fn pass(mut client: TcpStream, is_full: Arc<AtomicBool>) -> std::io::Result<()> {
    let socket = Server::shared().socket_folder().join(format!(".s.PGSQL.{}", Server::shared().port()));
    let mut server = UnixStream::connect(socket).await?;
    // The startup message: whoever comes in by the socket is let in without a password.
    let length = client.read_u32().await?;
    let mut startup = vec![0; usize::try_from(length).unwrap() - 4];
    client.read_exact(&mut startup).await?;
    server.write_u32(length).await?;
    server.write_all(&startup).await?;
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let ask = async {
        let mut asked = [0; 8_192];
        loop {
            let read = from_client.read(&mut asked).await?;
            if read == 0 {
                return to_server.shutdown().await;
            }
            while is_full.load(Ordering::Relaxed) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            to_server.write_all(&asked[..read]).await?;
        }
    };
    tokio::try_join!(ask, tokio::io::copy(&mut from_server, &mut to_client)).map(drop)
}

/// Well beyond what a call may take, so that a machine that is busy fails nothing.
async fn mute<T>(call: impl Future<Output = Result<T, Error>>) {
    let Err(error) = tokio::time::timeout(Duration::from_secs(60), call).await.unwrap() else {
        unreachable!("the pooler answered")
    };
    assert_eq!(
        (error.code(), error.message()),
        (ErrorCode::Unavailable, "cannot reach the database: no answer within 5 s")
    );
    assert!(error.hint().contains("docs/postgres.md#poolers"), "{}", error.hint());
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_pooler_that_answers_nobody_everything_ends_within_its_time() {
    let (database, pooler) = (scene::migrated(), Pooler::start().await);
    let (app, owner) = (pooler.url(&database, "sprongus_app"), pooler.url(&database, "sprongus_owner"));
    let (store, runs) = opened(&app).await;
    pooler.is_full.store(true, Ordering::Relaxed);
    let usual = Options::default();
    tokio::join!(
        mute(Postgres::connect(&app, options())),
        mute(store.health(false)),
        mute(runs.enqueue_one(work())),
        mute(pending(&owner, &usual)),
        mute(migrate(&owner, &usual, None)),
    );
    pooler.is_full.store(false, Ordering::Relaxed);
    store.health(false).await.unwrap();
    runs.enqueue_one(work()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_do_not_arrive_are_told_as_a_poolers_fault() {
    let database = scene::migrated();
    let url = database.url("sprongus_app");
    let (store, _) = opened(&url).await;
    let pooler = async |store: &Postgres| {
        let problems = store.health(true).await.unwrap().problems;
        problems.into_iter().find(|problem| problem.what == "pooler").map(|problem| problem.text)
    };
    assert_eq!(pooler(&store).await, None);
    // What a startup parameter sets wins over what a role is set to, so one that says otherwise did not arrive. The URL's own do.
    let slow = opened(&format!("{url}?options=-c%20jit%3Don%20-c%20statement_timeout%3D0")).await.0;
    assert_eq!(pooler(&slow).await, None);
}
