//! Where a command goes. No other module knows that there is a database, or where it lies.

pub mod artifacts;
pub mod credentials;
mod place;
pub mod scratch;

use std::sync::Arc;

use sprongus_core::run::artifact::KeptBytes;
use sprongus_core::schedules::Schedules;
use sprongus_core::store::{HealthProblem, Store};
use sprongus_core::values::names::WorkspaceId;
use sprongus_core::workspace::token::TokenSecret;
use sprongus_core::{Admin, Caller, Error, ErrorCode, Result, Runs, RunsService};
use sprongus_http::client::RunsClient;
use sprongus_postgres::Postgres;
use sprongus_sqlite::{Options, Sqlite};

pub use place::{Place, Target, Why, Wish, choose};

use crate::env::{Environment, Hidden};

/// What a command needs of the place it goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Runs that are there: a named file that is missing is a mistake.
    Existing,
    /// It may be the first command of all; the file is made.
    Creating,
    /// Likewise; and it stands for the whole database, so that `DATABASE_URL` counts too.
    Working,
    /// Likewise; and it needs the database itself, not a server in front of it.
    Serving,
}

/// The runs of one workspace, and what lies around them.
pub struct Connection {
    pub runs: Arc<dyn Runs>,
    /// The schedules.
    pub schedules: Arc<dyn Schedules>,
    /// Workspaces and tokens.
    pub admin: Arc<dyn Admin>,
    /// Where they are kept.
    pub place: Place,
    /// What answers.
    pub behind: Behind,
}

/// What answers a command.
pub enum Behind {
    /// A database that this process has opened.
    Service {
        /// The service that this process is.
        service: RunsService,
        /// Who asks it, and in which workspace.
        caller: Caller,
    },
    /// A server.
    Server(RunsClient),
}

/// A migration that was made, or is to be.
pub struct Migration {
    pub number: u32,
    pub name: String,
    /// What it does.
    pub sql: String,
}

impl Migration {
    fn new(number: u32, name: &str, sql: String) -> Self {
        Self { number, name: name.to_owned(), sql }
    }
}

/// Connects to the runs of `workspace`.
///
/// # Errors
/// `validation`, `not_found`, `unavailable` or `schema_mismatch`, each naming the database.
pub async fn connect(
    wish: &Wish,
    workspace: Option<&str>,
    around: &Environment,
    access: Access,
) -> Result<Connection> {
    let workspace: Option<WorkspaceId> = workspace.map(str::parse).transpose()?;
    let place = choose(wish, around, access)?;
    if let Target::Server(url) = &place.target {
        let client = client(url, workspace, around)?;
        let (runs, admin) = (Arc::new(client.clone()), Arc::new(client.clone()));
        let schedules = Arc::new(client.clone());
        return Ok(Connection { runs, schedules, admin, place, behind: Behind::Server(client) });
    }
    let workspace = workspace.unwrap_or_else(WorkspaceId::local);
    let store = open(&place, wish, around, access).await.map_err(|error| named(&place, error))?;
    if matches!(access, Access::Working | Access::Serving) {
        // Whoever executes runs will need it; it should hear of a mistake now.
        sprongus_artifacts::check_environment(&artifacts::choose(&place.target, around)?.place)?;
    }
    let service = artifacts::keep(RunsService::new(store), &place.target, around);
    if workspace != WorkspaceId::local() {
        let known = service.store().workspaces().await?;
        if !known.iter().any(|known| known.id == workspace) {
            return Err(Error::not_found(format_args!("workspace: {workspace}"))
                .with_hint(format!("create it with `sprongus workspaces create {workspace}`")));
        }
    }
    let caller = Caller::new(workspace, &around.user);
    let (runs, admin) = (service.for_caller(caller.clone()), service.admin(caller.clone()));
    let schedules = service.schedules(caller.clone());
    Ok(Connection { runs, schedules, admin, place, behind: Behind::Service { service, caller } })
}

/// The way to a server, with the token that is known for it.
///
/// # Errors
/// `unauthenticated` where none is known.
pub fn client(url: &str, workspace: Option<WorkspaceId>, around: &Environment) -> Result<RunsClient> {
    let token = match &around.token {
        Some(Hidden(token)) => TokenSecret::parse(token).map_err(|error| {
            error.with_hint("SPRONGUS_TOKEN is not a complete token; correct or unset it")
        })?,
        None => credentials::find(around, url)?.ok_or_else(|| {
            Error::new(ErrorCode::Unauthenticated, format!("no token for {url}"))
                .with_hint("run `sprongus login`, or set SPRONGUS_TOKEN")
        })?,
    };
    // Followers say that they ask again, and for how long they do is asked of the command (`follow/patience.rs`).
    let patience = Some(std::time::Duration::ZERO);
    let options =
        sprongus_http::client::Options { workspace, patience, ..sprongus_http::client::Options::default() };
    RunsClient::new(url, &token, &options)
}

