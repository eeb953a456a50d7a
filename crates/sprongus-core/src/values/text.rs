//! Text that came from outside: cut to a limit, and made fit to print.
//!
//! Error texts, worker logs and names are written by handlers and callers. Before they reach a row they are cut
//! ([`storable`]), before they reach a terminal they are escaped ([`printable`]), and what an error message quotes
//! is both ([`excerpt`]). Hiding secrets and addresses is left to [`redact`](crate::redact), and should come first:
//! a secret that is cut in half is no longer recognised.

use std::borrow::Cow;

#[cfg(test)]
mod tests;

/// The most bytes that a run's `error` may hold.
pub const MAX_ERROR_BYTES: usize = 16 * 1024;

/// The most characters of foreign text that an error message quotes.
pub const MAX_EXCERPT_CHARS: usize = 64;

/// `text` as every database can keep it: cut as by [`truncate`], each NUL a U+FFFD. Postgres takes a NUL in no text
/// ([character types](https://www.postgresql.org/docs/current/datatype-character.html)), and what one store keeps all keep.
#[must_use]
pub fn storable(text: &str, max: usize) -> Cow<'_, str> {
    if text.contains('\0') {
        return Cow::Owned(truncate(&text.replace('\0', "\u{fffd}"), max).into_owned());
    }
    truncate(text, max)
}

/// Cuts `text` to at most `max` bytes, on a character boundary, and says within the limit that it was cut.
///
/// The ending reads `… [cut: 20480 bytes in all]`. Where `max` has no room for it, `…` alone stands at the end, and
/// below three bytes nothing does: the limit is kept in every case.
#[must_use]
pub fn truncate(text: &str, max: usize) -> Cow<'_, str> {
    if text.len() <= max {
        return Cow::Borrowed(text);
    }
    let full = format!("… [cut: {} bytes in all]", text.len());
    let ending = [full.as_str(), "…"].into_iter().find(|ending| ending.len() <= max).unwrap_or("");
    let kept = text.floor_char_boundary(max - ending.len());
    Cow::Owned(format!("{}{ending}", &text[..kept]))
}

/// Escapes what could drive a terminal or mislead a reader: control characters (ESC and carriage return among them),
/// characters that turn the direction of writing, and characters that cannot be seen.
///
/// Line feeds and tabs stay. An escaped character reads `\u{1b}`. Text without such characters is not copied.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    let unfit = |c: char| c != '\n' && c != '\t' && is_unprintable(c);
    let Some(first) = text.find(unfit) else { return Cow::Borrowed(text) };
    let mut out = String::with_capacity(text.len() + 16);
    out.push_str(&text[..first]);
    for c in text[first..].chars() {
        if unfit(c) { out.extend(c.escape_unicode()) } else { out.push(c) }
    }
    Cow::Owned(out)
}

/// An error that may have many lines, on one: its first line, which says what failed, and its last one, which mostly says why. Where
/// there is no room for both, the last one alone.
#[must_use]
pub fn in_short(error: &str, max_chars: usize) -> String {
    let mut lines = error.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    let Some(last) = lines.next_back() else { return clip(first, max_chars) };
    let both = format!("{first}: {last}");
    if both.chars().count() <= max_chars { clip(&both, max_chars) } else { clip(last, max_chars) }
}

/// [`clip`] for what an error message quotes of a request: never over [`MAX_EXCERPT_CHARS`].
#[must_use]
pub fn excerpt(text: &str, max_chars: usize) -> String {
    clip(text, max_chars.min(MAX_EXCERPT_CHARS))
}

/// The beginning of `text` on one line, escaped as by [`printable`] (line feeds and tabs too), at most `max_chars` characters long; it
/// ends in `…` if there was more.
#[must_use]
pub fn clip(text: &str, max_chars: usize) -> String {
    let mut out = String::new();
    let (mut used, mut fits) = (0, 0);
    for c in text.chars() {
        let before = out.len();
        if is_unprintable(c) {
            out.extend(c.escape_unicode())
        } else {
            out.push(c)
        }
        used += out[before..].chars().count();
        if used > max_chars {
            out.truncate(fits);
            if max_chars > 0 {
                out.push('…');
            }
            return out;
        }
        // The ellipsis needs a character, so a cut goes back to where one was still free.
        if used < max_chars {
            fits = out.len();
        }
    }
    out
}

fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}
