//! A step that keeps files of the work directory.

use super::Scope;
use crate::declaration::fault::DeclarationFault;
use crate::declaration::node::Fields;
use crate::template::Template;

const MOST_PATHS: usize = 100;

/// Which files a run keeps.
#[derive(Debug)]
pub struct ArtifactDeclaration {
    /// Paths and patterns, relative to the work directory. What a template makes of one is checked where it is rendered.
    pub paths: Vec<Template>,
}

pub(super) fn read(
    fields: &Fields<'_, '_>,
    scope: Scope<'_>,
) -> Result<ArtifactDeclaration, DeclarationFault> {
    let Some(node) = fields.get("paths") else {
        return Err(fields.fault("an artifact step needs `paths = [\"report.md\"]`"));
    };
    let items = node.items("an array such as [\"report.md\", \"out/*.json\"]")?;
    if items.is_empty() || items.len() > MOST_PATHS {
        return Err(node.fault(format!("expected 1 to {MOST_PATHS} paths, found {}", items.len())));
    }
    let mut paths = Vec::new();
    for item in &items {
        let path = scope.template(item)?;
        // Whatever an expression renders to is looked at when it is known.
        let shape = path.shape("x");
        if shape.is_empty() {
            return Err(item.fault("expected a path, found \"\""));
        }
        if shape.starts_with('/') {
            return Err(item.fault("expected a path inside the work directory, found an absolute one"));
        }
        if shape.split('/').any(|part| part == "..") {
            return Err(item.fault("expected a path inside the work directory, found one with `..`"));
        }
        paths.push(path);
    }
    Ok(ArtifactDeclaration { paths })
}
