//! A screenplay as structured scenes, and the JSON that carries them from `pull` to `sync`.
//!
//! Two dialects are read into the same stream of elements (`fountain`, `markdown`), and one place makes scenes of
//! that stream (`scenes`). Files and reports are left to `pull` and `sync`.

mod fountain;
mod heading;
mod identity;
mod length;
mod manuscript;
mod markdown;
mod markup;
mod scenes;
mod title_page;

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

pub(crate) use length::pages;

use crate::failure::Failure;

/// A long film has three hundred; beyond this a file is something else, and its scenes would outgrow it.
pub(crate) const MOST_SCENES: usize = 10_000;

/// Scenes repeat the screenplay's text, and its headings twice.
pub(crate) const SCENES_LIMIT: u64 = 64 * 1024 * 1024;

const FORMAT: &str = "storyboard.scenes/1";

/// A screenplay, scene by scene.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Script {
    /// Names the layout of this JSON; stands first, so that the file is known by its first line.
    pub(crate) format: String,
    pub(crate) title: Option<String>,
    /// Every field of the title page, by its name in lower case.
    #[serde(default)]
    pub(crate) title_page: BTreeMap<String, String>,
    /// In the order in which they first speak.
    #[serde(default)]
    pub(crate) characters: Vec<String>,
    /// The estimated length in eighths of a page.
    pub(crate) eighths: usize,
    pub(crate) scenes: Vec<Scene>,
}

/// One scene.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Scene {
    /// Stable over edits of the scene and over reordering; see `identity`.
    pub(crate) id: String,
    /// As printed in the script, which need not be a number.
    pub(crate) number: Option<String>,
    pub(crate) heading: String,
    /// `INT`, `EXT`, `INT/EXT` or `EST`.
    pub(crate) setting: Option<String>,
    pub(crate) location: String,
    pub(crate) time_of_day: Option<String>,
    /// The sections above the scene, outermost first: `Act One / The loft`.
    pub(crate) section: Option<String>,
    pub(crate) synopsis: Option<String>,
    /// Paragraphs; a line break within one is the writer's.
    #[serde(default)]
    pub(crate) action: Vec<String>,
    #[serde(default)]
    pub(crate) characters: Vec<String>,
    /// Lines of dialogue and lyrics as written, parentheticals not counted.
    pub(crate) dialogue_lines: usize,
    #[serde(default)]
    pub(crate) notes: Vec<String>,
    pub(crate) eighths: usize,
}

impl Script {
    /// Pretty-printed, with the format first and a newline last.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec_pretty(self).unwrap_or_default();
        json.push(b'\n');
        json
    }

    /// Reads what `to_json` wrote.
    pub(crate) fn from_json(path: &Path, json: &[u8]) -> Result<Self, Failure> {
        let refuse = |what: String| Failure::Refused(format!("{} holds no scenes: {what}", path.display()));
        let script: Self = serde_json::from_slice(json).map_err(|error| refuse(error.to_string()))?;
        if script.format != FORMAT {
            return Err(refuse(format!("format {:.40}, expected {FORMAT}", script.format)));
        }
        if script.scenes.len() > MOST_SCENES {
            return Err(refuse(format!("more than {MOST_SCENES}")));
        }
        Ok(script)
    }
}

/// Whether a file was written by `to_json`, of whatever version.
pub(crate) fn is_ours(json: &[u8]) -> bool {
    let start = String::from_utf8_lossy(&json[..json.len().min(64)]).replace(char::is_whitespace, "");
    start.starts_with("{\"format\":\"storyboard.scenes/")
}

/// Reads a screenplay in the dialect that the file's name says, or else the one in which it has scenes.
pub(crate) fn read(path: &Path, text: &str) -> Script {
    let text = &markup::plain(text);
    let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
    let manuscript = match extension.as_str() {
        "fountain" | "spmd" => fountain::read(text),
        "md" | "markdown" => markdown::read(text),
        _ => {
            let fountain = fountain::read(text);
            if fountain.has_scenes() { fountain } else { markdown::read(text) }
        }
    };
    scenes::gather(manuscript)
}

#[cfg(test)]
mod tests;
