//! Cuts a stream of bytes into lines of text, holding at most one piece of a line.

use std::mem;
use std::time::Instant;

/// A longer line is handed on in pieces.
pub const LONGEST_LINE: usize = 8 * 1024;

/// Where a line was printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// The name as JSON has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// A line that a command printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputLine {
    /// Standard output or standard error.
    pub stream: Stream,
    /// The text without its end. Bytes that are no UTF-8 and NUL, which a database refuses, became U+FFFD.
    pub text: String,
    /// When it was read.
    pub at: Instant,
    /// Whether the line was longer than 8 KiB, and the next entry of this stream continues it.
    pub continued: bool,
    /// Whether it was drawn over the one before it, as a progress bar is: that one ended with `\r` alone.
    pub redraws: bool,
}

/// A piece that was cut off.
pub(crate) struct Cut {
    pub(crate) text: String,
    pub(crate) continued: bool,
    pub(crate) redraws: bool,
}

/// The cutter of one stream.
#[derive(Debug, Default)]
pub(crate) struct LineCutter {
    pending: Vec<u8>,
    after_return: bool,
    redraws: bool,
}

impl LineCutter {
    /// Takes bytes and gives back the lines that they complete, with whether each is continued.
    ///
    /// A `\r` ends a line as `\n` does, for progress bars redraw theirs with it; `\r\n` is one end.
    pub(crate) fn push(&mut self, bytes: &[u8], mut line: impl FnMut(String, bool)) {
        self.cut(bytes, |cut| line(cut.text, cut.continued));
    }

    /// The same, with whether each is drawn over the one before it.
    pub(crate) fn cut(&mut self, mut bytes: &[u8], mut line: impl FnMut(Cut)) {
        while !bytes.is_empty() {
            if self.after_return {
                self.after_return = false;
                if bytes[0] == b'\n' {
                    bytes = &bytes[1..];
                    continue;
                }
                self.redraws = true;
            }
            let room = LONGEST_LINE - self.pending.len();
            let window = &bytes[..bytes.len().min(room + 1)];
            match window.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
                Some(end) => {
                    self.pending.extend_from_slice(&bytes[..end]);
                    self.after_return = bytes[end] == b'\r';
                    bytes = &bytes[end + 1..];
                    line(self.piece(self.pending.len(), false));
                }
                None if window.len() > room => {
                    self.pending.extend_from_slice(&bytes[..room]);
                    bytes = &bytes[room..];
                    let whole = whole_characters(&self.pending);
                    line(self.piece(whole, true));
                }
                None => {
                    self.pending.extend_from_slice(bytes);
                    bytes = &[];
                }
            }
        }
    }

    /// Gives back the last line, if it has no end.
    pub(crate) fn finish(&mut self, mut line: impl FnMut(String, bool)) {
        self.finish_cut(|cut| line(cut.text, cut.continued));
    }

    /// The same, as [`LineCutter::cut`] gives it.
    pub(crate) fn finish_cut(&mut self, mut line: impl FnMut(Cut)) {
        if !self.pending.is_empty() {
            line(self.piece(self.pending.len(), false));
        }
    }

    fn piece(&mut self, length: usize, continued: bool) -> Cut {
        let cut =
            Cut { text: text(&self.pending[..length]), continued, redraws: mem::take(&mut self.redraws) };
        self.pending.drain(..length);
        cut
    }
}

pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace('\0', "\u{FFFD}")
}

/// The length without a character at the end of which only the beginning is there.
pub(super) fn whole_characters(bytes: &[u8]) -> usize {
    let start = bytes.iter().rposition(|byte| byte & 0xC0 != 0x80).unwrap_or(bytes.len());
    let incomplete = std::str::from_utf8(&bytes[start..]).is_err_and(|error| error.error_len().is_none());
    // Never nothing: a piece has to become shorter for the cutter to go on.
    if incomplete && start > 0 { start } else { bytes.len() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(pieces: &[&[u8]]) -> Vec<(String, bool)> {
        let (mut cutter, mut lines) = (LineCutter::default(), Vec::new());
        for piece in pieces {
            cutter.push(piece, |text, continued| lines.push((text, continued)));
        }
        cutter.finish(|text, continued| lines.push((text, continued)));
        lines
    }

    fn texts(pieces: &[&[u8]]) -> Vec<String> {
        cut(pieces).into_iter().map(|(text, _)| text).collect()
    }

    #[test]
    fn cuts_at_every_kind_of_end() {
        assert_eq!(texts(&[b"a\nb\r\n", b"c\r", b"\n\nd\re\n", b"f"]), ["a", "b", "c", "", "d", "e", "f"]);
        assert_eq!(texts(&[b"10%\r20%\rdone\n"]), ["10%", "20%", "done"]);
        assert_eq!(texts(&[b""]), Vec::<String>::new());
        assert_eq!(texts(&[b"\xff\x00\xc3", b"\xa9\n"]), ["\u{FFFD}\u{FFFD}é"]);
    }

    #[test]
    fn a_line_that_is_drawn_over_another_is_told_from_one_below_it() {
        let (mut cutter, mut redraws) = (LineCutter::default(), Vec::new());
        for piece in [b"1%\r2%\r".as_slice(), b"3%\r\n", b"done\r", b"\nlast"] {
            cutter.cut(piece, |cut| redraws.push((cut.text, cut.redraws)));
        }
        cutter.finish_cut(|cut| redraws.push((cut.text, cut.redraws)));
        let expected = [("1%", false), ("2%", true), ("3%", true), ("done", false), ("last", false)];
        assert_eq!(redraws, expected.map(|(text, redraws)| (text.to_owned(), redraws)));
    }

    #[test]
    fn hands_a_long_line_on_in_pieces() {
        let mut exact = vec![b'x'; LONGEST_LINE];
        exact.push(b'\n');
        assert_eq!(cut(&[&exact]), [("x".repeat(LONGEST_LINE), false)]);

        let long = "é".repeat(LONGEST_LINE);
        let mut odd = b"x".to_vec();
        odd.extend_from_slice(long.as_bytes());
        let pieces = cut(&[&odd]);
        assert_eq!(pieces.len(), 3);
        assert!(pieces[0].1 && pieces[1].1 && !pieces[2].1);
        assert!(pieces.iter().all(|(text, _)| text.len() <= LONGEST_LINE && !text.contains('\u{FFFD}')));
        assert_eq!(pieces.into_iter().map(|(text, _)| text).collect::<String>(), format!("x{long}"));

        let binary = vec![0x80; LONGEST_LINE * 3];
        assert!(cut(&[&binary]).iter().all(|(text, _)| text.chars().all(|c| c == '\u{FFFD}')));
    }

    proptest! {
        #[test]
        fn where_the_reads_fall_does_not_matter(bytes in prop::collection::vec(any::<u8>(), 0..300), at in 0usize..300) {
            let (left, right) = bytes.split_at(at.min(bytes.len()));
            prop_assert_eq!(cut(&[left, right]), cut(&[&bytes]));
        }
    }
}
