//! The beginning of what a step prints, which is its output.

use super::ending::StepOutput;
use super::lines::{text, whole_characters};

/// The longest step output.
const LONGEST_OUTPUT: usize = 64 * 1024;
const OUTPUT_MARK: &str = "\n[output cut: more than 64 KiB]";

/// Bytes as they come; those beyond the output are only counted on.
#[derive(Debug, Default)]
pub(crate) struct Head {
    bytes: Vec<u8>,
    cut: bool,
}

impl Head {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        // A little more than the output, so that newlines at its very end do not make it look cut.
        let room = (LONGEST_OUTPUT + 1024).saturating_sub(self.bytes.len());
        self.cut |= bytes.len() > room;
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// The output: without the newlines at its end, and with a mark where it was cut.
    pub(crate) fn output(&self) -> StepOutput {
        let (head, mut cut) = (&self.bytes, self.cut);
        let mut end = head.len();
        while !cut && end > 0 && matches!(head[end - 1], b'\n' | b'\r') {
            end -= 1;
        }
        let mut text = text(&head[..end]);
        // Replacement characters are longer than what they replace, so the text is measured and not the bytes.
        if cut || text.len() > LONGEST_OUTPUT {
            cut = true;
            let most = (LONGEST_OUTPUT - OUTPUT_MARK.len()).min(text.len());
            let mut kept = whole_characters(&text.as_bytes()[..most]);
            while !text.is_char_boundary(kept) {
                kept -= 1;
            }
            text.truncate(kept);
            text.push_str(OUTPUT_MARK);
        }
        StepOutput { text, cut }
    }
}
