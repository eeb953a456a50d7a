//! The text of the schema: numbered migrations, each applied once, and the functions, which are made anew whole.

use sha2::{Digest, Sha256};

/// One step of the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migration {
    /// Its number; the schema's version once it is applied.
    pub number: u32,
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub sql: String,
}

pub struct Source {
    pub number: u32,
    pub name: &'static str,
    sql: &'static [&'static str],
}

impl Source {
    /// Of the text as it stands in the files, whatever the schema is called.
    pub fn checksum(&self) -> String {
        checksum(self.sql)
    }
}

fn checksum(files: &[&str]) -> String {
    Sha256::digest(files.concat().as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Every migration, in order. A number is one step's in both stores; one that concerns this store alone SQLite does not have. None after
/// the 18th makes a function: those are in [`FUNCTIONS`].
pub const SOURCES: &[Source] = &[
    Source { number: 1, name: "runs", sql: &[include_str!("../../../migrations/0001_runs.sql")] },
    Source { number: 2, name: "enqueue", sql: &[include_str!("../../../migrations/0002_enqueue.sql")] },
    Source { number: 3, name: "stream", sql: &[include_str!("../../../migrations/0003_stream.sql")] },
    Source { number: 4, name: "artifacts", sql: &[include_str!("../../../migrations/0004_artifacts.sql")] },
    Source {
        number: 5,
        name: "claims_look_up_no_workspace",
        sql: &[include_str!("../../../migrations/0005_claims_look_up_no_workspace.sql")],
    },
    Source { number: 6, name: "minutes", sql: &[include_str!("../../../migrations/0006_minutes.sql")] },
    Source { number: 7, name: "last_hour", sql: &[include_str!("../../../migrations/0007_last_hour.sql")] },
    Source {
        number: 8,
        name: "retention_by_kind",
        sql: &[include_str!("../../../migrations/0008_retention_by_kind.sql")],
    },
    Source { number: 9, name: "own_tokens", sql: &[include_str!("../../../migrations/0009_own_tokens.sql")] },
    Source { number: 10, name: "tokens", sql: &[include_str!("../../../migrations/0010_tokens.sql")] },
    Source {
        number: 11,
        name: "who_paused",
        sql: &[include_str!("../../../migrations/0011_who_paused.sql")],
    },
    Source {
        number: 12,
        name: "lease_tokens",
        sql: &[include_str!("../../../migrations/0012_lease_tokens.sql")],
    },
    Source {
        number: 13,
        name: "operator_events",
        sql: &[include_str!("../../../migrations/0013_operator_events.sql")],
    },
    // The functions that SQL may call, each whole; and policies that fail closed.
    Source {
        number: 14,
        name: "pinned",
        sql: &[
            include_str!("../../../migrations/0014_canonical.sql"),
            include_str!("../../../migrations/0014_secrets.sql"),
            include_str!("../../../migrations/0014_enqueue.sql"),
            include_str!("../../../migrations/0014_policies.sql"),
        ],
    },
    Source { number: 16, name: "due_since", sql: &[include_str!("../../../migrations/0016_due_since.sql")] },
    Source { number: 17, name: "sessions", sql: &[include_str!("../../../migrations/0017_sessions.sql")] },
    Source {
        number: 18,
        name: "secret_shapes",
        sql: &[include_str!("../../../migrations/0018_secret_shapes.sql")],
    },
    Source { number: 19, name: "functions", sql: &[include_str!("../../../migrations/0019_functions.sql")] },
    Source { number: 20, name: "blocked", sql: &[include_str!("../../../migrations/0020_blocked.sql")] },
    Source { number: 21, name: "settings", sql: &[include_str!("../../../migrations/0021_settings.sql")] },
    Source {
        number: 22,
        name: "event_batches",
        sql: &[
            include_str!("../../../migrations/0022_event_batches.sql"),
            include_str!("../../../migrations/0022_checks.sql"),
        ],
    },
];

/// Every function as it is now, whole. They are made anew behind the newest migration, so a change of one comes with a new migration, which
/// names their checksum: a database of that number has these functions, and no other.
const FUNCTIONS: &[&str] = &[
    include_str!("../../../functions/canonical.sql"),
    include_str!("../../../functions/secrets.sql"),
    include_str!("../../../functions/enqueue.sql"),
    include_str!("../../../functions/history.sql"),
    include_str!("../../../functions/owner.sql"),
    include_str!("../../../functions/rights.sql"),
];

/// The version this program's schema has.
pub fn latest() -> u32 {
    SOURCES.last().map_or(0, |source| source.number)
}

/// What would be applied to a schema at `version`, named `schema`.
pub fn after(version: u32, schema: &str) -> Vec<Migration> {
    let missing = SOURCES.iter().filter(|source| source.number > version);
    missing
        .map(|source| Migration { number: source.number, name: source.name, sql: text(source, schema) })
        .collect()
}

fn text(source: &Source, schema: &str) -> String {
    let functions = if source.number == latest() { FUNCTIONS } else { &[] };
    [source.sql, functions].concat().concat().replace("@schema@", schema)
}

#[cfg(test)]
mod tests;
