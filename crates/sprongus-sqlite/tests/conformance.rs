//! The suite, on a file of its own for each case; and random histories, compared with the model.
#![expect(clippy::unwrap_used, reason = "a test panics when its file cannot be made")]

use std::sync::Arc;

use sprongus_conformance::TurnedClock;
use sprongus_conformance::blobs::service;
use sprongus_core::store::Store;
use sprongus_core::values::names::WorkspaceId;
use sprongus_core::{Caller, Runs};
use sprongus_sqlite::{Options, Sqlite};
use tempfile::TempDir;

async fn make(clock: TurnedClock) -> (Arc<dyn Store>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { clock: Arc::new(clock), ..Options::default() };
    let store = Sqlite::open(&folder.path().join("runs.db"), options).unwrap();
    (Arc::new(store), folder)
}

sprongus_conformance::store_conformance!(make);

#[test]
fn random_histories_agree_with_the_model() {
    sprongus_conformance::histories::compare(make, 100);
}

mod api {
    use super::*;

    async fn api(clock: TurnedClock) -> (Arc<dyn Runs>, TempDir) {
        let (store, folder) = make(clock).await;
        (service(store).for_caller(Caller::new(WorkspaceId::local(), "tester")), folder)
    }

    sprongus_conformance::api_conformance!(api);
}
