//! Where the bytes of artifacts are kept: a variable before the project, the project before what lies beside the runs.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use sprongus_artifacts::Place;
use sprongus_core::run::artifact::{Blobs, ByteStream, MAX_ARTIFACT_BYTES};
use sprongus_core::{Error, Result, RunsService};
use sprongus_worker::declaration::ArtifactsDeclaration;

use super::place::Target;
use crate::env::trust;
use crate::env::{Environment, Hidden};

/// The variable that names a place.
const VARIABLE: &str = "SPRONGUS_ARTIFACTS";

/// A place for artifacts, why it is the one, and how large they may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keeping {
    pub place: Place,
    /// The largest, in bytes.
    pub max_bytes: u64,
    /// Why there.
    pub why: Why,
}

/// Why a place was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The variable names it.
    Variable,
    /// This `sprongus.toml` names it.
    Declared(PathBuf),
    /// It lies beside the file that holds the runs.
    Database,
    /// It lies beside this `sprongus.toml`; the runs are on a server.
    Project(PathBuf),
    /// It is the user's; the runs are on a server, and there is no `sprongus.toml`.
    User,
}

impl fmt::Display for Why {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable => write!(out, "from {VARIABLE}"),
            Self::Declared(path) => write!(out, "from {}", path.display()),
            Self::Database => out.write_str("next to the database"),
            Self::Project(path) => write!(out, "next to {}", path.display()),
            Self::User => out.write_str("user default; no sprongus.toml here or above"),
        }
    }
}

/// Chooses for the runs in `target`.
///
/// # Errors
/// `validation`: what is named is no place this program knows, or `[artifacts]` cannot be read.
pub fn choose(target: &Target, around: &Environment) -> Result<Keeping> {
    let project = trust::project(around)?;
    let declared = project.as_deref().map(ArtifactsDeclaration::load).transpose().map_err(|fault| {
        Error::validation(fault.to_string()).with_hint("fix the file; check it with `sprongus doctor`")
    })?;
    let declared = declared.unwrap_or_default();
    let keeping =
        |place, why| Keeping { place, why, max_bytes: declared.max_size.unwrap_or(MAX_ARTIFACT_BYTES) };
    if let Some(Hidden(text)) = &around.artifacts {
        return Ok(keeping(named(text, &around.folder, VARIABLE)?, Why::Variable));
    }
    if let (Some(text), Some(path)) = (&declared.url, &project) {
        let by = format!("[artifacts] url in {}", path.display());
        return Ok(keeping(named(text, folder_of(path), &by)?, Why::Declared(path.clone())));
    }
    match (target, project) {
        (Target::File(path), _) => {
            let folder = around.folder.join(path).parent().map(|folder| folder.join("artifacts"));
            Ok(keeping(
                Place::Folder(folder.unwrap_or_else(|| around.folder.join("artifacts"))),
                Why::Database,
            ))
        }
        (Target::Postgres(_) | Target::Server(_), Some(path)) => {
            Ok(keeping(Place::Folder(folder_of(&path).join(".sprongus/artifacts")), Why::Project(path)))
        }
        (Target::Postgres(_) | Target::Server(_), None) => {
            let data = around.data_folder.as_ref().ok_or_else(|| {
                Error::validation("no home folder to store artifacts in").with_hint(format!("set {VARIABLE}"))
            })?;
            Ok(keeping(Place::Folder(data.join("sprongus/artifacts")), Why::User))
        }
    }
}

/// The error names what holds the text and not the text: somebody may have written a password into it.
fn named(text: &str, base: &Path, by: &str) -> Result<Place> {
    Place::parse(text, base).map_err(|error| {
        Error::validation(format!("{by}: {}", error.message())).with_hint(error.hint().to_owned())
    })
}

fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}

/// The service with its place for artifacts. What is wrong with the place is told when an artifact is asked for: whoever looks at
/// a run's state needs none.
pub fn keep(service: RunsService, target: &Target, around: &Environment) -> RunsService {
    match choose(target, around) {
        Ok(keeping) => service.with_blobs(sprongus_artifacts::open(&keeping.place), keeping.max_bytes),
        Err(error) => service.with_blobs(Arc::new(Nowhere(error)), MAX_ARTIFACT_BYTES),
    }
}

