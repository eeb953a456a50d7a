//! The model keeps its own promises.

use std::sync::Arc;

use sprongus_conformance::{Model, TurnedClock};
use sprongus_core::store::Store;

async fn make(clock: TurnedClock) -> (Arc<dyn Store>, ()) {
    (Arc::new(Model::new(Arc::new(clock))), ())
}

sprongus_conformance::store_conformance!(make);

#[test]
fn two_models_live_through_the_same_histories() {
    sprongus_conformance::histories::compare(make, 200);
}

mod api {
    use std::sync::Arc;

    use sprongus_conformance::TurnedClock;
    use sprongus_conformance::blobs::service;
    use sprongus_core::values::names::WorkspaceId;
    use sprongus_core::{Caller, Runs};

    async fn make(clock: TurnedClock) -> (Arc<dyn Runs>, ()) {
        let (store, ()) = super::make(clock).await;
        (service(store).for_caller(Caller::new(WorkspaceId::local(), "tester")), ())
    }

    sprongus_conformance::api_conformance!(make);
}
