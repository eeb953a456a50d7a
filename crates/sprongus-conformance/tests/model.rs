//! The model keeps its own promises.

use std::sync::Arc;

use sprongus_conformance::{Model, TurnedClock};
use sprongus_core::store::Store;

async fn make(clock: TurnedClock) -> (Arc<dyn Store>, ()) {
    (Arc::new(Model::new(Arc::new(clock))), ())
}

sprongus_conformance::store_conformance!(make);
