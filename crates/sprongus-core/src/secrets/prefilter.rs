//! A quick look at raw JSON text, to spare a clean input the whole search.

use std::sync::LazyLock;

use regex::Regex;

use super::names::{CREDENTIAL_ENDINGS, CREDENTIAL_WORDS};
use super::{MIN_BASE64, base64, holds_keyword};

/// Credential names as raw text may spell them: in any case, with anything between the letters that a name ignores,
/// escaped or not.
static NAMES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let spelling = |name: &&str| {
        let letters: Vec<_> =
            name.chars().map(|letter| format!("[{}{letter}]", letter.to_ascii_uppercase())).collect();
        letters.join(r"(?:[^A-Za-z0-9]|\\+[bfnrt])*")
    };
    let names: Vec<_> = CREDENTIAL_ENDINGS.iter().chain(CREDENTIAL_WORDS).map(spelling).collect();
    Regex::new(&names.join("|")).ok()
});

/// Whether the JSON document `text` may hold a secret. If not, [`find`](super::find) on it finds nothing.
///
/// It allocates nothing and errs on the side of `true`: an array (its strings could be parts of one), an escape that
/// could spell a keyword, a long run of letters that could be base64, or any word that a rule starts from will do.
#[must_use]
pub fn may_hold_secret(text: &str) -> bool {
    may_be_decoded(text.as_bytes())
        || holds_keyword(text)
        || NAMES.as_ref().is_none_or(|names| names.is_match(text))
}

fn may_be_decoded(text: &[u8]) -> bool {
    let mut letters = 0;
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        at += 1;
        match byte {
            b'[' => return true,
            b'\\' => {
                // JSON within JSON has its backslashes doubled, once or more.
                at += text[at..].iter().take_while(|&&byte| byte == b'\\').count();
                match text.get(at) {
                    Some(b'u' | b'/') => return true,
                    // An escaped line feed wraps base64, and its own letter might be one of it.
                    Some(b'n' | b'r') => {}
                    _ => letters = 0,
                }
            }
            b'\n' | b'\r' => {}
            _ if base64::is_letter(byte) => {
                letters += 1;
                if letters >= MIN_BASE64 {
                    return true;
                }
            }
            _ => letters = 0,
        }
    }
    false
}
