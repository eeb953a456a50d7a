//! A part of an expression that knows where it stands.

use super::fault::CronError;
use crate::values::text::excerpt;

/// A part of the expression and the column of its first character, from 1.
#[derive(Clone, Copy)]
pub struct Piece<'a> {
    pub text: &'a str,
    pub column: usize,
}

impl<'a> Piece<'a> {
    /// What is left from this byte on.
    pub fn from(self, byte: usize) -> Self {
        let (before, text) = self.text.split_at(byte);
        Self { text, column: self.column + before.chars().count() }
    }

    /// What is before this byte.
    pub fn to(self, byte: usize) -> Self {
        Self { text: &self.text[..byte], ..self }
    }

    /// The parts around the first `mark`.
    pub fn cut(self, mark: char) -> Option<(Self, Self)> {
        let byte = self.text.find(mark)?;
        Some((self.to(byte), self.from(byte + mark.len_utf8())))
    }

    /// A refusal of this part, which the message ends with.
    pub fn refuse(self, message: &str, hint: impl Into<String>) -> CronError {
        CronError::new(self.column, format!("{message}: {}", excerpt(self.text, 32)), hint)
    }
}
