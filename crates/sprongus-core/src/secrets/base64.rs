//! Base64 in text: where it may be, and what it says when read leniently.
//!
//! A hidden secret need not be valid base64 by any standard, so both alphabets are read mixed, at every alignment,
//! with padding and left-over bits ignored; the `base64` crate is too strict for that.

use super::MIN_BASE64;

/// Calls `found` with every run of at least [`MIN_BASE64`] base64 characters, which may be wrapped over lines, until
/// it returns true.
pub(super) fn any_run(text: &str, mut found: impl FnMut(&[u8]) -> bool) -> bool {
    let bytes = text.as_bytes();
    let (mut start, mut letters) = (0, 0);
    for (at, &byte) in bytes.iter().enumerate() {
        if is_letter(byte) {
            if letters == 0 {
                start = at;
            }
            letters += 1;
        } else if !matches!(byte, b'\r' | b'\n') || letters == 0 {
            if letters >= MIN_BASE64 && found(&bytes[start..at]) {
                return true;
            }
            letters = 0;
        }
    }
    letters >= MIN_BASE64 && found(&bytes[start..])
}

/// What a run says if its first `skip` letters are not part of it.
pub(super) fn decode(run: &[u8], skip: usize, out: &mut Vec<u8>) {
    out.clear();
    let (mut bits, mut count) = (0_u32, 0);
    for value in run.iter().filter_map(|&byte| value_of(byte)).skip(skip) {
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
}

pub(super) const fn is_letter(byte: u8) -> bool {
    value_of(byte).is_some()
}

const fn value_of(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}
