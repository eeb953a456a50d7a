//! What happens to sessions behind the back of those who use them.

use std::io::Write;
use std::sync::{Arc, Mutex};

use sprongus_core::calendar::zone::SystemZones;
use sprongus_core::values::names::WorkspaceId;
use sprongus_throwaway::Database as OnServer;

use super::*;
use crate::Options;
use crate::connection::retry::{Idempotent, retry, retry_idempotent};
use crate::schema::{migrate, open};

const KINDS: &str = "SELECT kind FROM kinds WHERE workspace_id = $1";

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn keep(&self) -> tracing::subscriber::DefaultGuard {
        let log = self.clone();
        let kept = tracing_subscriber::fmt().with_ansi(false).with_writer(move || log.clone());
        tracing::subscriber::set_default(kept.finish())
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// A pool of one, whose session is what it was left as.
async fn pool() -> (OnServer, Database) {
    let on_server = OnServer::empty();
    let options = Options::default();
    crate::migrate(&on_server.url("sprongus_owner"), &options, Some("sprongus_app")).await.unwrap();
    let config = open::config(&on_server.url("sprongus_app"), &options.schema).unwrap();
    let working = open::working(&config, &options.schema);
    let database =
        Database::new(&working, 1, (None, Arc::new(SystemZones::bundled())), Wake::new(None)).unwrap();
    (on_server, database)
}

async fn kinds(database: &Database) -> Result<usize> {
    let workspace = WorkspaceId::local();
    let mut session = database.session().await?;
    let [rows] = session.read(&workspace, [(KINDS, &[&workspace.as_str()])]).await?;
    Ok(rows.len())
}

async fn backend(database: &Database) -> i32 {
    database.session().await.unwrap().query("SELECT pg_backend_pid()", &[]).await.unwrap()[0].get(0)
}

#[tokio::test]
async fn a_spoiled_session_leaves_the_pool_its_cause_is_logged_and_the_call_is_made_on_another() {
    let (_on_server, database) = pool().await;
    for (spoil, code) in [
        ("DEALLOCATE ALL", "26000"),
        ("BEGIN; SELECT 1 / 0", "25P02"),
        ("SET search_path = pg_catalog; DISCARD PLANS", "42P01"),
        ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "25006"),
    ] {
        retry_idempotent(|| kinds(&database)).await.unwrap();
        let before = backend(&database).await;
        // The error of the division is wanted.
        let _ = database.session().await.unwrap().connection().unwrap().batch_execute(spoil).await;
        let log = Log::default();
        let kept = log.keep();
        // Written to, for a session that is read-only reads well; not safe to repeat had it been carried out.
        let wrote = retry(Idempotent::No, |_| async {
            let workspace = WorkspaceId::local();
            let mut session = database.session().await?;
            let sql = "INSERT INTO projects (workspace_id, id) VALUES ($1, $2) ON CONFLICT DO NOTHING";
            let asked: [(&str, Params<'_>); 2] =
                [(KINDS, &[&workspace.as_str()]), (sql, &[&workspace.as_str(), &"p"])];
            session.transact(&workspace, asked).await.map(drop)
        });
        match code {
            // That a table is missing may well be so.
            "42P01" => assert!(wrote.await.is_err()),
            _ => wrote.await.unwrap_or_else(|error| panic!("{spoil}: {error:?}")),
        }
        drop(kept);
        let logged = log.text();
        assert!(logged.contains("WARN") && logged.contains(code), "{spoil}: {logged}");
        retry_idempotent(|| kinds(&database)).await.unwrap();
        assert_ne!(backend(&database).await, before, "{spoil}");
    }
}

#[tokio::test]
async fn a_refusal_costs_no_session() {
    let (_on_server, database) = pool().await;
    let before = backend(&database).await;
    for (sql, code) in [("SELECT 1 / 0", "22012"), ("INSERT INTO workspaces (id) VALUES (NULL)", "23502")] {
        let refused = database.session().await.unwrap().read(&WorkspaceId::local(), [(sql, &[])]).await;
        let refused = format!("{:?}", refused.unwrap_err().error);
        assert!(refused.contains(code) || refused.contains("25006"), "{refused}");
    }
    let workspace = WorkspaceId::local();
    let refused = database.session().await.unwrap().transact(&workspace, [("SELECT 1 / 0", &[])]).await;
    assert!(refused.is_err());
    let after = backend(&database).await;
    // The insert was refused in a transaction that reads only, which sticks.
    assert_ne!(before, after);
    database.session().await.unwrap().transact(&workspace, [("SELECT 1 / 0", &[])]).await.unwrap_err();
    assert_eq!(backend(&database).await, after);
}

#[tokio::test]
async fn whoever_names_no_workspace_is_refused_by_every_table_of_theirs() {
    let (on_server, database) = pool().await;
    let session = database.session().await.unwrap();
    let tables = "
        SELECT c.relname::text FROM pg_class c WHERE c.relnamespace = 'sprongus'::regnamespace AND c.relrowsecurity
            AND has_table_privilege(c.oid, 'SELECT') ORDER BY 1";
    let tables: Vec<String> =
        session.query(tables, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    assert!(tables.len() >= 18, "{tables:?}");
    drop(session);
    for is_blank in [false, true] {
        for table in &tables {
            let url = on_server.url("sprongus_app");
            let client = migrate::connect(&open::config(&url, "sprongus").unwrap()).await.unwrap();
            if is_blank {
                client.batch_execute("SET sprongus.workspace_id = ''").await.unwrap();
            }
            // Of a table without rows a policy is not asked: the plan is what counts, or a row.
            let refused = client.batch_execute(&format!("SELECT FROM sprongus.{table} LIMIT 1")).await;
            let plan = format!("EXPLAIN (VERBOSE) SELECT FROM sprongus.{table}");
            let plan = client.simple_query(&plan).await.unwrap();
            let is_asked = format!("{plan:?}").contains("no_workspace()");
            let is_refused = refused.err().and_then(|error| error.code().cloned());
            assert!(is_asked, "{table} {is_refused:?}: {plan:?}");
        }
    }
    let client =
        migrate::connect(&open::config(&on_server.url("sprongus_app"), "sprongus").unwrap()).await.unwrap();
    let refused = client.batch_execute("SELECT FROM sprongus.workspaces").await.unwrap_err();
    assert_eq!(refused.code().unwrap().code(), "42704", "a table with rows");
}

#[tokio::test]
async fn what_a_server_cannot_do_just_now_is_unavailable_and_what_it_must_not_be_asked_is_a_fault_of_ours() {
    let (_on_server, database) = pool().await;
    let said = async |state: &str| {
        let raise = format!("DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{state}'; END $$");
        database.session().await.unwrap().query(&raise, &[]).await.unwrap_err().error
    };
    for state in [
        "25P03", "25P04", "40001", "40003", "53100", "53400", "54000", "57P01", "57P05", "72000", "XX001",
        "XX002",
    ] {
        let error = said(state).await;
        assert_eq!(error.code(), ErrorCode::Unavailable, "{state}: {error}");
    }
    for state in ["21000", "22003", "23514", "P0001", "XX000"] {
        assert_eq!(said(state).await.code(), ErrorCode::Internal, "{state}");
    }
}
