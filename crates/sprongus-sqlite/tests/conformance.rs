//! The suite, on a file of its own for each case; and random histories, compared with the model.
#![expect(clippy::unwrap_used, reason = "a test panics when its file cannot be made")]

use std::sync::Arc;

use sprongus_conformance::TurnedClock;
use sprongus_core::store::Store;
use sprongus_sqlite::{Options, Sqlite};
use tempfile::TempDir;

async fn make(clock: TurnedClock) -> (Arc<dyn Store>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { clock: Arc::new(clock), ..Options::default() };
    let store = Sqlite::open(&folder.path().join("runs.db"), options).unwrap();
    (Arc::new(store), folder)
}

sprongus_conformance::store_conformance!(make);
