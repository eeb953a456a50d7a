//! A migrated database for each test.

use sprongus_postgres::{Options, migrate};
use sprongus_throwaway::Database;

/// An empty migrated database, open to the server's role `sprongus_app`.
pub fn migrated() -> Database {
    Database::copy_of("template_of_cases", |url| {
        // A thread of its own, for the caller may be inside of a runtime.
        std::thread::scope(|scope| {
            let migrating = scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(migrate(url, &Options::default(), Some("sprongus_app"))).unwrap();
            });
            migrating.join().unwrap();
        });
    })
}
