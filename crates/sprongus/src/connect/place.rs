//! Which database a command means: options before variables, variables before the project, the project before the user.

use std::fmt;
use std::path::{Path, PathBuf};

use sprongus_core::values::text::{excerpt, printable};
use sprongus_core::{Error, Result};

use super::Access;
use crate::env::Environment;
use crate::env::address::Address;
use crate::env::trust;

/// What the options say.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// `--db`.
    pub database: Option<Address>,
    /// `--remote`, with its URL or alone.
    pub remote: Option<Option<String>>,
    /// `--no-listen`.
    pub no_listen: bool,
}

/// Why a place was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// `--db` names it.
    Option,
    /// `--remote` names it, or asks for the server that is meant without a name.
    Remote,
    /// A variable names it.
    Variable(&'static str),
    /// It lies beside this `sprongus.toml`.
    Project(PathBuf),
    /// Nothing else is named: it is the user's.
    User,
}

impl fmt::Display for Why {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Option => out.write_str("from --db"),
            Self::Remote => out.write_str("from --remote"),
            Self::Variable(name) => write!(out, "from {name}"),
            Self::Project(path) => write!(out, "next to {}", path.display()),
            Self::User => out.write_str("user default; no sprongus.toml here or above"),
        }
    }
}

/// What keeps the runs.
#[derive(Clone, PartialEq, Eq)]
pub enum Target {
    /// SQLite, in this file.
    File(PathBuf),
    /// Postgres, at this URL; it may hold a password and is never shown.
    Postgres(String),
    /// Another machine's server, at this URL.
    Server(String),
}

impl fmt::Display for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(out, "{}", path.display()),
            Self::Postgres(url) => out.write_str(&sprongus_postgres::place(url)),
            Self::Server(url) => out.write_str(url),
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// A database, and why it is the one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub target: Target,
    /// Why this one.
    pub why: Why,
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{} ({})", self.target, self.why);
        out.write_str(&printable(&text))
    }
}

impl Place {
    /// Whether somebody named this very database, so that a missing one is a mistake.
    pub fn is_named(&self) -> bool {
        match self.why {
            Why::Option | Why::Remote | Why::Variable(_) => true,
            Why::Project(_) | Why::User => false,
        }
    }
}

/// Chooses.
///
/// # Errors
/// `validation`: what is named is no database this program knows; `forbidden`: it lies beside a `sprongus.toml` that another user could
/// have written.
pub fn choose(wish: &Wish, around: &Environment, access: Access) -> Result<Place> {
    if let Some(url) = &wish.remote {
        if access == Access::Serving {
            return Err(Error::validation("--remote: this command needs the database itself")
                .with_hint("name it with --db, on the machine that has it"));
        }
        return match (url, &around.api_url) {
            (Some(url), _) => Ok(Place { target: server(url, "--remote")?, why: Why::Remote }),
            (None, Some(url)) => {
                let name = "SPRONGUS_API_URL";
                Ok(Place { target: server(url, name)?, why: Why::Variable(name) })
            }
            (None, None) => Ok(Place { target: server(DEFAULT_SERVER, "--remote")?, why: Why::Remote }),
        };
    }
    if let Some(database) = &wish.database {
        return Ok(Place { target: target(database, "--db")?, why: Why::Option });
    }
    // A server is not reached by way of a server.
    if let Some(url) = &around.api_url
        && access != Access::Serving
    {
        let name = "SPRONGUS_API_URL";
        return Ok(Place { target: server(url, name)?, why: Why::Variable(name) });
    }
    if let Some(database) = &around.database_url {
        let name = "SPRONGUS_DATABASE_URL";
        return Ok(Place { target: target(database, name)?, why: Why::Variable(name) });
    }
    if let Some(database) = &around.other_database_url
        && matches!(access, Access::Working | Access::Serving)
    {
        let name = "DATABASE_URL";
        return Ok(Place { target: target(database, name)?, why: Why::Variable(name) });
    }
    // Where its worker keeps its runs, a command is not told; in any other file nobody would look for them.
    if around.run.is_some() {
        return Err(Error::validation("inside a run there is no default database").with_hint(
            "use `sprongus runs enqueue --child` to enqueue through this run's worker, or set --db, --remote, SPRONGUS_DATABASE_URL or SPRONGUS_API_URL",
        ));
    }
    if let Some(declaration) = trust::project(around)? {
        let folder = declaration.parent().unwrap_or(Path::new("."));
        return Ok(Place {
            target: Target::File(folder.join(trust::PROJECT_DATA).join("runs.db")),
            why: Why::Project(declaration),
        });
    }
    let data = around.data_folder.as_ref().ok_or_else(|| {
        Error::validation("no home folder to store runs in").with_hint("use a file with --db")
    })?;
    Ok(Place { target: Target::File(data.join("sprongus/runs.db")), why: Why::User })
}

