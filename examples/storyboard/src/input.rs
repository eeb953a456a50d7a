//! What a run may ask for: the JSON inputs of the two kinds.
//!
//! The schemas in `schemas/` say the same to the engine, which checks them first; this is the check for those who
//! call the program by hand, and it is as strict, because a misspelt field silently ignored is a wrong run.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::failure::Failure;

/// The input of `script.pull`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pull {
    /// The screenplay.
    pub(crate) path: String,
    /// Where the scenes go.
    #[serde(default = "scenes_json")]
    pub(crate) out: String,
}

/// The input of `sync.storyboard`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sync {
    /// The scenes that `pull` wrote.
    pub(crate) scenes: String,
    /// The table.
    #[serde(default = "storyboard_csv")]
    pub(crate) board: String,
    /// The Markdown page about it.
    #[serde(default = "storyboard_md")]
    pub(crate) summary: String,
}

fn scenes_json() -> String {
    "scenes.json".to_owned()
}

fn storyboard_csv() -> String {
    "storyboard.csv".to_owned()
}

fn storyboard_md() -> String {
    "storyboard.md".to_owned()
}

/// Reads an input, or says what is wrong with it.
pub(crate) fn parse<T: DeserializeOwned>(json: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(json).map_err(|error| Failure::Refused(format!("input: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_and_a_misspelt_field_are_refused_by_name() {
        let missing = parse::<Pull>(b"{}").unwrap_err();
        assert!(missing.to_string().contains("missing field `path`"), "{missing}");
        let misspelt = parse::<Sync>(br#"{"scenes": "s.json", "bored": "b.csv"}"#).unwrap_err();
        assert!(misspelt.to_string().contains("unknown field `bored`"), "{misspelt}");
        assert_eq!(misspelt.exit_code(), 78);
    }
}
