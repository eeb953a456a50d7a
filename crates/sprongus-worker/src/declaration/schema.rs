//! The JSON Schemas that a kind's input and a model's answer have to meet.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use jsonschema::PatternOptions;
use serde_json::Value;

use super::fault::DeclarationFault;
use super::node::Node;
use super::source::read_text;

/// More violations than this help nobody, and an input may have as many as it has elements.
const MOST_VIOLATIONS: usize = 20;

/// A compiled schema, read from the file that `input_schema`, or a step's `schema`, names.
///
/// Patterns run on an engine without backtracking, so that no value can make one slow, and a `$ref` that
/// leaves the file is refused when the schema is compiled: nothing is fetched.
#[derive(Clone)]
pub struct JsonSchema {
    path: PathBuf,
    document: Value,
    validator: jsonschema::Validator,
}

/// One reason why a value does not meet its schema. Never holds the value's own parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaViolation {
    /// Where in the value, as a JSON pointer; empty for the value as a whole.
    pub pointer: String,
    /// What the schema expects there.
    pub message: String,
}

impl fmt::Display for SchemaViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = if self.pointer.is_empty() { "/" } else { &self.pointer };
        write!(f, "{at}: {}", self.message)
    }
}

impl JsonSchema {
    /// Loads the schema at `relative`, seen from the folder of `sprongus.toml`; a failure is a sentence.
    fn load(folder: &Path, relative: &str) -> Result<Self, String> {
        let relative = Path::new(relative);
        let relative_only =
            |part| matches!(part, Component::Normal(_) | Component::CurDir | Component::ParentDir);
        if relative.as_os_str().is_empty() || !relative.components().all(relative_only) {
            return Err("expected a path relative to the folder of sprongus.toml".to_owned());
        }
        let path = folder.join(relative);
        let named = |problem: String| format!("{} {problem}", relative.display());
        let text = read_text(&path).map_err(named)?;
        let schema: Value = serde_json::from_str(&text).map_err(|e| named(format!("is not JSON: {e}")))?;
        let validator = jsonschema::options()
            .with_pattern_options(PatternOptions::regex())
            .offline()
            .build(&schema)
            .map_err(|e| named(format!("is not a usable JSON Schema: {e}")))?;
        Ok(Self { path, document: schema, validator })
    }

    /// The schema's file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The schema itself.
    #[must_use]
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// Checks a value.
    ///
    /// # Errors
    ///
    /// The first violations found, at most twenty.
    pub fn check(&self, value: &Value) -> Result<(), Vec<SchemaViolation>> {
        let violations: Vec<_> = self
            .validator
            .iter_errors(value)
            .take(MOST_VIOLATIONS)
            .map(|error| SchemaViolation {
                pointer: error.instance_path().to_string(),
                // Masked: the message goes into the run's error, and values may hold what must not be shown
                // there.
                message: error.masked().to_string(),
            })
            .collect();
        if violations.is_empty() { Ok(()) } else { Err(violations) }
    }
}

/// The schema whose path stands at `node`.
pub(super) fn read(node: &Node<'_, '_>, folder: &Path) -> Result<JsonSchema, DeclarationFault> {
    let path = node.text("the path of a JSON Schema, relative to sprongus.toml")?;
    JsonSchema::load(folder, path).map_err(|problem| node.fault(problem))
}

impl fmt::Debug for JsonSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonSchema").field("path", &self.path).finish_non_exhaustive()
    }
}
