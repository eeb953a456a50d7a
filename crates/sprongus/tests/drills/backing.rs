//! Where the runs of a drill are: in a file, or on a server. What holds must hold in both.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use sprongus::core::store::Store;
use sprongus::postgres::{self, Postgres};
use sprongus::sqlite::{self, Sqlite};
use sprongus_throwaway::{Database, Server};

use crate::tempo::block_on;

const URL: &str = "SPRONGUS_DATABASE_URL";
const DURABILITY: &str = "SPRONGUS_POSTGRES_DURABILITY";

/// What keeps the runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backing {
    File,
    Postgres,
}

/// Where they are.
#[derive(Clone, Debug)]
pub enum Place {
    File {
        path: PathBuf,
        durability: sqlite::Durability,
    },
    /// A database, its name on its server, and the URL for the role that works with it.
    Postgres {
        url: String,
        owner: String,
        durability: postgres::Durability,
        kept: Option<Arc<Database>>,
    },
}

/// Makes the schema, and opens it to the role of servers.
pub fn migrate(owner: &str) {
    block_on(postgres::migrate(owner, &postgres::Options::default(), Some("sprongus_app"))).unwrap();
}

impl Place {
    /// A file, as it is opened when nothing else is said.
    pub fn file(path: PathBuf) -> Self {
        Self::File { path, durability: sqlite::Durability::PowerCut }
    }

    /// A database of its own on the server that the drills share. It forces nothing to the disk.
    pub fn shared() -> Self {
        let database = Database::copy_of("template_of_drills", migrate);
        Self::Postgres {
            url: database.url("sprongus_app"),
            owner: database.url("postgres"),
            durability: postgres::Durability::AsConfigured,
            kept: Some(Arc::new(database)),
        }
    }

    /// A new database on a server of the drill's own.
    pub fn on(server: &Server, durability: postgres::Durability) -> Self {
        server.create_database("runs", None).unwrap();
        migrate(&server.url("runs", "sprongus_owner"));
        let (url, owner) = (server.url("runs", "sprongus_app"), server.url("runs", "postgres"));
        Self::Postgres { url, owner, durability, kept: None }
    }

    /// The same database on either of two servers, whichever takes writes.
    pub fn or_else(self, other: &Server) -> Self {
        let either = |first: &str, role: &str| {
            let host = |url: &str| url.split(['@', '/']).nth(3).unwrap().to_owned();
            let hosts = [host(first), host(&other.url("runs", role))].join(",");
            format!("postgres://{role}@{hosts}/runs?target_session_attrs=read-write")
        };
        match self {
            Self::File { .. } => self,
            Self::Postgres { url, owner, durability, kept } => {
                let (url, owner) = (either(&url, "sprongus_app"), either(&owner, "postgres"));
                Self::Postgres { url, owner, durability, kept }
            }
        }
    }

    /// What tells a process of it.
    pub fn variables(&self) -> Vec<(&'static str, OsString)> {
        match self {
            Self::File { path, .. } => vec![(URL, path.into())],
            Self::Postgres { url, durability, .. } => {
                let weak = (*durability == postgres::Durability::AsConfigured)
                    .then(|| (DURABILITY, OsString::from("as_configured")));
                weak.into_iter().chain([(URL, url.into())]).collect()
            }
        }
    }

    /// Whether it is the control among files.
    pub fn is_weak_file(&self) -> bool {
        matches!(self, Self::File { durability: sqlite::Durability::ProcessCrash, .. })
    }

    /// What [`Place::variables`] told this process.
    pub fn of_this_process(is_weak_file: bool) -> Self {
        let url = std::env::var(URL).unwrap();
        if !url.starts_with("postgres:") {
            let weak = sqlite::Durability::ProcessCrash;
            let durability = if is_weak_file { weak } else { sqlite::Durability::PowerCut };
            return Self::File { path: url.into(), durability };
        }
        let is_weak = std::env::var_os(DURABILITY).is_some();
        let weak = postgres::Durability::AsConfigured;
        let durability = if is_weak { weak } else { postgres::Durability::PowerCut };
        Self::Postgres { owner: url.clone(), url, durability, kept: None }
    }

    /// The store, for a caller of the library. Its connections live in the runtime that first uses it.
    pub fn open(&self) -> Arc<dyn Store> {
        match self {
            Self::File { path, durability } => {
                let options = sqlite::Options { durability: *durability, ..sqlite::Options::default() };
                Arc::new(Sqlite::open(path, options).unwrap())
            }
            Self::Postgres { url, durability, .. } => {
                let options = postgres::Options { durability: *durability, ..postgres::Options::default() };
                Arc::new(block_on(Postgres::connect(url, options)).unwrap())
            }
        }
    }
}

/// Plays each drill on a file and on a server.
macro_rules! on_both {
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
pub(crate) use on_both;
