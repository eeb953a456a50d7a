//! Two tenants whose calls go over one connection, in turns: nothing of the one is in an answer to the other, errors included, and
//! a statement that forgets to say for whom it is sees nothing. The control takes the policies away.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use serde_json::json;
use sprongus::core::json::Json;
use sprongus::core::run::lease::LeaseToken;
use sprongus::core::run::list::ListFilter;
use sprongus::core::run::{ClaimRequest, Hold, NewRun};
use sprongus::core::store::Store;
use sprongus::core::values::ids::RunId;
use sprongus::core::values::names::WorkspaceId;
use sprongus::postgres::{self, Postgres};
use sprongus::{Caller, Runs, RunsExt, RunsService};
use tokio_postgres::NoTls;

use crate::backing::{Backing, Place};
use crate::project_folder::ProjectFolder;
use crate::tempo::{block_on, chances, form};

/// Each tenant's name is in all that is his.
const TENANTS: [&str; 2] = ["ada-works", "bob-plays"];
const CALLERS: usize = 3;

struct Tenant {
    runs: Arc<dyn Runs>,
    name: &'static str,
    other: &'static str,
    /// The token of each run it claimed.
    leases: Mutex<HashMap<RunId, LeaseToken>>,
}

#[test]
fn nothing_of_the_one_is_told_to_the_other() {
    let calls = form(2_000, 10_000);
    let (mut chance, seed) = chances();
    let project = ProjectFolder::new(Backing::Postgres);
    let Place::Postgres { url, owner, .. } = project.place() else { panic!("a server") };
    let calls = block_on(async {
        let options = postgres::Options {
            pool_size: 1,
            durability: postgres::Durability::AsConfigured,
            ..postgres::Options::default()
        };
        let store: Arc<dyn Store> = Arc::new(Postgres::connect(url, options).await.unwrap());
        let mut tasks = Vec::new();
        for (name, other) in [(TENANTS[0], TENANTS[1]), (TENANTS[1], TENANTS[0])] {
            let workspace: WorkspaceId = name.parse().unwrap();
            let caller = Caller::new(workspace.clone(), name);
            store.create_workspace(&caller, &workspace).await.unwrap();
            let runs = RunsService::new(Arc::clone(&store)).for_caller(caller);
            let tenant = Arc::new(Tenant { runs, name, other, leases: Mutex::default() });
            for _ in 0..CALLERS {
                let (tenant, chance) = (Arc::clone(&tenant), chance.fork());
                tasks.push(tokio::spawn(async move {
                    tenant.calls(chance, calls / TENANTS.len() / CALLERS).await
                }));
            }
        }
        let mut calls = 0;
        for task in tasks {
            calls += task.await.unwrap();
        }
        calls
    });
    block_on(a_forgetful_statement_sees_nothing(url, owner));
    println!(
        "tenants: seed {seed}: {calls} calls of two tenants over one connection: not a row, id, count or error of the other; the \
         same statements without a tenant saw nothing, and everything where the control had taken the policies away"
    );
}

impl Tenant {
    /// Makes the calls; answers how many of them were answered, refusals included.
    async fn calls(&self, mut chance: fastrand::Rng, calls: usize) -> usize {
        // Ids are no secret between these two: the other's are asked for too, by the id both derive from the same number.
        for _ in 0..calls {
            self.call(&mut chance).await;
        }
        calls
    }

    async fn call(&self, chance: &mut fastrand::Rng) {
        let (runs, number) = (&self.runs, chance.u128(0..200));
        let owned = u128::from(self.name == TENANTS[0]);
        let (mine, any) =
            (RunId::from_bits(number * 2 + owned), RunId::from_bits(number * 2 + chance.u128(0..2)));
        let worker = "a-worker".parse().unwrap();
        let token = self.leases.lock().unwrap().get(&any).cloned().unwrap_or_default();
        let hold = Hold { id: any, worker_id: "a-worker".parse().unwrap(), epoch: 1, token };
        match chance.u32(0..12) {
            0..3 => {
                let keyed = chance.bool().then(|| format!("key-{number}"));
                let input = Json::from_value(json!({"of": self.name}));
                let id = keyed.is_none().then_some(mine);
                let run = NewRun { id, idempotency_key: keyed, ..NewRun::new("note", input) };
                self.check(&runs.enqueue_one(run).await);
            }
            3 => self.check(&runs.get(any).await),
            4 => {
                let page = runs.list(&ListFilter::default()).await;
                assert!(page.as_ref().unwrap().data.iter().all(|run| run.workspace_id.as_str() == self.name));
                self.check(&page);
            }
            5 => self.check(&runs.find_by_key(&format!("key-{number}")).await),
            6 => {
                let claimed = runs.claim(ClaimRequest::new(worker, 3)).await;
                let leases = claimed.iter().flatten().map(|one| (one.run.id, one.lease.token.clone()));
                self.leases.lock().unwrap().extend(leases);
                self.check(&claimed);
            }
            7 => self.check(&runs.succeed(&hold, Some(Json::from_value(json!(self.name))), None).await),
            8 => self.check(&runs.fail(&hold, self.name, true).await),
            9 => self.check(&runs.heartbeat(vec![hold], None).await),
            10 => self.check(&runs.events(any, 0, 100).await),
            _ => self.check(&runs.cancel(any).await),
        }
    }

    #[track_caller]
    fn check(&self, answer: &impl std::fmt::Debug) {
        let answer = format!("{answer:?}");
        assert!(!answer.contains(self.other), "{} was told of {}: {answer}", self.name, self.other);
    }
}

const TABLES: [&str; 11] = [
    "workspaces",
    "runs",
    "run_queue",
    "run_events",
    "single_events",
    "event_batches",
    "batch_successes",
    "run_timers",
    "claims",
    "projects",
    "api_tokens",
];

async fn a_forgetful_statement_sees_nothing(url: &str, owner: &str) {
    let (app, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    let (superuser, connection) = tokio_postgres::connect(owner, NoTls).await.unwrap();
    tokio::spawn(connection);
    let count = async |table: &str| -> Result<i64, tokio_postgres::Error> {
        let row = app.query_one(&format!("SELECT count(*) FROM sprongus.{table}"), &[]).await?;
        row.try_get::<_, i64>(0)
    };
    let is_refused = |error: tokio_postgres::Error| error.code().is_some_and(|state| state.code() == "42704");
    // As a connection comes back into a pool: a transaction has told a tenant, and is over.
    let setting =
        format!("BEGIN; SELECT set_config('sprongus.workspace_id', '{}', true); COMMIT", TENANTS[0]);
    app.batch_execute(&setting).await.unwrap();
    for table in TABLES {
        // Of a table without rows nothing is asked.
        assert!(count(table).await.map_or_else(is_refused, |rows| rows == 0), "{table}");
    }
    assert!(count("runs").await.is_err_and(is_refused), "not an empty list");
    let changed = app.execute("UPDATE sprongus.runs SET error = 'x'", &[]).await;
    assert!(changed.is_err_and(is_refused));
    superuser.batch_execute("ALTER TABLE sprongus.runs DISABLE ROW LEVEL SECURITY").await.unwrap();
    assert!(count("runs").await.unwrap() > 0, "void: without its policy there was nothing to be seen either");
}
