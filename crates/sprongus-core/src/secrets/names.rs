//! The names under which credentials are kept.

/// A name is a credential's if, in lower case and without separators, it ends in one of these.
pub const CREDENTIAL_ENDINGS: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "passwort",
    "kennwort",
    "apikey",
    "accesskey",
    "secretkey",
    "privatekey",
    "signingkey",
    "encryptionkey",
    "masterkey",
    "accountkey",
    "accesstoken",
    "authtoken",
    "apitoken",
    "bearertoken",
    "refreshtoken",
    "sessiontoken",
    "clientsecret",
    "appsecret",
    "credential",
    "credentials",
    "authorization",
];

/// A name is a credential's if its last word is one of these.
pub const CREDENTIAL_WORDS: &[&str] = &["pwd", "secret", "token"];

/// A name whose last word is `token` is harmless if the word before it is one of these: a page or a piece of text.
pub const HARMLESS_TOKEN_WORDS: &[&str] = &[
    "idempotency",
    "page",
    "pagination",
    "next",
    "previous",
    "prev",
    "continuation",
    "continue",
    "cursor",
    "sync",
    "start",
    "stop",
    "end",
    "first",
    "last",
    "bos",
    "eos",
    "pad",
    "unk",
    "mask",
    "sep",
    "cls",
    "special",
    "per",
    "max",
    "min",
];

/// No credential's name is judged by more than its last part, so that a huge key costs nothing.
const TAIL: usize = 128;

/// Whether a key such as `password`, `API-Key`, `dbPassword` or `GITHUB_TOKEN_2` names a credential.
///
/// Case, separators (whatever is no ASCII letter or digit) and numbers at the end do not matter. The last words
/// decide, by [`CREDENTIAL_ENDINGS`], [`CREDENTIAL_WORDS`] and [`HARMLESS_TOKEN_WORDS`]; so `tokens`, `max_tokens`,
/// `token_count`, `passwordPolicy`, `secret_name`, `nextPageToken` and `cost_per_token` pass.
#[must_use]
pub fn is_credential_name(key: &str) -> bool {
    let mut tail = key.as_bytes();
    while let [rest @ .., last] = tail
        && !last.is_ascii_alphabetic()
    {
        tail = rest;
    }
    tail = &tail[tail.len().saturating_sub(TAIL)..];

    // Built backwards on the stack: the letters without separators, and where the last two words begin.
    let mut joined = [0_u8; TAIL];
    let mut start = TAIL;
    let mut words = [TAIL; 2];
    let mut known = 0;
    for (at, &byte) in tail.iter().enumerate().rev() {
        if byte.is_ascii_alphanumeric() {
            start -= 1;
            joined[start] = byte.to_ascii_lowercase();
        }
        if known < 2 && begins_word(tail, at) {
            words[known] = start;
            known += 1;
        }
    }
    let joined = &joined[start..];
    if CREDENTIAL_ENDINGS.iter().any(|ending| joined.ends_with(ending.as_bytes())) {
        return true;
    }
    let is_in = |word: &[u8], list: &[&str]| list.iter().any(|entry| entry.as_bytes() == word);
    if is_in(joined, CREDENTIAL_WORDS) {
        return true;
    }
    let last = &joined[words[0].saturating_sub(start)..];
    let before = &joined[words[1].min(words[0]).saturating_sub(start)..words[0].saturating_sub(start)];
    let harmless = last == b"token" && is_in(before, HARMLESS_TOKEN_WORDS);
    is_in(last, CREDENTIAL_WORDS) && !harmless
}

/// Whether the last word of `name` is `token`, of a page or a piece of text.
pub(crate) fn is_harmless_name(name: &str) -> bool {
    name.len() > 5 && name.to_ascii_lowercase().ends_with("token") && !is_credential_name(name) && {
        // `mytoken` is no name of a credential either, but may well hold one.
        let head = name[..name.len() - 5].trim_end_matches(['_', '-', '.']).to_ascii_lowercase();
        HARMLESS_TOKEN_WORDS.iter().any(|word| head.ends_with(word))
    }
}

/// Words begin after a separator, at `dbPassword`'s `P` and at `APIKey`'s `K`.
fn begins_word(text: &[u8], at: usize) -> bool {
    let here = text[at];
    if !here.is_ascii_alphanumeric() {
        return false;
    }
    let Some(before) = at.checked_sub(1).map(|before| text[before]) else { return true };
    let ends_capitals =
        || before.is_ascii_uppercase() && text.get(at + 1).is_some_and(u8::is_ascii_lowercase);
    !before.is_ascii_alphanumeric()
        || here.is_ascii_uppercase() && (!before.is_ascii_uppercase() || ends_capitals())
}
