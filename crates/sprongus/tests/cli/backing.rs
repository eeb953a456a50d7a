//! What keeps a sandbox's runs: a file, or a database of its own on a server that the tests of this process share.

use sprongus::postgres;
use sprongus_throwaway::Database;

use crate::sandbox::block_on;

/// What keeps the runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backing {
    /// A file in the sandbox.
    File,
    /// A migrated database, as the role that a server has.
    Postgres,
}

/// A database that is migrated, and open to `sprongus_app`.
pub fn migrated() -> Database {
    Database::copy_of("template_of_sandboxes", |url| {
        let options = postgres::Options::default();
        block_on(postgres::migrate(url, &options, Some("sprongus_app"))).unwrap();
    })
}

/// Plays each session on a file and on a server: what is printed must not depend on it.
macro_rules! sessions {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[test]
            fn $name() {
                super::$name(crate::backing::Backing::File);
            })*
        }

        mod postgres {
            $(#[test]
            fn $name() {
                super::$name(crate::backing::Backing::Postgres);
            })*
        }
    };
}
pub(crate) use sessions;
