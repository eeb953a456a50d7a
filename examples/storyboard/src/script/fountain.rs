//! Fountain (fountain.io/syntax), read line by line into elements.
//!
//! Emphasis is left in the text as written. Two points are kinder than the specification: a heading needs no blank
//! line below it, and `FADE OUT.` and its like are transitions although they do not end in `TO:`.

use super::manuscript::{Element, Manuscript, is_transition, is_upper};
use super::markup::{self, Line, Notes};
use super::{heading, title_page};

const NOTES: Notes = Notes { open: "[[", close: "]]", within_paragraph: true };

/// What the line before leaves open.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    /// Nothing: a blank line, or an element that stands on its own.
    Fresh,
    /// A paragraph of action.
    Action,
    /// A speech, until the next blank line.
    Speech,
}

/// Reads a screenplay.
pub(crate) fn read(text: &str) -> Manuscript {
    let text = markup::without_boneyard(text);
    let (title_page, body) = title_page::split(&text);
    let lines = markup::lift(body, NOTES);
    let mut manuscript = Manuscript::new(title_page);
    let mut flow = Flow::Fresh;
    for (at, line) in lines.iter().enumerate() {
        if !line.is_note() {
            // With its notes lifted a line that is nothing else is none.
            let closed = lines[at + 1..].iter().find(|next| !next.is_note()).is_none_or(Line::is_blank);
            // A space before a note is no space at the end of a line.
            let text = if line.notes.is_empty() { &line.text } else { line.text.trim_end() };
            flow = take(&mut manuscript, text, flow, closed);
        }
        manuscript.note(&line.notes);
    }
    manuscript.finish()
}

/// Takes one line; `closed` says that a blank one follows.
fn take(manuscript: &mut Manuscript, raw: &str, flow: Flow, closed: bool) -> Flow {
    let line = raw.trim();
    if line.is_empty() {
        // Two spaces on an otherwise empty line keep a speech going.
        return if flow == Flow::Speech && raw.len() >= 2 { Flow::Speech } else { Flow::Fresh };
    }
    if flow == Flow::Speech {
        manuscript.push(spoken(line));
        return Flow::Speech;
    }
    if let Some(element) = marked(line, flow) {
        let next = if matches!(element, Element::Cue(_)) { Flow::Speech } else { Flow::Fresh };
        manuscript.push(element);
        return next;
    }
    if flow == Flow::Fresh {
        if heading::is_heading(line) {
            manuscript.push(scene_heading(line));
            return Flow::Fresh;
        }
        // Spaces behind the colon say that a line is no transition.
        let is_left_open = line.ends_with(':') && raw.ends_with(char::is_whitespace);
        if closed && is_transition(line) && !line.starts_with('!') && !is_left_open {
            manuscript.push(Element::Transition(line.to_owned()));
            return Flow::Fresh;
        }
        if !closed && is_cue(line) {
            manuscript.push(Element::Cue(line.to_owned()));
            return Flow::Speech;
        }
    }
    let text = indented(line.strip_prefix('!').unwrap_or_else(|| raw.trim_end()));
    if flow == Flow::Action {
        manuscript.continue_action(&text);
    } else {
        manuscript.push(Element::Action(text));
    }
    Flow::Action
}

/// Action as it is written, with the spaces before it; a tab is four.
fn indented(text: &str) -> String {
    let rest = text.trim_start();
    let indent = &text[..text.len() - rest.len()];
    indent.replace('\t', "    ") + rest
}

/// Elements that a mark at the line's start decides. A heading and a cue begin behind a blank line, marked or not.
fn marked(line: &str, flow: Flow) -> Option<Element> {
    if line.len() >= 3 && line.bytes().all(|b| b == b'=') {
        return Some(Element::PageBreak);
    }
    let first = line.chars().next()?;
    let rest = line[first.len_utf8()..].trim();
    match first {
        // An ellipsis is no heading.
        '.' if flow == Flow::Fresh && line[1..].starts_with(char::is_alphanumeric) => {
            Some(scene_heading(rest))
        }
        '#' => {
            let text = line.trim_start_matches('#');
            Some(Element::Section { depth: (line.len() - text.len()).min(6), text: text.trim().to_owned() })
        }
        '=' => Some(Element::Synopsis(rest.to_owned())),
        '@' if flow == Flow::Fresh && !rest.is_empty() => Some(Element::Cue(rest.to_owned())),
        '~' => Some(Element::Lyric(rest.to_owned())),
        '>' if !rest.is_empty() => match rest.strip_suffix('<') {
            Some(centered) => Some(Element::Centered(centered.trim().to_owned())),
            None => Some(Element::Transition(rest.to_owned())),
        },
        _ => None,
    }
}

fn spoken(line: &str) -> Element {
    if line.starts_with('(') && line.ends_with(')') {
        return Element::Parenthetical(line.to_owned());
    }
    match line.strip_prefix('~') {
        Some(lyric) => Element::Lyric(lyric.trim().to_owned()),
        None => Element::Dialogue(line.to_owned()),
    }
}

fn scene_heading(line: &str) -> Element {
    let (text, number) = heading::split_number(line);
    Element::Heading { text: text.to_owned(), number: number.map(str::to_owned) }
}

/// A name in capitals; what stands in brackets behind it may be written as one likes.
fn is_cue(line: &str) -> bool {
    let name = line.split('(').next().unwrap_or_default();
    is_upper(name) && !line.starts_with('!')
}
