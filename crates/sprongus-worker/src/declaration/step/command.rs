//! A step that runs a program: its argv.

use super::Scope;
use crate::declaration::fault::DeclarationFault;
use crate::declaration::node::{Fields, Node};
use crate::template::{Template, TemplateContext, TemplateFault};

const MOST_ELEMENTS: usize = 1000;

/// An argv whose elements are templates; it has at least the program.
#[derive(Debug)]
pub struct CommandTemplate(Vec<Template>);

impl CommandTemplate {
    /// The elements, the program first.
    #[must_use]
    pub fn elements(&self) -> &[Template] {
        &self.0
    }

    /// Renders the argv; each element stays one.
    ///
    /// # Errors
    ///
    /// The first element's fault; the program must not render to nothing.
    pub fn render(&self, context: &TemplateContext) -> Result<Vec<String>, TemplateFault> {
        let argv = self.0.iter().map(|template| template.render(context)).collect::<Result<Vec<_>, _>>()?;
        match argv.first() {
            Some(program) if !program.is_empty() => Ok(argv),
            _ => Err(TemplateFault::Evaluation {
                expression: self.0.first().map_or("", Template::source).to_owned(),
                reason: "the name of the program is empty".to_owned(),
            }),
        }
    }
}

pub(super) fn read(fields: &Fields<'_, '_>, scope: Scope<'_>) -> Result<CommandTemplate, DeclarationFault> {
    match fields.get("run") {
        Some(run) => argv(&run, scope),
        None => Err(fields.fault("a command step needs `run = [\"program\", \"argument\"]`")),
    }
}

pub(super) fn argv(node: &Node<'_, '_>, scope: Scope<'_>) -> Result<CommandTemplate, DeclarationFault> {
    let items = node.items(
        "an array such as [\"program\", \"argument\"]: no shell reads it, so each argument is apart",
    )?;
    if items.is_empty() || items.len() > MOST_ELEMENTS {
        return Err(node.fault(format!("expected the program and at most {MOST_ELEMENTS} elements")));
    }
    let mut templates = Vec::new();
    for (index, item) in items.iter().enumerate() {
        if index == 0 && item.text("a text")?.is_empty() {
            return Err(item.fault("expected a program, found \"\""));
        }
        templates.push(scope.template(item)?);
    }
    Ok(CommandTemplate(templates))
}