/// The server that `--remote` alone means, where no variable names one.
const DEFAULT_SERVER: &str = "http://localhost:3000";

/// The server that a URL names: scheme, host and port, and a path if it stands below one. The URL is not repeated when it is
/// refused: it may hold a password.
fn server(url: &str, named_by: &str) -> Result<Target> {
    let refused = |why: &str| {
        Err(Error::validation(format!("{named_by}: {why}"))
            .with_hint("use http://HOST:PORT or https://HOST, such as http://localhost:3000"))
    };
    let Some((scheme, rest)) = url.split_once("://") else { return refused("expected a server URL") };
    let scheme = scheme.to_ascii_lowercase();
    if !["http", "https"].contains(&scheme.as_str()) {
        return refused("expected a URL that begins with http:// or https://");
    }
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    if host.is_empty()
        || rest.contains(['@', '?', '#', '\\'])
        || rest.chars().any(|c| c.is_whitespace() || c.is_control())
    {
        return refused("expected a host, optionally followed by a path");
    }
    let path = path.trim_end_matches('/');
    let path = if path.is_empty() { String::new() } else { format!("/{path}") };
    Ok(Target::Server(format!("{scheme}://{}{path}", host.to_ascii_lowercase())))
}

/// What names a database.
const NAMES: &str =
    "use a SQLite file (a path, or sqlite:PATH) or a Postgres database (postgres://user@host/database)";

/// How the words of a libpq connection string begin.
const CONNECTION_WORDS: [&str; 5] = ["host=", "hostaddr=", "dbname=", "user=", "password="];

/// The database that a path or a URL names.
fn target(Address(text): &Address, named_by: &str) -> Result<Target> {
    let refused = |why: &str| Err(Error::validation(format!("{named_by}: {why}")).with_hint(NAMES));
    // Taken for a path it would become a file's name, password and all.
    if text.split_whitespace().any(|word| CONNECTION_WORDS.iter().any(|begin| word.starts_with(begin))) {
        return refused("expected a URL, found a key=value connection string");
    }
    let scheme = text.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
    match scheme.as_deref() {
        // The URL itself is not repeated: it may hold a password.
        Some("postgres" | "postgresql") => match sprongus_postgres::check_url(text) {
            Ok(()) => Ok(Target::Postgres(text.to_owned())),
            Err(error) => refused(error.message()),
        },
        Some("http" | "https") => refused("a server URL is not a database"),
        Some("sqlite") => {
            let rest = &text["sqlite:".len()..];
            path(rest.strip_prefix("//").unwrap_or(rest), named_by).map(Target::File)
        }
        Some(other) if text[other.len()..].starts_with("://") => {
            refused(&format!("unsupported database: {}://…", excerpt(other, 32)))
        }
        Some(_) | None => path(text, named_by).map(Target::File),
    }
}

