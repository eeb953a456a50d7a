//! Which scene is which, from one draft to the next.
//!
//! A numbered scene is its number: `sc-12A`. Any other is its heading, and the how-manieth with that heading:
//! `sc-` and eight hex digits. Neither depends on what happens in the scene or where it stands in the script, so
//! rewriting or moving a scene keeps its row. Case, spaces and punctuation of a heading do not count.
//!
//! The prefix keeps spreadsheets from taking an id for a number or a date and rewriting it.

use std::collections::{HashMap, HashSet};

use sha2::{Digest, Sha256};

/// Hands out ids over one script.
#[derive(Default)]
pub(crate) struct Identities {
    seen: HashMap<String, usize>,
    taken: HashSet<String>,
}

impl Identities {
    /// The id of the next scene; no two are alike.
    pub(crate) fn of(&mut self, number: Option<&str>, heading: &str) -> String {
        let name = match number {
            Some(number) => format!("sc-{number}"),
            None => normal(heading),
        };
        let occurrence = self.seen.entry(name.clone()).and_modify(|n| *n += 1).or_insert(1);
        let mut id = match (number, *occurrence) {
            (Some(_), 1) => name,
            (Some(_), n) => format!("{name}~{n}"),
            (None, n) => format!("sc-{}", digest(&format!("{name}\n{n}"))),
        };
        // A number may look like another scene's digest.
        while !self.taken.insert(id.clone()) {
            id.push('~');
        }
        id
    }
}

fn normal(heading: &str) -> String {
    let upper = heading.to_uppercase();
    upper.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_the_id_and_a_second_one_is_told_apart() {
        let mut ids = Identities::default();
        assert_eq!(ids.of(Some("12A"), "INT. X"), "sc-12A");
        assert_eq!(ids.of(Some("12A"), "INT. Y"), "sc-12A~2");
    }

    #[test]
    fn a_heading_is_the_id_whatever_its_punctuation_and_place() {
        let mut one = Identities::default();
        let (a, b) = (one.of(None, "INT. LOFT - DAY"), one.of(None, "EXT. QUAY - NIGHT"));
        let mut other = Identities::default();
        assert_eq!(other.of(None, "ext quay – night"), b);
        assert_eq!(other.of(None, "INT.  LOFT -  DAY"), a);
        assert_ne!(other.of(None, "INT. LOFT - DAY"), a);
    }

    #[test]
    fn the_digest_never_changes() {
        // Boards in people's hands hold these.
        assert_eq!(Identities::default().of(None, "INT. LOFT - DAY"), "sc-a2711481");
    }
}
