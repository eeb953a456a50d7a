//! The suite, on a database of its own for each case; and random histories, compared with the model. The store connects as the role
//! that a server has, so that row-level security holds throughout.
#![expect(clippy::unwrap_used, reason = "a test panics when its database cannot be made")]

use std::sync::Arc;

use sprongus_conformance::TurnedClock;
use sprongus_conformance::blobs::service;
use sprongus_core::store::Store;
use sprongus_core::values::names::WorkspaceId;
use sprongus_core::{Caller, Runs};
use sprongus_postgres::{Durability, Options, Postgres};
use sprongus_throwaway::Database;

mod scene;

use scene::migrated;

async fn make(clock: TurnedClock) -> (Arc<dyn Store>, Database) {
    let database = migrated();
    let options =
        Options { clock: Some(Arc::new(clock)), durability: Durability::AsConfigured, ..Options::default() };
    (Arc::new(Postgres::connect(&database.url("sprongus_app"), options).await.unwrap()), database)
}

sprongus_conformance::store_conformance!(make);

#[test]
fn random_histories_agree_with_the_model() {
    sprongus_conformance::histories::compare(make, 40);
}

mod api {
    use super::*;

    async fn api(clock: TurnedClock) -> (Arc<dyn Runs>, Database) {
        let (store, database) = make(clock).await;
        (service(store).for_caller(Caller::new(WorkspaceId::local(), "tester")), database)
    }

    sprongus_conformance::api_conformance!(api);
}
