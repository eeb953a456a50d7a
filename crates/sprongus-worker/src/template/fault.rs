//! Why a template cannot be compiled or rendered.

use std::fmt;

use super::LARGEST_ELEMENT;

/// Why a template cannot be compiled or rendered. Holds names and the template's own text, never values.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TemplateFault {
    /// The text is no template.
    Syntax(String),
    /// A name that no run has, wherever the template is used.
    UnknownName {
        /// The name as the template writes it.
        name: String,
        /// What could have been meant.
        hint: String,
    },
    /// A name that exists, but not for this run.
    Unresolved {
        /// The name, or the whole expression where it has no single one.
        name: String,
    },
    /// The value is `null`, which is no argument.
    Null {
        /// The expression.
        expression: String,
    },
    /// The rendered text holds a NUL, which no argument can.
    Nul,
    /// The rendered text is longer than an argument may be.
    TooLarge,
    /// The expression cannot be evaluated.
    Evaluation {
        /// The expression.
        expression: String,
        /// Why, in a few words.
        reason: String,
    },
}

impl TemplateFault {
    pub(crate) fn syntax(problem: impl Into<String>) -> Self {
        Self::Syntax(problem.into())
    }
}

impl fmt::Display for TemplateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(problem) => write!(f, "template: {problem}"),
            Self::UnknownName { name, hint } => write!(f, "template: no such name `{name}`: {hint}"),
            Self::Unresolved { name } => {
                write!(
                    f,
                    "template: `{name}` does not exist; if it is optional, write `{name} | default(\"…\")`"
                )
            }
            Self::Null { expression } => {
                write!(
                    f,
                    "template: `{expression}` is null; write `{expression} | default(\"…\")` if it may be"
                )
            }
            Self::Nul => f.write_str("template: the rendered argument contains a NUL character"),
            Self::TooLarge => {
                write!(
                    f,
                    "template: the rendered argument is longer than {LARGEST_ELEMENT} bytes; \
                     read the data from stdin or $SPRONGUS_INPUT"
                )
            }
            Self::Evaluation { expression, reason } => write!(f, "template: `{expression}`: {reason}"),
        }
    }
}

impl std::error::Error for TemplateFault {}
