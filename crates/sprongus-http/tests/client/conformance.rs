//! The promises of the API, asked over HTTP, above each store.

use std::sync::Arc;

use sprongus_conformance::TurnedClock;
use sprongus_core::Runs;

use crate::scene::Scene;

mod model {
    use sprongus_conformance::Model;

    use super::*;

    async fn api(clock: TurnedClock) -> (Arc<dyn Runs>, Scene) {
        let scene = Scene::new(Arc::new(Model::new(Arc::new(clock)))).await;
        (Arc::new(scene.client()), scene)
    }

    sprongus_conformance::api_conformance!(api);
}

mod sqlite {
    use sprongus_sqlite::{Options, Sqlite};
    use tempfile::TempDir;

    use super::*;

    async fn api(clock: TurnedClock) -> (Arc<dyn Runs>, (Scene, TempDir)) {
        let folder = tempfile::tempdir().unwrap();
        let options = Options { clock: Arc::new(clock), ..Options::default() };
        let store = Sqlite::open(&folder.path().join("runs.db"), options).unwrap();
        let scene = Scene::new(Arc::new(store)).await;
        (Arc::new(scene.client()), (scene, folder))
    }

    sprongus_conformance::api_conformance!(api);
}

mod postgres {
    use sprongus_postgres::{Durability, Options, Postgres, migrate};
    use sprongus_throwaway::Database;

    use super::*;

    fn migrated() -> Database {
        Database::copy_of("template_of_http_cases", |url| {
            // A thread of its own, for the caller is inside of a runtime.
            std::thread::scope(|scope| {
                let migrating = scope.spawn(|| {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                    runtime.block_on(migrate(url, &Options::default(), Some("sprongus_app"))).unwrap();
                });
                migrating.join().unwrap();
            });
        })
    }

    async fn api(clock: TurnedClock) -> (Arc<dyn Runs>, (Scene, Database)) {
        let database = migrated();
        let clock: Option<Arc<dyn sprongus_core::values::time::Clock>> = Some(Arc::new(clock));
        let options = Options { clock, durability: Durability::AsConfigured, ..Options::default() };
        let store = Postgres::connect(&database.url("sprongus_app"), options).await.unwrap();
        let scene = Scene::new(Arc::new(store)).await;
        (Arc::new(scene.client()), (scene, database))
    }

    sprongus_conformance::api_conformance!(api);
}
