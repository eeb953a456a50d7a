//! Templates in the argv of a command, a prompt, a path: `{{ input.path }}`; and the conditions of steps, which are one
//! expression alone.
//!
//! A template renders to one argument and stays one, whatever it renders to: no shell ever reads it, so
//! quotes, newlines, `;` and `$(…)` are data. Names are `input`, `steps.<name>.output`, `run.id`,
//! `run.attempt`, `run.kind`, `run.epoch` and `project_dir`. A name that does not resolve is an error, never
//! an empty text.

mod condition;
mod context;
mod fault;
mod filters;
mod names;
mod segments;

use minijinja::{Error, ErrorKind, Expression};

pub use condition::Condition;
pub use context::{RunNames, TemplateContext};
pub use fault::TemplateFault;
pub use names::NamesUsed;
use segments::Segment;

/// The longest argument Linux takes: 128 KiB, less the NUL behind it.
pub const LARGEST_ELEMENT: usize = 128 * 1024 - 1;

/// A longer template is data in the wrong place.
const LARGEST_SOURCE: usize = 16 * 1024;

/// An expression longer than this is a program; the bound also keeps the engine's recursion within the stack.
const LARGEST_EXPRESSION: usize = 1024;

/// A compiled template.
#[derive(Debug)]
pub struct Template {
    source: String,
    parts: Vec<Part>,
    names: NamesUsed,
}

#[derive(Debug)]
enum Part {
    Text(String),
    Expression(Box<Compiled>),
}

struct Compiled {
    source: String,
    expression: Expression<'static, 'static>,
}

// The engine's own would print its whole environment.
impl std::fmt::Debug for Compiled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Compiled").field(&self.source).finish()
    }
}

impl Template {
    /// Compiles a text.
    ///
    /// # Errors
    ///
    /// A [`TemplateFault`] when the text is no template, has a NUL or an unknown filter, or is unreasonably
    /// long.
    pub fn compile(text: &str) -> Result<Self, TemplateFault> {
        if text.len() > LARGEST_SOURCE {
            return Err(TemplateFault::syntax(
                "longer than 16 KiB; put the data in a file or the run's input",
            ));
        }
        if text.contains('\0') {
            return Err(TemplateFault::Nul);
        }
        let mut parts = Vec::new();
        let mut names = NamesUsed::default();
        for segment in segments::segments(text)? {
            parts.push(match segment {
                Segment::Text(text) => Part::Text(text.to_owned()),
                Segment::Expression(source) => {
                    let compiled = Compiled::new(source)?;
                    compiled.collect_names(&mut names);
                    Part::Expression(Box::new(compiled))
                }
            });
        }
        Ok(Self { source: text.to_owned(), parts, names })
    }

    /// The text that was compiled.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The names used, for a check before any run exists.
    #[must_use]
    pub fn names_used(&self) -> &NamesUsed {
        &self.names
    }

    /// What the text looks like, with `filler` in the place of each expression.
    pub(crate) fn shape(&self, filler: &str) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Expression(_) => filler.to_owned(),
        };
        self.parts.iter().map(part).collect()
    }

    /// Renders the template to one argument.
    ///
    /// # Errors
    ///
    /// A [`TemplateFault`] that names what does not resolve or is not possible; none of them gets better by a
    /// retry.
    pub fn render(&self, context: &TemplateContext) -> Result<String, TemplateFault> {
        Ok(self.pieces(context)?.into_iter().map(Piece::into_text).collect())
    }

    /// Renders the template piece by piece, for where its text is in a syntax of its own, and a value must not be.
    ///
    /// # Errors
    ///
    /// As [`Template::render`].
    pub(crate) fn pieces(&self, context: &TemplateContext) -> Result<Vec<Piece>, TemplateFault> {
        let (mut pieces, mut length) = (Vec::with_capacity(self.parts.len()), 0);
        for part in &self.parts {
            let piece = match part {
                Part::Text(text) => Piece::Text(text.clone()),
                Part::Expression(compiled) => Piece::Value(compiled.render(context)?),
            };
            let (Piece::Text(text) | Piece::Value(text)) = &piece;
            length += text.len();
            if length > LARGEST_ELEMENT {
                return Err(TemplateFault::TooLarge);
            }
            if text.contains('\0') {
                return Err(TemplateFault::Nul);
            }
            pieces.push(piece);
        }
        Ok(pieces)
    }
}

/// A rendered part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// What its author wrote.
    Text(String),
    /// What an expression came to: data.
    Value(String),
}

impl Piece {
    fn into_text(self) -> String {
        match self {
            Self::Text(text) | Self::Value(text) => text,
        }
    }
}

impl Compiled {
    fn new(source: &str) -> Result<Self, TemplateFault> {
        if source.len() > LARGEST_EXPRESSION {
            return Err(TemplateFault::syntax("a `{{ … }}` is longer than 1 KiB; calculate in the command"));
        }
        let expression =
            filters::environment().compile_expression_owned(source.to_owned()).map_err(|error| {
                TemplateFault::syntax(format!("`{source}`: {}", error.detail().unwrap_or("invalid")))
            })?;
        Ok(Self { source: source.to_owned(), expression })
    }

    fn collect_names(&self, names: &mut NamesUsed) {
        for path in self.expression.undeclared_variables(true) {
            if let Some(step) = path.strip_prefix("steps.") {
                names.steps.insert(step.split('.').next().unwrap_or(step).to_owned());
            }
            names.paths.insert(path);
        }
        names.steps.extend(segments::subscripted_steps(&self.source).into_iter().map(str::to_owned));
    }

    fn render(&self, context: &TemplateContext) -> Result<String, TemplateFault> {
        let value = self.expression.eval(context.engine()).map_err(|error| self.fault(&error, context))?;
        if value.is_undefined() {
            return Err(self.unresolved(context));
        }
        if value.is_none() {
            return Err(TemplateFault::Null { expression: self.source.clone() });
        }
        filters::as_text(&value).map_err(|error| self.fault(&error, context))
    }

    fn fault(&self, error: &Error, context: &TemplateContext) -> TemplateFault {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "what the engine adds in a later version is told in its own words"
        )]
        let reason = match error.kind() {
            ErrorKind::UndefinedError => return self.unresolved(context),
            ErrorKind::WriteFailure => return TemplateFault::TooLarge,
            ErrorKind::UnknownFilter => format!("unknown filter, use one of: {}", filters::FILTERS),
            // The engine's detail of this kind quotes the operands, which are the run's input.
            ErrorKind::InvalidOperation => "these values do not allow this operation".to_owned(),
            kind => error.detail().map_or_else(|| kind.to_string(), |detail| format!("{kind}: {detail}")),
        };
        TemplateFault::Evaluation { expression: self.source.clone(), reason }
    }

    fn unresolved(&self, context: &TemplateContext) -> TemplateFault {
        let mut names = NamesUsed::default();
        self.collect_names(&mut names);
        let name = names.paths.iter().find_map(|path| context.missing_part(path));
        TemplateFault::Unresolved { name: name.unwrap_or(&self.source).to_owned() }
    }
}

#[cfg(test)]
mod tests;
