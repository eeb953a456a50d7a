//! How one character may be spelt in output: as itself, percent-encoded, escaped for JSON, C, Python, a shell, SQL, CSV or
//! HTML, or as quoted-printable. Each spelling is looked at alone, so that a text may mix them as it likes.

/// The longest run of backslashes that is looked at: JSON within JSON, a few times over.
const MAX_BACKSLASHES: usize = 64;

/// Calls `found` with every character that may begin at byte `at` of `text`, and where its spelling ends.
pub(super) fn spellings(text: &str, at: usize, mut found: impl FnMut(char, usize)) {
    let bytes = text.as_bytes();
    let Some(raw) = text.get(at..).and_then(|rest| rest.chars().next()) else { return };
    found(raw, at + raw.len_utf8());
    match raw {
        '%' => percent(text, at, &mut found),
        '\\' => escape(text, at, &mut found),
        '&' => entity(bytes, at, &mut found),
        '=' => hex_bytes(bytes, at, quoted_printable, &mut found),
        '+' => found(' ', at + 1),
        '\r' if bytes.get(at + 1) == Some(&b'\n') => found('\n', at + 2),
        '\'' => {
            for quoted in ["'\\''", "'\"'\"'", "''"] {
                if bytes[at..].starts_with(quoted.as_bytes()) {
                    found('\'', at + quoted.len());
                }
            }
            // Between words of which one or both were quoted, as a shell traces them.
            if bytes.get(at + 1) == Some(&b' ') {
                found(' ', at + 2);
                if bytes.get(at + 2) == Some(&b'\'') {
                    found(' ', at + 3);
                }
            }
        }
        ' ' if bytes.get(at + 1) == Some(&b'\'') => found(' ', at + 2),
        '"' | '$' if bytes.get(at + 1) == bytes.get(at) => found(raw, at + 2),
        _ => {}
    }
}

/// Whether another spelling than the character itself may begin with `byte`.
pub(super) const fn begins_spelling(byte: u8) -> bool {
    matches!(byte, b'%' | b'\\' | b'&' | b'=' | b'+' | b'\r' | b'\'' | b'"' | b'$')
}

/// Where a terminal's control sequence that begins at `at`, escaped or not, ends; it prints nothing.
pub(super) fn control_sequence(text: &str, at: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = at;
    match bytes.get(at)? {
        0x1b => at += 1,
        b'\\' => {
            at += run_of_backslashes(bytes, at);
            let spelt = ["u001b", "u001B", "x1b", "x1B", "033", "e", "E"];
            at += spelt.iter().find(|spelt| bytes[at..].starts_with(spelt.as_bytes()))?.len();
        }
        _ => return None,
    }
    if bytes.get(at) != Some(&b'[') {
        return None;
    }
    let parameters = bytes[at + 1..].iter().take(64).take_while(|byte| matches!(byte, 0x20..=0x3f)).count();
    let last = at + 1 + parameters;
    bytes.get(last).filter(|byte| matches!(byte, 0x40..=0x7e)).map(|_| last + 1)
}

fn run_of_backslashes(bytes: &[u8], at: usize) -> usize {
    bytes
        .get(at..)
        .unwrap_or_default()
        .iter()
        .take(MAX_BACKSLASHES)
        .take_while(|&&byte| byte == b'\\')
        .count()
}

fn percent(text: &str, at: usize, found: &mut impl FnMut(char, usize)) {
    let bytes = text.as_bytes();
    // An escape of JSON in an address: `%5C%22`, `%5Cu00fc`.
    let mut after = at;
    while let Some((b'\\', next)) = percent_byte(bytes, after) {
        after = next;
    }
    if after > at {
        escaped(text, at, after, found);
    }
    if bytes.get(at + 1) == Some(&b'%') {
        found('%', at + 2);
    }
    let mut end = at + 1;
    while bytes[end..].starts_with(b"25") {
        end += 2;
        found('%', end);
    }
    // `%u00FC`, as JavaScript's escape() writes it.
    if bytes.get(at + 1) == Some(&b'u')
        && let Some(letter) = hex(bytes, at + 2, 4).and_then(char::from_u32)
    {
        found(letter, at + 6);
    }
    hex_bytes(bytes, at, percent_byte, found);
}

/// `%XX`, with the percent sign encoded again any number of times.
fn percent_byte(bytes: &[u8], at: usize) -> Option<(u8, usize)> {
    if bytes.get(at) != Some(&b'%') {
        return None;
    }
    let mut at = at + 1;
    while bytes[at..].starts_with(b"25") && hex(bytes, at + 2, 2).is_some() {
        at += 2;
    }
    Some((u8::try_from(hex(bytes, at, 2)?).ok()?, at + 2))
}

fn quoted_printable(bytes: &[u8], at: usize) -> Option<(u8, usize)> {
    if bytes.get(at) != Some(&b'=') {
        return None;
    }
    Some((u8::try_from(hex(bytes, at + 1, 2)?).ok()?, at + 3))
}

/// A character as one byte or, beyond ASCII, as the bytes of its UTF-8 or as the one of Latin-1.
fn hex_bytes(
    bytes: &[u8],
    at: usize,
    byte_at: impl Fn(&[u8], usize) -> Option<(u8, usize)>,
    found: &mut impl FnMut(char, usize),
) {
    let Some((first, mut end)) = byte_at(bytes, at) else { return };
    found(char::from(first), end);
    let length = match first {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return,
    };
    let mut whole = vec![first];
    while whole.len() < length {
        let Some((byte, next)) = byte_at(bytes, end) else { return };
        whole.push(byte);
        end = next;
    }
    if let Some(letter) = std::str::from_utf8(&whole).ok().and_then(|text| text.chars().next()) {
        found(letter, end);
    }
}

