//! Our columns, and what a scene puts into them.
//!
//! A cell of ours is one line. If it begins as a formula does it gets a leading apostrophe, because a screenplay
//! from elsewhere must not be run by the spreadsheet that opens its board. People's cells are never changed.

use crate::script::Scene;

/// Our columns, in the order in which a new table has them. The status is shared: see [`cut`].
pub(crate) const COLUMNS: [&str; 8] =
    ["scene", "heading", "location", "time", "cast", "eighths", "action", "status"];

/// The column of the scene's id.
pub(crate) const SCENE: usize = 0;
/// The column of the heading.
pub(crate) const HEADING: usize = 1;
/// The column of the action.
pub(crate) const ACTION: usize = 6;
/// The column of the status.
pub(crate) const STATUS: usize = 7;

/// The status of a scene that is in the script.
pub(crate) const ACTIVE: &str = "active";

const CUT: &str = "cut";

/// Spreadsheets hold 32,767 characters a cell.
const CELL_CHARS: usize = 32_000;

/// The cells that the script decides: all but the status.
pub(crate) fn of(scene: &Scene) -> [String; 7] {
    [
        cell(&scene.id),
        cell(&scene.heading),
        cell(&scene.location),
        cell(scene.time_of_day.as_deref().unwrap_or_default()),
        cell(&scene.characters.join(", ")),
        scene.eighths.to_string(),
        cell(&scene.action.join(" ")),
    ]
}

/// The status of a scene gone from the script. What a person had written there is kept in brackets.
pub(crate) fn cut(status: &str) -> String {
    match status.trim() {
        "" | ACTIVE => CUT.to_owned(),
        theirs if is_cut(theirs) => theirs.to_owned(),
        theirs => format!("{CUT} ({theirs})"),
    }
}

/// The status of a scene in the script: what a person wrote, also before it was cut, or `active`.
pub(crate) fn live(status: &str) -> String {
    let theirs = match status.trim() {
        "" | CUT => ACTIVE,
        other => in_brackets(other).unwrap_or(status),
    };
    theirs.to_owned()
}

/// Whether a status says that the scene is gone.
pub(crate) fn is_cut(status: &str) -> bool {
    let status = status.trim();
    status == CUT || in_brackets(status).is_some()
}

/// Whether an id is one that `pull` gives; any other row is a person's own.
pub(crate) fn is_scene_id(id: &str) -> bool {
    id.strip_prefix("sc-").is_some_and(|rest| {
        (1..=64).contains(&rest.len())
            && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.~".contains(&b))
    })
}

fn in_brackets(status: &str) -> Option<&str> {
    status.strip_prefix(CUT)?.strip_prefix(" (")?.strip_suffix(')')
}

fn cell(text: &str) -> String {
    let mut words = String::new();
    let mut chars = 0;
    for word in text.split_whitespace() {
        chars += 1 + word.chars().count();
        if chars > CELL_CHARS {
            words.push('…');
            break;
        }
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(word);
    }
    if words.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']) {
        words.insert(0, '\'');
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_like_a_formula_gets_an_apostrophe() {
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)", " \t=cmd|' /C calc'!A0", "＝1"] {
            assert!(cell(formula).starts_with('\''), "{formula}");
        }
        assert_eq!(cell("a =1\n b"), "a =1 b");
    }

    #[test]
    fn a_persons_status_survives_a_cut() {
        for (theirs, gone) in
            [("active", "cut"), ("", "cut"), ("drawn", "cut (drawn)"), ("cut (drawn)", "cut (drawn)")]
        {
            assert_eq!(cut(theirs), gone);
            assert!(is_cut(&cut(theirs)));
        }
        assert_eq!(
            (live("cut (drawn)").as_str(), live("cut").as_str(), live("drawn").as_str()),
            ("drawn", "active", "drawn")
        );
    }

    #[test]
    fn a_long_cell_ends_in_an_ellipsis() {
        assert!(cell(&"word ".repeat(10_000)).chars().count() <= CELL_CHARS + 1);
    }
}
