//! What was wrong with a JSON document, in words that are safe to print.

use std::fmt;

/// What kind of fault a document has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JsonFaultKind {
    /// Nothing there, or only whitespace.
    Empty,
    /// Not JSON by its grammar; cut short, for instance.
    Syntax,
    /// A whole document with something after it.
    Trailing,
    /// Bytes that are not UTF-8.
    NotUtf8,
    /// An object with the same key twice.
    DuplicateKey,
    /// A NUL character in a string or a key, which databases cannot hold.
    Nul,
    /// Half of a surrogate pair, which is no character.
    Surrogate,
    /// Arrays and objects nested deeper than [`MAX_DEPTH`](super::MAX_DEPTH).
    TooDeep,
    /// A number that neither `i64` nor `u64` nor a finite `f64` holds.
    Number,
}

impl JsonFaultKind {
    /// The kind's name in snake case, for a machine to read.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Syntax => "syntax",
            Self::Trailing => "trailing",
            Self::NotUtf8 => "not_utf8",
            Self::DuplicateKey => "duplicate_key",
            Self::Nul => "nul",
            Self::Surrogate => "surrogate",
            Self::TooDeep => "too_deep",
            Self::Number => "number",
        }
    }
}

/// Why a document was refused, and where.
///
/// Its text quotes at most the duplicate key, shortened, escaped and with secrets masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonFault {
    /// What kind of fault it is.
    pub kind: JsonFaultKind,
    /// The line, from 1; 0 where the whole text is at fault.
    pub line: usize,
    /// The column in characters, from 1, about where reading stopped; 0 where the whole line or text is at fault.
    pub column: usize,
    /// RFC 6901 pointer to the value at fault, where it is known and safe to show.
    pub pointer: Option<String>,
    detail: String,
}

impl JsonFault {
    pub(super) fn new(kind: JsonFaultKind, detail: impl Into<String>) -> Self {
        Self { kind, line: 0, column: 0, pointer: None, detail: detail.into() }
    }

    /// Places the fault by serde_json's count: a line from 1, and within it a column in bytes.
    pub(super) fn at(mut self, text: &str, line: usize, byte_column: usize) -> Self {
        let content = text.split('\n').nth(line.saturating_sub(1)).unwrap_or("");
        let end = content.floor_char_boundary(byte_column.saturating_sub(1));
        self.line = line;
        self.column = if line == 0 { 0 } else { content[..end].chars().count() + 1 };
        self
    }

    pub(super) fn at_offset(self, text: &str, offset: usize) -> Self {
        let before = &text[..text.floor_char_boundary(offset)];
        let line = before.matches('\n').count() + 1;
        let column = before.len() - before.rfind('\n').map_or(0, |feed| feed + 1) + 1;
        self.at(text, line, column)
    }

    /// The fault without its place, such as `duplicate key "a"`.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl fmt::Display for JsonFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("invalid JSON")?;
        if self.line > 0 {
            write!(f, " at line {}, column {}", self.line, self.column)?;
        }
        write!(f, ": {}", self.detail)
    }
}

impl std::error::Error for JsonFault {}
