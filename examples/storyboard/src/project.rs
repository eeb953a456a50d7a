//! The project that `sprongus demo` lays out in an empty folder: the declaration, its schemas, a screenplay and an
//! edit of it, compiled in so that an installed binary needs no files of ours.

/// The declaration of both kinds, for a file named `sprongus.toml`.
pub const DECLARATION: &str = include_str!("../sprongus.toml");

/// An original short screenplay in Fountain, for a file named `screenplay.fountain`.
pub const SCREENPLAY: &str = include_str!("../screenplay.fountain");

/// Where [`DECLARATION`] looks for [`PULL_SCHEMA`].
pub const PULL_SCHEMA_PATH: &str = "schemas/script-pull.json";

/// The JSON Schema of `script.pull`'s input.
pub const PULL_SCHEMA: &str = include_str!("../schemas/script-pull.json");

/// Where [`DECLARATION`] looks for [`SYNC_SCHEMA`].
pub const SYNC_SCHEMA_PATH: &str = "schemas/sync-storyboard.json";

/// The JSON Schema of `sync.storyboard`'s input.
pub const SYNC_SCHEMA: &str = include_str!("../schemas/sync-storyboard.json");

/// Every file of the project: its path from the project's folder, and its text.
pub const PROJECT: [(&str, &str); 4] = [
    ("sprongus.toml", DECLARATION),
    (PULL_SCHEMA_PATH, PULL_SCHEMA),
    (SYNC_SCHEMA_PATH, SYNC_SCHEMA),
    ("screenplay.fountain", SCREENPLAY),
];

/// What a writer changes overnight, each passage and what it becomes. One scene changes its time of day, one its
/// action, one is cut (the Fountain way, between `/*` and `*/`) and one is new.
pub const REVISIONS: [(&str, &str); 5] = [
    ("INT. CAMERA VAN - MOVING - DAWN #3#", "INT. CAMERA VAN - MOVING - NIGHT #3#"),
    (
        "A barge goes through the drawing, and then through the river.",
        "The fog lifts a hand's breadth. It is enough.",
    ),
    ("INT. BAKERY - MORNING #5#", "/*\nINT. BAKERY - MORNING #5#"),
    ("_twelve almond_.\n", "_twelve almond_.\n*/\n"),
    (
        "INT. PRODUCTION OFFICE - DAY #6#",
        "EXT. RIVERBANK - MORNING #5A#\n\nPiet wades out of the reeds with an index card in his teeth. Soft pencil. A \
         bridge.\n\nPIET\nIt floats!\n\nINT. PRODUCTION OFFICE - DAY #6#",
    ),
];

/// [`SCREENPLAY`], or a person's version of it, with [`REVISIONS`] made where their passages still stand unrevised.
pub fn revised(screenplay: &str) -> String {
    REVISIONS.iter().fold(screenplay.to_owned(), |text, (passage, revision)| {
        if text.contains(revision) { text } else { text.replacen(passage, revision, 1) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_revised_passage_stands_in_the_screenplay_once() {
        for (passage, _) in REVISIONS {
            assert_eq!(SCREENPLAY.matches(passage).count(), 1, "{passage}");
        }
    }

    #[test]
    fn revising_twice_is_revising_once() {
        let once = revised(SCREENPLAY);
        assert_ne!(once, SCREENPLAY);
        assert_eq!(revised(&once), once);
    }

    #[test]
    fn the_declaration_names_the_schemas_by_their_paths() {
        for path in [PULL_SCHEMA_PATH, SYNC_SCHEMA_PATH] {
            assert!(DECLARATION.contains(&format!("input_schema = \"{path}\"")), "{path}");
        }
    }

    #[test]
    fn the_schemas_know_the_fields_that_the_commands_know() {
        for (schema, input) in [
            (PULL_SCHEMA, r#"{"path": "a", "out": "b"}"#),
            (SYNC_SCHEMA, r#"{"scenes": "a", "board": "b", "summary": "c"}"#),
        ] {
            let schema: serde_json::Value = serde_json::from_str(schema).unwrap();
            let fields: serde_json::Map<_, _> = serde_json::from_str(input).unwrap();
            let known = schema["properties"].as_object().unwrap();
            assert_eq!(known.keys().collect::<Vec<_>>(), fields.keys().collect::<Vec<_>>());
        }
        crate::input::parse::<crate::input::Pull>(br#"{"path": "a", "out": "b"}"#).unwrap();
        crate::input::parse::<crate::input::Sync>(br#"{"scenes": "a", "board": "b", "summary": "c"}"#)
            .unwrap();
    }
}
