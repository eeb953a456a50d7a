//! Screenplays in Markdown, by a few conventions:
//!
//! - `# Title` before all else is the title, unless front matter between `---` lines gives one; any other `#` is a
//!   section.
//! - `## INT. LOFT - DAY` is a scene heading, whatever it says; its number stands as `## 12A. INT. …` or `… #12A#`.
//! - `**MARA** (V.O.)` or `MARA:` alone on a line begins a speech, which lasts until a blank line; `**MARA:** Hello`
//!   and `MARA: Hello` are a speech with its first line. Lines in brackets within it are parentheticals.
//! - `> …` below a heading is the scene's synopsis, `<!-- … -->` a note, `CUT TO:` a transition, `---` a page break.
//! - Fenced code is left out. All else, deeper headings and lists included, is action.

use super::manuscript::{Element, Manuscript, is_transition, is_upper};
use super::markup::{self, Notes};
use super::{heading, title_page};

const NOTES: Notes = Notes { open: "<!--", close: "-->", within_paragraph: false };

/// A longer line with a colon is a sentence.
const CUE_CHARS: usize = 40;

/// What the line before leaves open.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Fresh,
    Action,
    Speech,
    /// Within a fence of this mark.
    Code(&'static str),
}

/// Reads a screenplay.
pub(crate) fn read(text: &str) -> Manuscript {
    let (title_page, body) = title_page::split_front_matter(text);
    let mut manuscript = Manuscript::new(title_page);
    let mut flow = Flow::Fresh;
    for line in markup::lift(body, NOTES) {
        if !line.is_note() {
            flow = take(&mut manuscript, line.text.trim(), flow);
        }
        manuscript.note(&line.notes);
    }
    manuscript.finish()
}

fn take(manuscript: &mut Manuscript, line: &str, flow: Flow) -> Flow {
    if let Flow::Code(mark) = flow {
        return if line.starts_with(mark) { Flow::Fresh } else { flow };
    }
    if let Some(mark) = ["```", "~~~"].into_iter().find(|mark| line.starts_with(mark)) {
        return Flow::Code(mark);
    }
    if line.is_empty() {
        return Flow::Fresh;
    }
    if let Some(title) = line.strip_prefix("# ").filter(|_| manuscript.wants_title()) {
        manuscript.title_page.insert("title".to_owned(), title.trim().to_owned());
        return Flow::Fresh;
    }
    if let Some(element) = standing_alone(line) {
        manuscript.push(element);
        return Flow::Fresh;
    }
    if flow == Flow::Speech {
        manuscript.push(spoken(line));
        return Flow::Speech;
    }
    if let Some((name, said)) = speech(line) {
        manuscript.push(Element::Cue(name.to_owned()));
        if !said.is_empty() {
            manuscript.push(spoken(said));
        }
        return Flow::Speech;
    }
    if flow == Flow::Action {
        manuscript.continue_action(line);
    } else {
        manuscript.push(Element::Action(line.to_owned()));
    }
    Flow::Action
}

/// Headings, synopses, transitions and page breaks, wherever they stand.
fn standing_alone(line: &str) -> Option<Element> {
    if let Some(text) = line.strip_prefix("## ") {
        return Some(scene_heading(text.trim().trim_end_matches(" ##")));
    }
    if let Some(text) = line.strip_prefix("# ") {
        return Some(Element::Section { depth: 1, text: text.trim().to_owned() });
    }
    if let Some(text) = line.strip_prefix('>') {
        return Some(Element::Synopsis(text.trim().to_owned()));
    }
    if is_rule(line) {
        return Some(Element::PageBreak);
    }
    is_transition(line).then(|| Element::Transition(line.to_owned()))
}

/// Three or more of one mark, spaced or not.
fn is_rule(line: &str) -> bool {
    let marks = line.chars().filter(|c| *c != ' ').count();
    marks >= 3 && ['-', '*', '_'].iter().any(|mark| line.chars().all(|c| c == *mark || c == ' '))
}

fn scene_heading(text: &str) -> Element {
    let (text, number) = heading::split_number(text);
    let leading = text
        .split_once(". ")
        .filter(|(number, _)| number.starts_with(|c: char| c.is_ascii_digit()) && heading::is_number(number));
    match (number, leading) {
        (None, Some((number, text))) => {
            Element::Heading { text: text.trim().to_owned(), number: Some(number.to_owned()) }
        }
        (number, _) => Element::Heading { text: text.to_owned(), number: number.map(str::to_owned) },
    }
}

/// A cue and what is said on the same line.
fn speech(line: &str) -> Option<(&str, &str)> {
    if let Some((name, rest)) = line.strip_prefix("**").and_then(|rest| rest.split_once("**")) {
        let rest = rest.trim();
        let said = match name.trim_end().strip_suffix(':') {
            Some(_) => rest,
            None => rest.strip_prefix(':').map(str::trim).unwrap_or(rest),
        };
        let is_bare = said.is_empty() || said.len() < rest.len() || name.trim_end().ends_with(':');
        let is_extension = said.starts_with('(') && said.ends_with(')');
        return match (is_cue(name), is_extension, is_bare) {
            (true, true, _) => Some((name, "")),
            (true, false, true) => Some((name, said)),
            (true, false, false) | (false, _, _) => None,
        };
    }
    let (name, said) = line.split_once(':')?;
    is_cue(name).then(|| (name, said.trim()))
}

fn is_cue(name: &str) -> bool {
    let bare = name.split('(').next().unwrap_or_default();
    is_upper(bare) && name.chars().count() <= CUE_CHARS
}

fn spoken(line: &str) -> Element {
    let bare = line.trim_matches(['*', '_']);
    if bare.starts_with('(') && bare.ends_with(')') {
        Element::Parenthetical(bare.to_owned())
    } else {
        Element::Dialogue(line.to_owned())
    }
}
