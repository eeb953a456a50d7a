//! What `--version` says: the program's version, the commit it is built from, and the schema it needs.

use std::sync::LazyLock;

use sprongus_core::figures::metric::{Metric, Series, Value};

/// The text behind the program's name, such as `0.1.0 (61bd175, schema 6)`. Without a repository the commit is `unknown`.
pub static VERSION: LazyLock<String> = LazyLock::new(|| {
    let (version, commit) = (env!("CARGO_PKG_VERSION"), env!("SPRONGUS_COMMIT"));
    // A migration that concerns one of the stores alone is not counted by the other.
    let schema = sprongus_sqlite::latest_schema().max(sprongus_postgres::latest_schema());
    format!("{version} ({commit}, schema {schema})")
});

/// The same for who watches the process.
pub fn metric() -> Metric {
    let labels = vec![("version", env!("CARGO_PKG_VERSION")), ("commit", env!("SPRONGUS_COMMIT"))];
    let series = vec![Series { labels, value: Value::Now(1.0) }];
    Metric {
        name: "build_info",
        help: "Version of the running program, and the commit it was built from",
        series,
    }
}
