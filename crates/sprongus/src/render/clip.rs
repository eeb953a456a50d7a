//! Lines cut to what a terminal shows.

use unicode_width::UnicodeWidthChar;

/// `line` with at most `columns` columns of text. Its colours stay, and are ended where it ended them.
pub fn clip(line: &str, columns: usize) -> String {
    let mut out = String::with_capacity(line.len());
    let mut left = columns;
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        if c == '\u{1b}' {
            // Those of `style` alone come here; they end in a letter.
            out.push(c);
            for c in rest.by_ref() {
                out.push(c);
                if c.is_ascii_alphabetic() {
                    break;
                }
            }
            continue;
        }
        let width = c.width().unwrap_or(0);
        if width > left {
            left = 0;
        } else if left > 0 {
            left -= width;
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_counted_and_colours_are_ended() {
        assert_eq!(clip("abcdef", 3), "abc");
        assert_eq!(clip("\x1b[31mabc\x1b[0mdef", 2), "\x1b[31mab\x1b[0m");
        assert_eq!(clip("日本語", 5), "日本");
        assert_eq!(clip("日本x", 3), "日", "what follows what is cut is cut too");
        assert_eq!(clip("abc", 0), "");
    }
}