/// No place, and why.
struct Nowhere(Error);

impl Nowhere {
    fn refuse<T>(&self) -> Result<T> {
        Err(Error::new(self.0.code(), self.0.message()).with_hint(self.0.hint().to_owned()))
    }
}

#[async_trait]
impl Blobs for Nowhere {
    async fn put(&self, _: &str, _: ByteStream) -> Result<()> {
        self.refuse()
    }

    async fn get(&self, _: &str, _: Range<u64>) -> Result<ByteStream> {
        self.refuse()
    }

    async fn delete(&self, _: &str) -> Result<()> {
        self.refuse()
    }

    fn place(&self) -> String {
        "nowhere".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> Target {
        Target::File(PathBuf::from("data/runs.db"))
    }

    fn server() -> Target {
        Target::Postgres("postgres://h/d".to_owned())
    }

    fn chosen(target: &Target, around: &Environment) -> (String, Why, u64) {
        let keeping = choose(target, around).unwrap();
        (keeping.place.to_string(), keeping.why, keeping.max_bytes)
    }

    #[test]
    fn artifacts_lie_beside_the_runs_unless_somebody_says_otherwise() {
        let outside = Environment {
            folder: PathBuf::from("/nowhere/at/all"),
            data_folder: Some(PathBuf::from("/home/ada/.local/share")),
            ..Environment::default()
        };
        let gib = 1 << 30;
        let beside = "/nowhere/at/all/data/artifacts".to_owned();
        assert_eq!(chosen(&file(), &outside), (beside, Why::Database, gib));
        let users = "/home/ada/.local/share/sprongus/artifacts".to_owned();
        assert_eq!(chosen(&server(), &outside), (users, Why::User, gib));

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sprongus.toml");
        let below = folder.path().join("a/b");
        std::fs::create_dir_all(&below).unwrap();
        let mut inside = Environment { folder: below, ..outside };
        let at = |inside: &str| folder.path().join(inside).display().to_string();
        std::fs::write(&path, "[artifacts]\nmax_size = \"1kB\"\n").unwrap();
        assert_eq!(chosen(&file(), &inside), (at("a/b/data/artifacts"), Why::Database, 1_000));
        assert_eq!(
            chosen(&server(), &inside),
            (at(".sprongus/artifacts"), Why::Project(path.clone()), 1_000)
        );

        std::fs::write(&path, "[artifacts]\nurl = \"kept\"\n").unwrap();
        for target in [file(), server()] {
            assert_eq!(chosen(&target, &inside), (at("kept"), Why::Declared(path.clone()), gib));
        }
        inside.artifacts = Some(Hidden("s3://ours/runs".to_owned()));
        assert_eq!(chosen(&file(), &inside), ("s3://ours/runs".to_owned(), Why::Variable, gib));
        inside.artifacts = Some(Hidden("here".to_owned()));
        assert_eq!(chosen(&file(), &inside), (at("a/b/here"), Why::Variable, gib));
    }

    #[test]
    fn a_place_that_is_none_names_who_named_it_and_tells_no_password() {
        let folder = tempfile::tempdir().unwrap();
        let mut around = Environment { folder: folder.path().to_owned(), ..Environment::default() };
        std::fs::write(folder.path().join("sprongus.toml"), "[artifacts]\nurl = \"ftp://u:hunter2@h\"\n")
            .unwrap();
        let error = choose(&file(), &around).unwrap_err();
        assert!(error.message().contains("sprongus.toml"), "{error}");
        assert!(!format!("{error:?} {}", error.hint()).contains("hunter2"), "{error:?}");
        around.artifacts = Some(Hidden("s3://u:hunter2@h".to_owned()));
        let error = choose(&file(), &around).unwrap_err();
        assert!(error.message().starts_with("SPRONGUS_ARTIFACTS: "), "{error}");
        assert!(
            !format!("{error:?} {} {around:?}", error.hint()).contains("hunter2"),
            "{error:?} {around:?}"
        );
    }
}
