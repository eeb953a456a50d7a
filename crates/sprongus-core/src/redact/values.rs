//! What of one secret is searched for: itself, its lines, its parts that are secrets alone, and what base64 and hexadecimal
//! digits make of each.

use std::collections::{BTreeSet, HashSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde_json::Value;

use super::shapes::{assigned, passwords};
use super::trie::{Alphabet, End, Held, Hits, Trie};
use super::{MIN_LINE_CHARS, MIN_VALUE_CHARS};
use crate::secrets::is_credential_name;

/// A part of a secret that no name marks as one is masked alone from so many characters on.
const MIN_PART_CHARS: usize = 8;

/// A longer value is searched for in pieces of so many letters, which bounds the search.
const PIECE: usize = 64;

/// A shorter number may stand inside of others by chance.
const LONG_NUMBER: usize = 8;

/// A shorter piece of base64 or hexadecimal digits may stand anywhere by chance.
const MIN_BASE64: usize = 4;

/// How deep parts of parts are looked for.
const DEPTH: u32 = 3;

/// The values of a redactor.
#[derive(Clone, Debug)]
pub(super) struct Values {
    count: usize,
    plain: Trie,
    base64: Trie,
    hex: Trie,
    /// Lines too short to be searched for, which are masked where they are a whole line.
    short: HashSet<String>,
}

/// What the lines before ended in, by alphabet.
#[derive(Clone, Debug, Default)]
pub(super) struct Ends {
    plain: Vec<Held>,
    base64: Vec<Held>,
    hex: Vec<Held>,
}

impl Default for Values {
    fn default() -> Self {
        let [plain, base64, hex] = [Alphabet::Plain, Alphabet::Base64, Alphabet::Hex].map(Trie::new);
        Self { count: 0, plain, base64, hex, short: HashSet::new() }
    }
}

impl Values {
    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn add(&mut self, value: &str) {
        // A secret file ends in a line feed that its use does not.
        let value = value.trim();
        let mut all = BTreeSet::new();
        if value.chars().count() >= MIN_VALUE_CHARS {
            all.insert(value.to_owned());
            parts(value, DEPTH, &mut all);
        }
        self.count += usize::from(!all.is_empty());
        for value in &all {
            self.insert(value);
        }
        if value.lines().nth(1).is_some() {
            let lines: Vec<_> = value.lines().map(str::trim).collect();
            // Once more with plain line feeds, as a log cuts them.
            self.insert(&value.lines().collect::<Vec<_>>().join("\n"));
            for line in lines {
                match line.chars().count() {
                    length if length >= MIN_LINE_CHARS => self.insert(line),
                    2.. if line.contains(char::is_alphanumeric) => {
                        self.short.insert(line.to_owned());
                    }
                    _ => {}
                }
            }
        }
    }

    fn insert(&mut self, value: &str) {
        let letters: Vec<char> = value.chars().collect();
        let number = letters.len() < LONG_NUMBER && letters.iter().all(char::is_ascii_digit);
        let end = End { number, shared: (false, false) };
        pieces(&letters, |piece, _| {
            if !piece.iter().all(|letter| letter.is_whitespace()) {
                self.plain.insert(&piece.iter().collect::<String>(), end);
            }
        });
        for lead in 0..3 {
            let (inside, shared) = inside_base64(value, lead);
            let letters: Vec<char> = inside.chars().collect();
            if letters.len() >= MIN_BASE64 {
                pieces(&letters, |piece, (first, last)| {
                    let shared = (first && shared.0, last && shared.1);
                    self.base64.insert(&piece.iter().collect::<String>(), End { number: false, shared });
                });
            }
        }
        let digits: Vec<char> =
            value.bytes().flat_map(|byte| [byte >> 4, byte & 15]).filter_map(hex).collect();
        let end = End { number: false, shared: (false, false) };
        pieces(&digits, |piece, _| self.hex.insert(&piece.iter().collect::<String>(), end));
    }

    /// Finds every value in a text that stands alone.
    pub(super) fn find(&self, text: &str, hits: &mut Hits) {
        for trie in [&self.plain, &self.base64, &self.hex] {
            trie.find(text, &[], hits);
        }
        self.find_short(text, hits);
        hits.tails.clear();
        hits.held.clear();
    }

    /// Finds every value in a line, those that began in the lines before and those that it ends in as well.
    pub(super) fn find_in_line(&self, text: &str, ends: &mut Ends, hits: &mut Hits) {
        let tries =
            [(&self.plain, &mut ends.plain), (&self.base64, &mut ends.base64), (&self.hex, &mut ends.hex)];
        for (trie, held) in tries {
            trie.find(text, held, hits);
            *held = std::mem::take(&mut hits.held);
        }
        self.find_short(text, hits);
        let tails = std::mem::take(&mut hits.tails);
        // The beginning of a piece counts where the piece before it is there.
        for (range, long) in tails {
            if long || hits.whole.iter().any(|whole| whole.end == range.start) {
                hits.whole.push(range);
            }
        }
    }

    fn find_short(&self, text: &str, hits: &mut Hits) {
        if self.short.is_empty() {
            return;
        }
        let mut at = 0;
        for line in text.split('\n') {
            let trimmed = line.trim();
            if self.short.contains(trimmed) {
                let begin = at + line.len() - line.trim_start().len();
                hits.whole.push(begin..begin + trimmed.len());
            }
            at += line.len() + 1;
        }
    }
}

fn hex(digit: u8) -> Option<char> {
    char::from_digit(u32::from(digit), 16)
}

/// Cuts a long value; with each piece comes whether it is the first and the last. The last one is as long as the others, so that
/// none is so short that it stands anywhere.
fn pieces(letters: &[char], mut take: impl FnMut(&[char], (bool, bool))) {
    if letters.len() <= 2 * PIECE {
        return take(letters, (true, true));
    }
    let whole = letters.len() / PIECE * PIECE;
    for at in (0..whole).step_by(PIECE) {
        take(&letters[at..at + PIECE], (at == 0, at + PIECE == letters.len()));
    }
    if whole < letters.len() {
        take(&letters[letters.len() - PIECE..], (false, true));
    }
}

/// The letters of base64 that a value alone decides when `lead` other bytes come before it, as in `user:password`, and whether
/// the letters around them hold bits of it as well.
fn inside_base64(value: &str, lead: usize) -> (String, (bool, bool)) {
    let bytes = [&[0; 2][..lead], value.as_bytes()].concat();
    let first = (lead * 8).div_ceil(6);
    let last = bytes.len() * 8 / 6;
    let letters = STANDARD_NO_PAD.encode(&bytes).get(first..last).unwrap_or_default().to_owned();
    (letters, (lead > 0, bytes.len() * 8 % 6 != 0))
}

/// The parts of `value` that are secrets alone.
fn parts(value: &str, depth: u32, found: &mut BTreeSet<String>) {
    let Some(depth) = depth.checked_sub(1) else { return };
    let mut add = |part: &str, least: usize| {
        let part = part.trim();
        if part.chars().count() >= least && found.insert(part.to_owned()) {
            parts(part, depth, found);
        }
    };
    if value.starts_with(['{', '['])
        && let Ok(json) = serde_json::from_str::<Value>(value)
    {
        let mut fields = Vec::new();
        // A list is one of secrets; the fields of an object need not all be.
        leaves(&json, json.is_array(), &mut fields);
        fields.iter().for_each(|(text, least)| add(text, *least));
        return;
    }
    for part in passwords(value).chain(assigned(value)) {
        add(&part, MIN_VALUE_CHARS);
        if let Some(decoded) = percent_decoded(&part) {
            add(&decoded, MIN_VALUE_CHARS);
        }
    }
    for line in value.lines() {
        if let Some((name, text)) = line.split_once('=')
            && !name.is_empty()
            && name
                .trim_start_matches("export ")
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        {
            add(text.trim().trim_matches(['"', '\'']), MIN_PART_CHARS);
        }
    }
}

/// Every text in `json`, and how long it has to be.
fn leaves(json: &Value, credential: bool, found: &mut Vec<(String, usize)>) {
    let least = if credential { MIN_VALUE_CHARS } else { MIN_PART_CHARS };
    match json {
        Value::String(text) => found.push((text.clone(), least)),
        Value::Number(number) => found.push((number.to_string(), least)),
        Value::Array(items) => items.iter().for_each(|item| leaves(item, credential, found)),
        Value::Object(members) => {
            members.iter().for_each(|(name, member)| leaves(member, is_credential_name(name), found));
        }
        Value::Null | Value::Bool(_) => {}
    }
}

fn percent_decoded(text: &str) -> Option<String> {
    if !text.contains('%') {
        return None;
    }
    let (mut bytes, mut at) = (Vec::new(), 0);
    while let Some(&byte) = text.as_bytes().get(at) {
        let pair = text.get(at + 1..at + 3).filter(|_| byte == b'%');
        match pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(decoded) => {
                bytes.push(decoded);
                at += 3;
            }
            None => {
                bytes.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(bytes).ok()
}
