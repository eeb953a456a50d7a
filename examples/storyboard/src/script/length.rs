//! How long a scene is on paper, in eighths of a page, as a schedule counts them.
//!
//! An estimate by the usual layout: 12-point Courier, 55 lines a page, one blank line before each element, action 60
//! characters wide, dialogue 35, parentheticals 25. Lines are counted by length alone, without hyphenation or page
//! breaks within a scene, and every scene has at least one eighth.

use super::manuscript::Element;

const LINES_A_PAGE: usize = 55;
const ACTION: usize = 60;
const DIALOGUE: usize = 35;
const PARENTHETICAL: usize = 25;

/// The printed lines an element takes, with the blank line before it.
pub(crate) fn lines(element: &Element) -> usize {
    match element {
        Element::Heading { text, .. }
        | Element::Action(text)
        | Element::Transition(text)
        | Element::Centered(text) => 1 + wrapped(text, ACTION),
        Element::Cue(text) => 1 + wrapped(text, DIALOGUE),
        Element::Dialogue(text) | Element::Lyric(text) => wrapped(text, DIALOGUE),
        Element::Parenthetical(text) => wrapped(text, PARENTHETICAL),
        Element::Section { .. } | Element::Synopsis(_) | Element::Note(_) | Element::PageBreak => 0,
    }
}

/// Lines as eighths, rounded up.
pub(crate) fn eighths(lines: usize) -> usize {
    (lines * 8).div_ceil(LINES_A_PAGE).max(1)
}

/// `2 7/8`, as it is written on a schedule.
pub(crate) fn pages(eighths: usize) -> String {
    match (eighths / 8, eighths % 8) {
        (0, rest) => format!("{rest}/8"),
        (whole, 0) => whole.to_string(),
        (whole, rest) => format!("{whole} {rest}/8"),
    }
}

fn wrapped(text: &str, width: usize) -> usize {
    text.lines().map(|line| line.chars().count().div_ceil(width).max(1)).sum::<usize>().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_eight_eighths() {
        assert_eq!((eighths(0), eighths(1), eighths(7), eighths(55), eighths(56)), (1, 1, 2, 8, 9));
        assert_eq!((pages(3), pages(8), pages(23)), ("3/8".to_owned(), "1".to_owned(), "2 7/8".to_owned()));
    }

    #[test]
    fn dialogue_is_narrower_than_action() {
        let text = "x".repeat(60);
        assert_eq!(lines(&Element::Action(text.clone())), 2);
        assert_eq!(lines(&Element::Dialogue(text)), 2);
    }
}
