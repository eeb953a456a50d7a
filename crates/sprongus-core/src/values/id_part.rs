//! A run's id, shortened: six or more characters of its beginning or its end.

use std::fmt;
use std::str::FromStr;

use crate::error::Error;
use crate::values::ids::RunId;
use crate::values::text::excerpt;

/// The fewest characters.
pub const SHORTEST: usize = 6;

/// Characters of a whole id.
const WHOLE: usize = 26;

/// A part of a run's id: what the id begins or ends with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdPart(String);

impl IdPart {
    /// As ids are written: in capitals.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the id begins or ends so.
    pub fn fits(&self, id: RunId) -> bool {
        let id = id.to_string();
        id.starts_with(&self.0) || id.ends_with(&self.0)
    }

    /// The lowest and the highest id that begin so; none when no id does.
    pub fn beginning(&self) -> Option<(RunId, RunId)> {
        let padded = |with: &str| format!("{}{}", self.0, with.repeat(WHOLE - self.0.len())).parse().ok();
        padded("0").zip(padded("Z"))
    }

    /// The hexadecimal digits that the UUID of every id that ends so ends with. They say a few bits less than the characters.
    pub fn hex_ending(&self) -> String {
        let id: Option<RunId> = format!("{}{}", "0".repeat(WHOLE - self.0.len()), self.0).parse().ok();
        let digits = (self.0.len() * 5 / 4).min(32);
        let hex = format!("{:032x}", id.map_or(0, RunId::to_bits));
        hex[32 - digits..].to_owned()
    }
}

impl fmt::Display for IdPart {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl FromStr for IdPart {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let upper = text.to_ascii_uppercase();
        let is_of_ids = |letter: char| letter.is_ascii_alphanumeric() && !"ILOU".contains(letter);
        if (SHORTEST..=WHOLE).contains(&upper.len()) && upper.chars().all(is_of_ids) {
            return Ok(Self(upper));
        }
        Err(Error::validation(format!("not a run id: {}", excerpt(text, 64))).with_hint(
            "use a ULID of 26 characters, six or more of its first or last ones, or the UUID of the same 128 bits",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_fits_the_ids_that_begin_or_end_with_it() {
        let id: RunId = "01M80754D6E7K919GRYZ8BH27Q".parse().unwrap();
        for (part, fits) in [("01m807", true), ("8BH27Q", true), ("54D6E7", false), ("8BH27R", false)] {
            assert_eq!(part.parse::<IdPart>().unwrap().fits(id), fits, "{part}");
        }
        for bad in ["8BH27", "8BH27U", "", "01M80754D6E7K919GRYZ8BH27Q0", "8BH2%Q"] {
            assert!(bad.parse::<IdPart>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_a_database_is_asked_for_holds_every_id_that_fits() {
        for _ in 0..200 {
            let id = RunId::new();
            let text = id.to_string();
            for length in SHORTEST..=WHOLE {
                let beginning: IdPart = text[..length].parse().unwrap();
                let (low, high) = beginning.beginning().unwrap();
                assert!(low <= id && id <= high);
                let end: IdPart = text[WHOLE - length..].parse().unwrap();
                assert!(format!("{:032x}", id.to_bits()).ends_with(&end.hex_ending()), "{text} {end}");
            }
        }
    }
}
