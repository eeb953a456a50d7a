//! What is lifted out of a screenplay before its lines are looked at: stray control characters, the boneyard, notes.
//!
//! Every scan here goes forward only, so that no input, however many marks it leaves open, takes more than linear
//! time.

/// A line of text, and the notes that began on it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) text: String,
    pub(crate) notes: Vec<String>,
}

impl Line {
    /// Empty, and not merely because all it held was a note.
    pub(crate) fn is_blank(&self) -> bool {
        self.text.trim().is_empty() && self.notes.is_empty()
    }

    /// What stands behind a note; after one that begins the line, without the space that sets it apart.
    fn behind_note<'t>(&self, text: &'t str) -> &'t str {
        if self.text.trim().is_empty() { text.trim_start_matches([' ', '\t']) } else { text }
    }

    /// Nothing but notes.
    pub(crate) fn is_note(&self) -> bool {
        self.text.trim().is_empty() && !self.notes.is_empty()
    }
}

/// How a dialect writes its notes.
#[derive(Clone, Copy)]
pub(crate) struct Notes {
    pub(crate) open: &'static str,
    pub(crate) close: &'static str,
    /// An empty line ends the search for the closing mark; one of two spaces is an empty line that is meant, and part of the note.
    pub(crate) within_paragraph: bool,
}

/// One kind of line end, and no control characters besides line ends and tabs.
pub(crate) fn plain(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    text.chars().filter(|&c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}

/// Drops `/* … */`, and the lines that held nothing else: they are not blank ones. An opening without an end is text.
pub(crate) fn without_boneyard(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("/*") {
        let Some((_, behind)) = after.split_once("*/") else { break };
        kept.push_str(before);
        rest = behind;
        let line = kept.rfind('\n').map_or(0, |end| end + 1);
        if kept[line..].trim().is_empty() {
            rest = behind.trim_start_matches([' ', '\t']);
            if let Some(next) = rest.strip_prefix('\n') {
                kept.truncate(line);
                rest = next;
            }
        }
    }
    kept.push_str(rest);
    kept
}

/// Splits text into lines and lifts the notes out of them.
pub(crate) fn lift(text: &str, marks: Notes) -> Vec<Line> {
    let raw: Vec<&str> = text.split('\n').collect();
    let mut lines = Vec::with_capacity(raw.len());
    let mut at = 0;
    // Up to here it is known that no closing mark follows.
    let mut unclosed = 0;
    while at < raw.len() {
        let mut line = Line::default();
        let mut rest = raw[at];
        while let Some((before, after)) = rest.split_once(marks.open) {
            if let Some((note, behind)) = after.split_once(marks.close) {
                line.text.push_str(before);
                line.notes.push(note.trim().to_owned());
                rest = line.behind_note(behind);
                continue;
            }
            if at < unclosed {
                break;
            }
            match closing(&raw, at, marks) {
                Ok((end, note_end, behind)) => {
                    let inner = raw[at + 1..end].iter().copied();
                    let note: Vec<&str> = [after].into_iter().chain(inner).chain([note_end]).collect();
                    line.text.push_str(before);
                    line.notes.push(note.join("\n").trim().to_owned());
                    at = end;
                    rest = line.behind_note(behind);
                }
                Err(searched) => {
                    unclosed = searched;
                    break;
                }
            }
        }
        line.text.push_str(rest);
        lines.push(line);
        at += 1;
    }
    lines
}

/// The line on which a note ends and what stands on either side of the mark, or how far was searched in vain.
fn closing<'t>(raw: &[&'t str], from: usize, marks: Notes) -> Result<(usize, &'t str, &'t str), usize> {
    for (at, line) in raw.iter().enumerate().skip(from + 1) {
        if marks.within_paragraph && line.len() < 2 && line.trim().is_empty() {
            return Err(at);
        }
        if let Some((note, behind)) = line.split_once(marks.close) {
            return Ok((at, note, behind));
        }
    }
    Err(raw.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOUNTAIN: Notes = Notes { open: "[[", close: "]]", within_paragraph: true };

    #[test]
    fn a_note_may_span_lines_but_no_blank_one() {
        let lines = lift("a [[one\ntwo]] b\n[[open\n\nclosed]]", FOUNTAIN);
        assert_eq!(lines[0], Line { text: "a  b".to_owned(), notes: vec!["one\ntwo".to_owned()] });
        assert_eq!(lines[1].text, "[[open");
        assert_eq!(lines.len(), 4);
    }

    #[test]
    fn a_line_of_two_spaces_is_part_of_a_note() {
        let lines = lift("a[[b\n  \nc]] d", FOUNTAIN);
        assert_eq!(lines, [Line { text: "a d".to_owned(), notes: vec!["b\n  \nc".to_owned()] }]);
        assert_eq!(lift("a[[b\n \nc]] d", FOUNTAIN).len(), 3, "one space is a blank line");
    }

    #[test]
    fn several_notes_on_a_line() {
        let lines = lift("[[1]] x [[2]][[3", FOUNTAIN);
        assert_eq!(lines[0].text, "x [[3");
        assert_eq!(lines[0].notes, ["1", "2"]);
    }

    #[test]
    fn an_open_boneyard_is_text() {
        assert_eq!(without_boneyard("a /* b */ c /* d"), "a  c /* d");
    }

    #[test]
    fn a_line_of_nothing_but_boneyard_is_no_blank_line() {
        for (text, kept) in [
            ("a\n/* b */\nc", "a\nc"),
            ("a\n  /* b\n\nc */ \t\nd", "a\nd"),
            ("/* a *//* b */\nc", "c"),
            ("a\n\n/* b */\n\nc", "a\n\n\nc"),
            ("a\n  /* b */ c", "a\n  c"),
            ("a /* b */\nc", "a \nc"),
        ] {
            assert_eq!(without_boneyard(text), kept, "{text:?}");
        }
    }
}