/// What a run of backslashes, which doubles with every encoding, and what follows it stand for.
fn escape(text: &str, at: usize, found: &mut impl FnMut(char, usize)) {
    let bytes = text.as_bytes();
    let run = run_of_backslashes(bytes, at);
    for length in [2, 4, 8] {
        if length <= run {
            found('\\', at + length);
        }
    }
    escaped(text, at, at + run, found);
}

/// The character whose escape begins at `at`, and goes on behind the backslashes at `after`.
fn escaped(text: &str, at: usize, after: usize, found: &mut impl FnMut(char, usize)) {
    let bytes = text.as_bytes();
    let Some(letter) = text.get(after..).and_then(|rest| rest.chars().next()) else { return };
    let control = match letter {
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        'b' => Some('\u{8}'),
        'f' => Some('\u{c}'),
        'v' => Some('\u{b}'),
        'a' => Some('\u{7}'),
        'e' | 'E' => Some('\u{1b}'),
        'u' | 'U' => {
            unicode(bytes, after, found);
            None
        }
        'x' | '0'..='7' => {
            braced(bytes, after, found);
            hex_bytes(bytes, at, c_byte, found);
            None
        }
        '%' => {
            if let Some((byte, end)) = percent_byte(bytes, after)
                && !byte.is_ascii_alphanumeric()
            {
                found(char::from(byte), end);
            }
            Some('%')
        }
        other => (!other.is_alphanumeric()).then_some(other),
    };
    if let Some(control) = control {
        found(control, after + letter.len_utf8());
    }
}

/// `\xHH` or `\OOO`, behind any number of backslashes.
fn c_byte(bytes: &[u8], at: usize) -> Option<(u8, usize)> {
    let run = run_of_backslashes(bytes, at);
    let after = at + run;
    if run == 0 {
        return None;
    }
    if bytes.get(after) == Some(&b'x') {
        return Some((u8::try_from(hex(bytes, after + 1, 2)?).ok()?, after + 3));
    }
    let digits = bytes[after..].iter().take(3).take_while(|byte| matches!(byte, b'0'..=b'7')).count();
    let value = bytes[after..after + digits].iter().fold(0, |sum, digit| sum * 8 + u32::from(digit - b'0'));
    (digits > 0).then_some(())?;
    Some((u8::try_from(value).ok()?, after + digits))
}

/// `u00fc`, `ud83d\ude00`, `u{fc}` or `U0001f600`, from the letter on.
fn unicode(bytes: &[u8], at: usize, found: &mut impl FnMut(char, usize)) {
    let mut tell = |code: Option<u32>, end| {
        if let Some(letter) = code.and_then(char::from_u32) {
            found(letter, end);
        }
    };
    if bytes[at] == b'U' {
        return tell(hex(bytes, at + 1, 8), at + 9);
    }
    if bytes.get(at + 1) == Some(&b'{') {
        return braced(bytes, at, found);
    }
    let Some(unit) = hex(bytes, at + 1, 4) else { return };
    if !(0xd800..0xdc00).contains(&unit) {
        return tell(Some(unit), at + 5);
    }
    let low = at + 5 + run_of_backslashes(bytes, at + 5);
    if low > at + 5
        && bytes.get(low) == Some(&b'u')
        && let Some(second @ 0xdc00..0xe000) = hex(bytes, low + 1, 4)
    {
        tell(Some(0x1_0000 + ((unit - 0xd800) << 10) + (second - 0xdc00)), low + 5);
    }
}

/// `{fc}` behind the letter at `at`: `\u{fc}` of Rust and JavaScript, `\x{fc}` of Perl.
fn braced(bytes: &[u8], at: usize, found: &mut impl FnMut(char, usize)) {
    if bytes.get(at + 1) != Some(&b'{') {
        return;
    }
    let digits = bytes[at + 2..].iter().take(6).take_while(|byte| byte.is_ascii_hexdigit()).count();
    if bytes.get(at + 2 + digits) == Some(&b'}')
        && let Some(letter) = hex(bytes, at + 2, digits).and_then(char::from_u32)
    {
        found(letter, at + 3 + digits);
    }
}

fn entity(bytes: &[u8], at: usize, found: &mut impl FnMut(char, usize)) {
    let mut at = at + 1;
    while bytes[at..].starts_with(b"amp;") {
        at += 4;
        found('&', at);
    }
    for (name, letter) in [("lt;", '<'), ("gt;", '>'), ("quot;", '"'), ("apos;", '\''), ("nbsp;", '\u{a0}')] {
        if bytes[at..].starts_with(name.as_bytes()) {
            found(letter, at + name.len());
        }
    }
    if bytes.get(at) != Some(&b'#') {
        return;
    }
    let (begin, radix) =
        if matches!(bytes.get(at + 1), Some(b'x' | b'X')) { (at + 2, 16) } else { (at + 1, 10) };
    let digits = bytes[begin.min(bytes.len())..].iter().take(8);
    let end = begin + digits.take_while(|byte| char::from(**byte).is_digit(radix)).count();
    if bytes.get(end) == Some(&b';')
        && let Some(letter) = std::str::from_utf8(&bytes[begin..end])
            .ok()
            .and_then(|digits| u32::from_str_radix(digits, radix).ok())
            .and_then(char::from_u32)
    {
        found(letter, end + 1);
    }
}

/// The number that `digits` hexadecimal digits at `at` spell.
fn hex(bytes: &[u8], at: usize, digits: usize) -> Option<u32> {
    let spelt = bytes.get(at..at + digits).filter(|spelt| !spelt.is_empty())?;
    spelt.iter().try_fold(0, |sum: u32, &byte| Some(sum << 4 | char::from(byte).to_digit(16)?))
}
