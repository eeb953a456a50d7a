//! `sprongus.toml`: the kinds that a worker executes, and what else a project declares.
//!
//! The file is checked whole when it is loaded, so that a mistake shows before any run starts. A fault names
//! file, line, column and key, and says what was expected: see [`DeclarationFault`].

mod artifacts;
mod environment;
mod fault;
mod kind;
mod node;
mod provider;
mod retention;
mod schedule;
mod schema;
mod server;
mod source;
mod step;
pub(crate) mod suggestion;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sprongus_core::schedule::Definition;
use sprongus_core::values::names::Kind;
use sprongus_core::values::names::ScheduleId;
use toml::de::DeTable;

pub use crate::secrets::names::SecretNames;
pub use artifacts::ArtifactsDeclaration;
pub use environment::{CommandEnvironment, EnvValue, Stdin};
pub use fault::{DeclarationFault, Position};
pub use kind::{BackoffDeclaration, KindDeclaration};
pub use provider::{Dialect, MaxTokensField, ProviderDeclaration};
pub use retention::RetentionDeclaration;
pub use schema::{JsonSchema, SchemaViolation};
pub use server::{RateLimitDeclaration, ServerDeclaration};
pub use step::{
    AiActionDeclaration, ArtifactDeclaration, CommandTemplate, GateDeclaration, Phase, StepAction,
    StepDeclaration,
};

use node::Fields;
use source::Source;

/// The name of the file.
pub const FILE_NAME: &str = "sprongus.toml";

const TOP_LEVEL: [&str; 7] =
    ["kinds", "schedules", "server", "artifacts", "providers", "worker", "retention"];

/// No limit in the file is longer: a longer one is a mistyped unit.
const LONGEST: Duration = Duration::from_secs(10 * 366 * 86_400);

/// A loaded and checked `sprongus.toml`.
#[derive(Debug)]
#[non_exhaustive]
pub struct Declaration {
    /// The path of `sprongus.toml`.
    pub path: PathBuf,
    /// The folder of the file: `project_dir` in templates.
    pub project_dir: PathBuf,
    /// The kinds by name.
    pub kinds: BTreeMap<String, KindDeclaration>,
    /// What is wrong with each of the others; empty unless it was loaded by [`Declaration::load_usable`].
    pub broken: BTreeMap<String, DeclarationFault>,
    /// The schedules by name; `sprongus apply` brings them to where they are kept.
    pub schedules: BTreeMap<ScheduleId, Definition>,
    /// How long finished runs are kept.
    pub retention: RetentionDeclaration,
    /// How a server behaves.
    pub server: ServerDeclaration,
    /// Where artifacts are kept.
    pub artifacts: ArtifactsDeclaration,
    /// `[worker]`, not checked here.
    pub worker: toml::Table,
    /// `[providers.<name>]`: the places that AI actions ask.
    pub providers: BTreeMap<String, ProviderDeclaration>,
}

impl Declaration {
    /// Reads and checks the file at `path`, and the schemas that it names.
    ///
    /// # Errors
    ///
    /// The first fault in the file.
    pub fn load(path: &Path) -> Result<Self, DeclarationFault> {
        let whole_file =
            |problem| DeclarationFault { path: path.to_owned(), position: None, key: None, problem };
        Self::parse(&source::read_text(path).map_err(whole_file)?, path)
    }

    /// The same for those who need a few of its kinds: a fault in one kind leaves the others usable.
    ///
    /// # Errors
    ///
    /// The first fault outside of the kinds.
    pub fn load_usable(path: &Path) -> Result<Self, DeclarationFault> {
        let whole_file =
            |problem| DeclarationFault { path: path.to_owned(), position: None, key: None, problem };
        Self::read(&source::read_text(path).map_err(whole_file)?, path, true)
    }

    /// The declared kind whose name is nearest to `name`, if it may be meant.
    pub fn kind_like(&self, name: &str) -> Option<&str> {
        suggestion::nearest(name, self.kinds.keys().map(String::as_str))
    }

    /// Checks a text as if it stood in the file at `path`.
    ///
    /// # Errors
    ///
    /// The first fault in the text.
    pub fn parse(text: &str, path: &Path) -> Result<Self, DeclarationFault> {
        Self::read(text, path, false)
    }

    fn read(text: &str, path: &Path, keeps_going: bool) -> Result<Self, DeclarationFault> {
        let source = Source { path, text };
        if text.len() as u64 > source::LARGEST_FILE {
            return Err(source.fault(0, None, "is larger than 1 MiB"));
        }
        let syntax = |error: &toml::de::Error| {
            source.fault(error.span().map_or(0, |s| s.start), None, error.message())
        };
        let document = DeTable::parse(text).map_err(|error| syntax(&error))?;
        let root = Fields::root(source, document.get_ref());
        root.only(&TOP_LEVEL)?;

        let project_dir = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        let providers = provider::read_all(&root)?;
        let (mut kinds, mut broken) = (BTreeMap::new(), BTreeMap::new());
        if let Some(node) = root.get("kinds") {
            let fields = node.fields("tables such as [kinds.\"script.pull\"]")?;
            for (name, node) in fields.entries() {
                kind_named(&fields, name)?;
                match kind::read(name, &node, &project_dir, &providers) {
                    Ok(kind) => {
                        kinds.insert(name.to_owned(), kind);
                    }
                    Err(fault) if keeps_going => {
                        broken.insert(name.to_owned(), fault);
                    }
                    Err(fault) => return Err(fault),
                }
            }
        }
        let schedules = schedule::read_all(&root)?;
        let worker = match root.get("worker") {
            Some(node) => {
                node.fields("a table")?;
                let mut raw: toml::Table = toml::from_str(text).map_err(|error| syntax(&error))?;
                raw.remove("worker").and_then(|value| value.as_table().cloned()).unwrap_or_default()
            }
            None => toml::Table::new(),
        };
        let (retention, server, artifacts) =
            (retention::read(&root)?, server::read(&root)?, artifacts::read(&root)?);
        Ok(Self {
            path: path.to_owned(),
            project_dir,
            kinds,
            broken,
            schedules,
            retention,
            server,
            artifacts,
            worker,
            providers,
        })
    }
}

impl Declaration {
    /// What is allowed, and likely to be a mistake, in the order of the kinds.
    pub fn warnings(&self) -> impl Iterator<Item = &DeclarationFault> {
        let steps = self.kinds.values().flat_map(|kind| &kind.steps);
        steps.filter_map(|step| step.action.command()).flat_map(CommandTemplate::warnings)
    }
}

/// The nearest `sprongus.toml`, in `from` or in a folder above it.
#[must_use]
pub fn find_upward(from: &Path) -> Option<PathBuf> {
    // A relative path runs out of parents at "", below folders that do exist.
    let from = std::path::absolute(from).ok()?;
    from.ancestors().map(|folder| folder.join(FILE_NAME)).find(|path| path.is_file())
}

/// The kind that a key names.
fn kind_named(fields: &Fields<'_, '_>, name: &str) -> Result<Kind, DeclarationFault> {
    let problem =
        "expected a kind name: 1 to 128 letters, digits and . _ / -, beginning with a letter or digit";
    name.parse().map_err(|_| fields.key_fault(name, problem))
}

#[cfg(test)]
mod tests;
