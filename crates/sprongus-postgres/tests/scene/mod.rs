//! A migrated database for each test, copied from one template, and dropped behind it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use sprongus_postgres::{Options, migrate};
use sprongus_throwaway::Server;

/// A database that is dropped with this.
pub struct Dropped(pub String);

impl Drop for Dropped {
    fn drop(&mut self) {
        // The server goes with the process anyway.
        let _ = Server::shared().drop_database(&self.0);
    }
}

/// The name of a database nobody has used.
fn fresh_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("case_{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// An empty migrated database, for the server's role.
pub fn database() -> (String, Dropped) {
    static TEMPLATE: OnceLock<()> = OnceLock::new();
    let server = Server::shared();
    TEMPLATE.get_or_init(|| {
        server.create_database("template_of_cases", None).unwrap();
        let url = server.url("template_of_cases", "sprongus_owner");
        let migrating = async move { migrate(&url, &Options::default(), Some("sprongus_app")).await };
        let thread = std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(migrating).unwrap();
        });
        thread.join().unwrap();
    });
    let name = fresh_name();
    server.create_database(&name, Some("template_of_cases")).unwrap();
    (server.url(&name, "sprongus_app"), Dropped(name))
}
