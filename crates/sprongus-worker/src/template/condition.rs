//! Whether a step runs: an expression over the names that templates have.

use super::segments::{Segment, segments};
use super::{Compiled, NamesUsed, TemplateContext, TemplateFault};

/// A compiled condition, the value of a step's `if`.
#[derive(Debug)]
pub struct Condition {
    compiled: Compiled,
    names: NamesUsed,
}

impl Condition {
    /// Compiles an expression such as `input.deploy == "yes"`, written without `{{ }}`.
    ///
    /// # Errors
    ///
    /// A [`TemplateFault`] when the text is no expression, or one that templates may not hold either.
    pub fn compile(text: &str) -> Result<Self, TemplateFault> {
        if text.contains("{{") || text.contains("{%") {
            return Err(TemplateFault::syntax("a condition is a bare expression, without `{{ }}`"));
        }
        if text.contains('\0') {
            return Err(TemplateFault::Nul);
        }
        // Cut like a template's, so that what is refused there is refused here.
        let whole = format!("{{{{ {text} }}}}");
        let segments = segments(&whole)?;
        let [Segment::Expression(source)] = segments.as_slice() else {
            return Err(TemplateFault::syntax("a condition is one expression"));
        };
        let compiled = Compiled::new(source)?;
        let mut names = NamesUsed::default();
        compiled.collect_names(&mut names);
        Ok(Self { compiled, names })
    }

    /// The names used, for a check before any run exists.
    #[must_use]
    pub fn names_used(&self) -> &NamesUsed {
        &self.names
    }

    /// Whether it holds: `false`, `null`, 0 and what is empty do not.
    ///
    /// # Errors
    ///
    /// A [`TemplateFault`] that names what does not resolve or is not possible.
    pub fn holds(&self, context: &TemplateContext) -> Result<bool, TemplateFault> {
        let value = self.compiled.expression.eval(context.engine());
        let value = value.map_err(|error| self.compiled.fault(&error, context))?;
        if value.is_undefined() {
            return Err(self.compiled.unresolved(context));
        }
        Ok(value.is_true())
    }
}
