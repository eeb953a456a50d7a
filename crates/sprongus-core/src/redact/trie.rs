//! The search for many values at once: a tree of their letters, walked over a text in which each letter may be spelt in
//! several ways.
//!
//! A walk begins at every place of the text that may begin a value and is as long as what it matches, so clean text costs one
//! look in a table for each byte. Values are kept short ([`super::values`] cuts long ones), which bounds a walk.

use std::ops::Range;

use super::spelling::{begins_spelling, control_sequence, spellings};

/// What the letters of a tree are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alphabet {
    /// Characters, each in any spelling.
    Plain,
    /// Base64 of both alphabets; it may be wrapped.
    Base64,
    /// Hexadecimal digits in either case; they may be wrapped, or in groups.
    Hex,
}

impl Alphabet {
    fn fold(self, letter: char) -> Option<char> {
        match self {
            Self::Plain => Some(letter),
            Self::Base64 => match letter {
                '-' => Some('+'),
                '_' => Some('/'),
                letter => (letter.is_ascii_alphanumeric() || matches!(letter, '+' | '/')).then_some(letter),
            },
            Self::Hex => letter.is_ascii_hexdigit().then(|| letter.to_ascii_lowercase()),
        }
    }

    /// How much of a value the end of a line must show to be taken for its beginning.
    const fn least_tail(self) -> usize {
        match self {
            Self::Plain => 4,
            Self::Base64 => 3,
            Self::Hex => 6,
        }
    }

    /// Where what stands between two letters and does not count ends.
    fn gap(self, text: &str, at: usize) -> Option<usize> {
        if let Some(end) = control_sequence(text, at) {
            return Some(end);
        }
        let bytes = text.as_bytes();
        match self {
            Self::Plain => None,
            Self::Hex if matches!(bytes.get(at), Some(b' ' | b':' | b'-')) => Some(at + 1),
            Self::Base64 | Self::Hex => {
                let end = line_end(bytes, at)?;
                Some(end + bytes[end..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count())
            }
        }
    }
}

/// Behind the line feed, escaped or not, at `at`.
fn line_end(bytes: &[u8], at: usize) -> Option<usize> {
    match bytes.get(at)? {
        b'\n' | b'\r' => Some(at + 1),
        b'\\' => {
            let run = bytes[at..].iter().take_while(|&&byte| byte == b'\\').count();
            matches!(bytes.get(at + run), Some(b'n' | b'r')).then_some(at + run + 1)
        }
        _ => None,
    }
}

/// The end of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    /// It is a short number, which counts only where no other digits surround it.
    pub(super) number: bool,
    /// The letter before it, or the one behind, holds bits of it as well.
    pub(super) shared: (bool, bool),
}

#[derive(Clone, Debug)]
struct Node {
    letter: char,
    child: u32,
    sibling: u32,
    end: Option<End>,
}

/// Values of one alphabet.
#[derive(Clone, Debug)]
pub(super) struct Trie {
    alphabet: Alphabet,
    nodes: Vec<Node>,
    begins: Vec<bool>,
}

/// Where a walk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Step {
    node: u32,
    at: usize,
    letters: usize,
}

/// The steps of a walk that come at once, and those after them.
#[derive(Default)]
struct Steps {
    now: Vec<Step>,
    next: Vec<Step>,
}

/// A value that a line ended in, and how much of it there was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    node: u32,
    letters: usize,
}

/// What was found in a text.
#[derive(Debug, Default)]
pub(super) struct Hits {
    pub(super) whole: Vec<Range<usize>>,
    /// Beginnings of values at the end of the text: where, and whether there is enough of one to be masked by itself.
    pub(super) tails: Vec<(Range<usize>, bool)>,
    pub(super) held: Vec<Held>,
    /// What the search cost.
    pub(super) steps: usize,
}

/// More than one way to read a text is rare, and more than these is nobody's.
const MOST_STEPS: usize = 16;

/// The most gaps between two letters, such as a line feed and a colour.
const MOST_GAPS: usize = 4;

impl Trie {
    pub(super) fn new(alphabet: Alphabet) -> Self {
        let root = Node { letter: '\0', child: 0, sibling: 0, end: None };
        Self { alphabet, nodes: vec![root], begins: vec![false; 256] }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.nodes.len() == 1
    }

    pub(super) fn insert(&mut self, value: &str, end: End) {
        let (mut node, alphabet) = (0, self.alphabet);
        for letter in value.chars().filter_map(|letter| alphabet.fold(letter)) {
            node = match self.child(node, letter) {
                Some(child) => child,
                None => self.add(node, letter),
            };
        }
        let Some(place) = self.nodes.get_mut(node as usize).filter(|_| node > 0) else { return };
        let known = place.end.unwrap_or(end);
        let shared = (known.shared.0 || end.shared.0, known.shared.1 || end.shared.1);
        place.end = Some(End { number: known.number && end.number, shared });
    }