fn path(text: &str, named_by: &str) -> Result<PathBuf> {
    let fault = |why: &str| Error::validation(format!("{named_by}: {why}")).with_hint(NAMES);
    if text.is_empty() {
        return Err(fault("expected a file path, found nothing"));
    }
    if text.starts_with(":memory:") {
        return Err(fault("an in-memory database would be lost when the command ends"));
    }
    if text.contains('\0') {
        return Err(fault("a path cannot contain NUL"));
    }
    Ok(PathBuf::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::InsideRun;

    fn around() -> Environment {
        Environment {
            folder: PathBuf::from("/nowhere/at/all"),
            data_folder: Some(PathBuf::from("/home/ada/.local/share")),
            ..Environment::default()
        }
    }

    fn address(text: &str) -> Option<Address> {
        Some(Address(text.to_owned()))
    }

    fn chosen(wish: &Wish, around: &Environment, access: Access) -> (String, Why) {
        let place = choose(wish, around, access).unwrap();
        (place.target.to_string(), place.why)
    }

    #[test]
    fn options_go_before_variables_and_those_before_the_user() {
        let mut around = around();
        let nothing = Wish::default();
        let user = "/home/ada/.local/share/sprongus/runs.db".to_owned();
        assert_eq!(chosen(&nothing, &around, Access::Existing), (user.clone(), Why::User));

        around.other_database_url = address("sqlite:theirs.db");
        assert_eq!(chosen(&nothing, &around, Access::Creating), (user, Why::User));
        let theirs = ("theirs.db".to_owned(), Why::Variable("DATABASE_URL"));
        assert_eq!(chosen(&nothing, &around, Access::Serving), theirs);

        around.database_url = address("ours.db");
        let ours = ("ours.db".to_owned(), Why::Variable("SPRONGUS_DATABASE_URL"));
        assert_eq!(chosen(&nothing, &around, Access::Serving), ours);

        around.api_url = Some("http://Team:3000/".to_owned());
        let team = ("http://team:3000".to_owned(), Why::Variable("SPRONGUS_API_URL"));
        assert_eq!(
            chosen(&nothing, &around, Access::Existing),
            team,
            "a server goes before a variable's file"
        );
        let ours = ("ours.db".to_owned(), Why::Variable("SPRONGUS_DATABASE_URL"));
        assert_eq!(
            chosen(&nothing, &around, Access::Serving),
            ours,
            "but a server has a database of its own"
        );
        let alone = Wish { remote: Some(None), ..Wish::default() };
        assert_eq!(chosen(&alone, &around, Access::Working), team);
        let here = Wish { remote: Some(Some("http://127.0.0.1:4000".to_owned())), ..Wish::default() };
        assert_eq!(
            chosen(&here, &around, Access::Working),
            ("http://127.0.0.1:4000".to_owned(), Why::Remote)
        );
        assert!(choose(&here, &around, Access::Serving).is_err());
        let wish = Wish { database: address("mine.db"), ..Wish::default() };
        assert_eq!(chosen(&wish, &around, Access::Existing), ("mine.db".to_owned(), Why::Option));
    }

    #[test]
    fn inside_a_run_only_what_is_named_is_chosen() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("sprongus.toml"), "").unwrap();
        let mut around = Environment { folder: folder.path().to_owned(), ..around() };
        around.run = Some(InsideRun::default());
        for access in [Access::Creating, Access::Existing, Access::Working] {
            let refused = choose(&Wish::default(), &around, access).unwrap_err();
            assert_eq!(refused.code(), sprongus_core::ErrorCode::Validation);
            assert!(
                refused.hint().contains("--child") && refused.hint().contains("--db"),
                "{}",
                refused.hint()
            );
        }
        let wish = Wish { database: address("mine.db"), ..Wish::default() };
        assert_eq!(chosen(&wish, &around, Access::Creating), ("mine.db".to_owned(), Why::Option));
        around.database_url = address("ours.db");
        let named = ("ours.db".to_owned(), Why::Variable("SPRONGUS_DATABASE_URL"));
        assert_eq!(chosen(&Wish::default(), &around, Access::Creating), named);
    }

    #[test]
    fn a_project_has_its_own_file() {
        let folder = tempfile::tempdir().unwrap();
        let declaration = folder.path().join("sprongus.toml");
        std::fs::write(&declaration, "").unwrap();
        let below = folder.path().join("a/b");
        std::fs::create_dir_all(&below).unwrap();
        let around = Environment { folder: below, ..around() };
        let place = choose(&Wish::default(), &around, Access::Existing).unwrap();
        assert_eq!(place.target, Target::File(folder.path().join(".sprongus/runs.db")));
        assert_eq!(place.why, Why::Project(declaration));
        assert!(!place.is_named());
    }

    #[test]
    fn a_server_is_a_url_without_secrets() {
        let read = |url: &str| server(url, "--remote").map(|target| target.to_string());
        assert_eq!(read("HTTPS://Runs.Example/team/").unwrap(), "https://runs.example/team");
        for bad in [
            "",
            "localhost:3000",
            "ftp://h",
            "http://",
            "http://u:hunter2@h",
            "http://h?token=hunter2",
            "http://h\n",
        ] {
            let error = read(bad).unwrap_err();
            assert!(!format!("{error:?} {}", error.hint()).contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn urls_are_read_and_passwords_are_not_repeated() {
        for (text, path) in [
            ("sqlite:a.db", "a.db"),
            ("sqlite://a.db", "a.db"),
            ("sqlite:///tmp/a.db", "/tmp/a.db"),
            ("SQLite:/tmp/a.db", "/tmp/a.db"),
            ("odd:name.db", "odd:name.db"),
        ] {
            let found = target(&Address(text.to_owned()), "--db").unwrap();
            assert_eq!(found, Target::File(PathBuf::from(path)), "{text}");
        }
        let url = "postgres://u:hunter2@h:5433/d?password=hunter2";
        let found = target(&Address(url.to_owned()), "--db").unwrap();
        assert_eq!(found, Target::Postgres(url.to_owned()));
        assert_eq!(format!("{found} {found:?}"), "postgres h:5433/d postgres h:5433/d");
        for bad in [
            "",
            "sqlite:",
            ":memory:",
            "mysql://u:hunter2@h/d",
            "postgres://u:hunter2@h:port/d",
            "postgres://u:p@hunter2@h/d",
            "postgres://h/d?user=u&password=hunter2@",
            "host=h dbname=d password=hunter2",
            "http://h",
        ] {
            let error = target(&Address(bad.to_owned()), "--db").unwrap_err();
            let seen = format!("{error} {error:?} {} {:?}", error.hint(), Address(bad.to_owned()));
            assert!(!seen.contains("hunter2"), "{seen}");
        }
    }
}
