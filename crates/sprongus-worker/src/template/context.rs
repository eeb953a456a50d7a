//! What the names in a template stand for.

use std::path::Path;

use minijinja::value::{Serde, Value as EngineValue};
use serde_json::{Map, Value, json};

/// Who the run is, as templates see it under `run`.
#[derive(Debug, Clone, Copy)]
pub struct RunNames<'a> {
    /// The run's id, as printed.
    pub id: &'a str,
    /// The run's kind.
    pub kind: &'a str,
    /// The attempt, from 1.
    pub attempt: u32,
    /// The epoch of the lease; with the id the key for effects outside.
    pub epoch: u64,
    /// The tick of the schedule that made it, as RFC 3339; none for any other run.
    pub scheduled_for: Option<&'a str>,
}

/// The values for one rendering, converted once for all elements of an argv.
#[derive(Debug, Clone)]
pub struct TemplateContext {
    json: Value,
    engine: EngineValue,
}

impl TemplateContext {
    /// Gathers the values. `steps` has every earlier step of the kind with its output; one that did not run,
    /// as may happen before a cleanup, is named with `None`, so that `steps.x.output | default("")` works
    /// there.
    #[must_use]
    pub fn new<'s>(
        run: RunNames<'_>,
        input: &Value,
        project_dir: &Path,
        steps: impl IntoIterator<Item = (&'s str, Option<&'s str>)>,
    ) -> Self {
        let step = |(name, output): (&str, Option<&str>)| {
            (name.to_owned(), output.map_or_else(|| json!({}), |output| json!({ "output": output })))
        };
        Self::from_json(json!({
            "input": input,
            "project_dir": project_dir.to_string_lossy(),
            "run": { "id": run.id, "kind": run.kind, "attempt": run.attempt, "epoch": run.epoch,
                "scheduled_for": run.scheduled_for },
            "steps": steps.into_iter().map(step).collect::<Map<_, _>>(),
        }))
    }

    /// Takes the values as they are.
    #[must_use]
    pub fn from_json(json: Value) -> Self {
        let engine = EngineValue::from(Serde(&json));
        Self { json, engine }
    }

    pub(crate) fn engine(&self) -> EngineValue {
        self.engine.clone()
    }

    /// The shortest beginning of a dotted path that leads nowhere.
    pub(crate) fn missing_part<'p>(&self, path: &'p str) -> Option<&'p str> {
        let mut value = &self.json;
        let mut end = 0;
        for part in path.split('.') {
            end += part.len() + usize::from(end > 0);
            match value.get(part) {
                Some(inner) => value = inner,
                None => return Some(&path[..end]),
            }
        }
        None
    }
}