async fn open(place: &Place, wish: &Wish, around: &Environment, access: Access) -> Result<Arc<dyn Store>> {
    match &place.target {
        Target::File(path) => {
            // A file that somebody named is not made, and not migrated either, by a command that expects runs in it.
            let is_expected = access == Access::Existing && place.is_named();
            let options = Options { create: !is_expected, migrate: !is_expected, ..Options::default() };
            Ok(Arc::new(Sqlite::open(path, options)?))
        }
        Target::Postgres(url) => {
            let options = sprongus_postgres::Options { listen: !wish.no_listen, ..postgres(around)? };
            Ok(Arc::new(Postgres::connect(url, options).await?))
        }
        Target::Server(_) => Err(Error::internal("a server is not a store")),
    }
}

/// How this process uses Postgres.
fn postgres(around: &Environment) -> Result<sprongus_postgres::Options> {
    let durability = match around.postgres_durability.as_deref() {
        None | Some("power_cut") => sprongus_postgres::Durability::PowerCut,
        Some("as_configured") => sprongus_postgres::Durability::AsConfigured,
        Some(_) => {
            let message = "SPRONGUS_POSTGRES_DURABILITY: expected power_cut or as_configured";
            return Err(Error::validation(message).with_hint("unset it, except on a test server"));
        }
    };
    Ok(sprongus_postgres::Options { durability, ..sprongus_postgres::Options::default() })
}

/// What `migrate` would do, or does; on Postgres it grants `role` what a server needs.
///
/// # Errors
/// As [`connect`]; `validation` for a role where there are none.
pub async fn migrate(
    wish: &Wish,
    around: &Environment,
    role: Option<&str>,
    dry_run: bool,
) -> Result<(Place, Vec<Migration>)> {
    let place = choose(wish, around, Access::Serving)?;
    let made = match &place.target {
        Target::Server(_) => return Err(Error::internal("cannot migrate through a server")),
        Target::File(_) if role.is_some() => {
            return Err(Error::validation("--role: a SQLite file has no roles")
                .with_hint("use a Postgres database with --db, or remove --role"));
        }
        Target::File(path) => {
            let made = if dry_run { sprongus_sqlite::pending(path) } else { sprongus_sqlite::migrate(path) };
            made.map(|made| {
                let each = made.into_iter();
                each.map(|one| Migration::new(one.number, one.name, one.sql.to_owned())).collect()
            })
        }
        Target::Postgres(url) => {
            let options = postgres(around)?;
            let made = match dry_run {
                true => sprongus_postgres::pending(url, &options).await,
                false => sprongus_postgres::migrate(url, &options, role).await,
            };
            made.map(|made| {
                made.into_iter().map(|one| Migration::new(one.number, one.name, one.sql)).collect()
            })
        }
    };
    let made: Vec<Migration> = made.map_err(|error| named(&place, error))?;
    Ok((place, made))
}

/// What is wrong with a database, and the bytes that its runs keep elsewhere; all of it is read, and nothing changed.
///
/// # Errors
/// As [`connect`]; `validation` for a server.
pub async fn inspect(place: &Place, around: &Environment) -> Result<(Vec<HealthProblem>, Vec<KeptBytes>)> {
    let found = match &place.target {
        Target::Server(_) => {
            return Err(Error::validation("cannot check integrity through a server")
                .with_hint("run it on the database's machine, with --db"));
        }
        Target::File(path) => sprongus_sqlite::inspect(path)
            .and_then(|problems| Ok((problems, sprongus_sqlite::kept_bytes(path)?))),
        Target::Postgres(url) => sprongus_postgres::inspect(url, &postgres(around)?).await,
    };
    found.map_err(|error| named(place, error))
}

/// The error with the database's name in it: the store does not know how the user came by it.
fn named(place: &Place, error: Error) -> Error {
    let path = place.target.to_string();
    if error.message().contains(&path) {
        return error;
    }
    Error::new(error.code(), format!("{}: {path}", error.message()))
        .with_hint(error.hint().to_owned())
        .with_source(error)
}

impl Connection {
    /// Whether a server stands in between.
    pub fn is_remote(&self) -> bool {
        matches!(self.behind, Behind::Server(_))
    }

    /// The service that this process itself is, and who asks it.
    ///
    /// # Errors
    /// `validation` where a server stands in between.
    pub fn service(&self) -> Result<(&RunsService, &Caller)> {
        match &self.behind {
            Behind::Service { service, caller } => Ok((service, caller)),
            Behind::Server(_) => Err(Error::validation("this needs the database itself, not a server")
                .with_hint("run it on the database's machine, with --db")),
        }
    }
}
