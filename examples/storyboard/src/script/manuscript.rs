//! The elements of a screenplay, whatever dialect they were written in.

use std::collections::BTreeMap;

/// A screenplay as read: a title page and a stream of elements.
#[derive(Debug)]
pub(crate) struct Manuscript {
    pub(crate) title_page: BTreeMap<String, String>,
    pub(crate) elements: Vec<Element>,
    /// Notes of the element being read, kept back so that they do not split a paragraph.
    pending: Vec<String>,
}

/// What a stretch of a screenplay is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Element {
    Heading { text: String, number: Option<String> },
    Action(String),
    Cue(String),
    Parenthetical(String),
    Dialogue(String),
    Lyric(String),
    Transition(String),
    Centered(String),
    Section { depth: usize, text: String },
    Synopsis(String),
    Note(String),
    PageBreak,
}

impl Manuscript {
    /// A manuscript of which only the title page has been read.
    pub(crate) fn new(title_page: BTreeMap<String, String>) -> Self {
        Self { title_page, elements: Vec::new(), pending: Vec::new() }
    }

    /// Adds an element, behind the notes of the one before.
    pub(crate) fn push(&mut self, element: Element) {
        self.flush();
        self.elements.push(element);
    }

    /// Adds a line to the paragraph of action that stands last, or begins one.
    pub(crate) fn continue_action(&mut self, line: &str) {
        if let Some(Element::Action(text)) = self.elements.last_mut() {
            text.push('\n');
            text.push_str(line);
        } else {
            self.push(Element::Action(line.to_owned()));
        }
    }

    /// Keeps a line's notes for when its element is complete.
    pub(crate) fn note(&mut self, notes: &[String]) {
        self.pending.extend(notes.iter().filter(|note| !note.is_empty()).cloned());
    }

    /// Closes the stream.
    pub(crate) fn finish(mut self) -> Self {
        self.flush();
        self
    }

    /// Whether there is anything to make a scene of.
    pub(crate) fn has_scenes(&self) -> bool {
        self.elements.iter().any(|element| matches!(element, Element::Heading { .. }))
    }

    /// Whether nothing has been read yet, not even a title.
    pub(crate) fn wants_title(&self) -> bool {
        self.elements.is_empty() && !self.title_page.contains_key("title")
    }

    fn flush(&mut self) {
        self.elements.extend(self.pending.drain(..).map(Element::Note));
    }
}

/// Whether a line is all in capitals, as cues and transitions are.
pub(crate) fn is_upper(text: &str) -> bool {
    text.chars().any(char::is_alphabetic) && !text.chars().any(char::is_lowercase)
}

/// `CUT TO:` and the few transitions that end otherwise.
pub(crate) fn is_transition(line: &str) -> bool {
    const OTHERS: [&str; 7] =
        ["FADE IN:", "FADE IN.", "FADE OUT.", "FADE OUT:", "FADE TO BLACK.", "CUT TO BLACK.", "THE END"];
    is_upper(line) && (line.ends_with("TO:") || OTHERS.contains(&line))
}

/// Who speaks, of a cue like `MARA (V.O.) ^`: without extensions, dual mark and emphasis.
pub(crate) fn speaker(cue: &str) -> String {
    let name = cue.split('(').next().unwrap_or_default();
    let name = name.trim_matches(|c: char| c.is_whitespace() || matches!(c, '^' | '*' | '_' | ':'));
    name.split_whitespace().collect::<Vec<_>>().join(" ")
}