    fn add(&mut self, parent: u32, letter: char) -> u32 {
        let Ok(new) = u32::try_from(self.nodes.len()) else { return 0 };
        let sibling = std::mem::replace(&mut self.nodes[parent as usize].child, new);
        self.nodes.push(Node { letter, child: 0, sibling, end: None });
        if parent == 0 {
            for spelt in [letter.to_string(), letter.to_uppercase().to_string()] {
                self.begins[usize::from(spelt.as_bytes()[0])] = true;
            }
            // The other alphabet of base64.
            self.begins[usize::from(b'-')] |= letter == '+';
            self.begins[usize::from(b'_')] |= letter == '/';
            for byte in 0..=u8::MAX {
                self.begins[usize::from(byte)] |= begins_spelling(byte);
            }
        }
        new
    }

    fn child(&self, node: u32, letter: char) -> Option<u32> {
        let mut child = self.nodes[node as usize].child;
        while child != 0 {
            let node = &self.nodes[child as usize];
            if node.letter == letter {
                return Some(child);
            }
            child = node.sibling;
        }
        None
    }

    /// Every value in `text`, and the beginnings of values that it ends in. `held` are those that the text before it ended in.
    pub(super) fn find(&self, text: &str, held: &[Held], hits: &mut Hits) {
        if self.is_empty() {
            return;
        }
        let mut steps = Steps::default();
        if !held.is_empty() {
            let begin = text.len() - text.trim_start_matches([' ', '\t']).len();
            let begin = if self.alphabet == Alphabet::Plain { 0 } else { begin };
            steps.now =
                held.iter().map(|held| Step { node: held.node, at: begin, letters: held.letters }).collect();
            self.walk(text, begin, &mut steps, hits);
        }
        for (at, byte) in text.bytes().enumerate() {
            if self.begins[usize::from(byte)] {
                steps.now.push(Step { node: 0, at, letters: 0 });
                self.walk(text, at, &mut steps, hits);
            }
        }
    }

    /// Goes on from the steps there are until there are none.
    fn walk(&self, text: &str, start: usize, steps: &mut Steps, hits: &mut Hits) {
        let mut longest = None;
        let Steps { now, next } = steps;
        while !now.is_empty() {
            next.clear();
            hits.steps += now.len();
            for step in now.iter() {
                let mut at = step.at;
                for _ in 0..=MOST_GAPS {
                    spellings(text, at, |letter, end| {
                        let child =
                            self.alphabet.fold(letter).and_then(|letter| self.child(step.node, letter));
                        let Some(node) = child else { return };
                        let step = Step { node, at: end, letters: step.letters + 1 };
                        if next.len() < MOST_STEPS && !next.contains(&step) {
                            next.push(step);
                        }
                    });
                    if step.letters == 0 {
                        break;
                    }
                    if text.len() - at < 4 && text[at..].trim().is_empty() {
                        self.hold(*step, start..at, hits);
                    }
                    match self.alphabet.gap(text, at) {
                        Some(end) => at = end,
                        None => break,
                    }
                }
            }
            for step in next.iter() {
                if let Some(end) = self.nodes[step.node as usize].end
                    && let Some(range) = self.accept(text, start..step.at, end)
                    && longest.as_ref().is_none_or(|longest: &Range<usize>| longest.end < range.end)
                {
                    longest = Some(range);
                }
            }
            std::mem::swap(now, next);
        }
        hits.whole.extend(longest);
    }

    /// A value that the text ends in, to be continued in the next.
    fn hold(&self, step: Step, range: Range<usize>, hits: &mut Hits) {
        let node = match self.alphabet {
            Alphabet::Plain => self.child(step.node, '\n'),
            Alphabet::Base64 | Alphabet::Hex => {
                Some(step.node).filter(|&node| self.nodes[node as usize].child != 0)
            }
        };
        let Some(node) = node else { return };
        if !range.is_empty() {
            hits.tails.push((range, step.letters >= self.alphabet.least_tail()));
        }
        let held = Held { node, letters: step.letters + usize::from(self.alphabet == Alphabet::Plain) };
        if hits.held.len() < MOST_STEPS && !hits.held.contains(&held) {
            hits.held.push(held);
        }
    }

    fn accept(&self, text: &str, mut range: Range<usize>, end: End) -> Option<Range<usize>> {
        let bytes = text.as_bytes();
        let before = range.start.checked_sub(1).map(|at| bytes[at]);
        let after = bytes.get(range.end).copied();
        let is_digit = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_digit());
        if end.number && (is_digit(before) || is_digit(after)) {
            return None;
        }
        let is_letter =
            |byte: Option<u8>| byte.is_some_and(|byte| self.alphabet.fold(char::from(byte)).is_some());
        if self.alphabet == Alphabet::Base64 {
            range.start -= usize::from(end.shared.0 && is_letter(before));
            range.end += usize::from(end.shared.1 && is_letter(after));
            range.end += bytes[range.end..].iter().take(2).take_while(|&&byte| byte == b'=').count();
        }
        Some(range)
    }
}
