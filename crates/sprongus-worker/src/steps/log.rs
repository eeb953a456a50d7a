//! What a step prints, on its way into the run's log: pieces of lines are joined, masked, and shipped while the run's budget
//! lasts; the rest goes into a file ([`crate::steps::spill`]). Commands and models print the same way.

use std::mem;

use sprongus_core::redact::LineEnds;
use sprongus_core::run::step::{LogLine, Stream};
use sprongus_core::values::time::Timestamp;

use crate::process::OutputBudget;
use crate::secrets::Masks;
use crate::steps::context::StepContext;
use crate::steps::spill::{Spill, Spilled, artifact_name};

/// Pieces of a line are joined up to here, so that a secret on a seam is seen. A longer line is masked in parts; of it the log
/// has the beginning, and a spilled one is whole.
const LONGEST_JOINED: usize = 64 * 1024;

/// The way of one step's lines.
pub(crate) struct StepLog<'a> {
    context: &'a StepContext<'a>,
    masks: &'a Masks,
    budget: &'a OutputBudget,
    stdout: Line,
    stderr: Line,
    spill: Option<Result<Spill, String>>,
    lines: u64,
    bytes: u64,
}

/// The line of a stream that has no end yet.
#[derive(Default)]
struct Line {
    text: String,
    /// Where its beginning went, if that is gone.
    begun: Option<Goal>,
    /// What the lines before it ended in.
    ends: LineEnds,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Goal {
    Log,
    Spill,
}

/// A line, or a part of a very long one, masked.
pub(crate) struct LinePiece {
    pub(crate) text: String,
    whole: bool,
}

impl<'a> StepLog<'a> {
    pub(crate) fn new(context: &'a StepContext<'a>, masks: &'a Masks, budget: &'a OutputBudget) -> Self {
        let (stdout, stderr) = (Line::default(), Line::default());
        Self { context, masks, budget, stdout, stderr, spill: None, lines: 0, bytes: 0 }
    }

    pub(crate) fn masks(&self) -> &'a Masks {
        self.masks
    }

    /// A word of the worker's own about the step; masked here.
    pub(crate) async fn say(&self, text: &str) {
        self.context.recorder.say(Some(&self.context.step.name), self.masks.text(text)).await;
    }

    /// Takes a piece of a line, and gives back what is ready to be written.
    pub(crate) fn join(&mut self, stream: Stream, piece: String, continued: bool) -> Option<LinePiece> {
        let masks = self.masks;
        let line = self.line(stream);
        if line.text.is_empty() {
            line.text = piece;
        } else {
            line.text.push_str(&piece);
        }
        match (continued, line.text.len() < LONGEST_JOINED) {
            (false, _) => {
                let text = masks.line(mem::take(&mut line.text), &mut line.ends);
                Some(LinePiece { text, whole: true })
            }
            (true, true) => None,
            (true, false) => Some(LinePiece { text: masked_beginning(masks, &mut line.text), whole: false }),
        }
    }

    fn line(&mut self, stream: Stream) -> &mut Line {
        match stream {
            Stream::Stdout | Stream::System => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }

    /// Writes what [`StepLog::join`] made.
    pub(crate) async fn write(&mut self, stream: Stream, at: Timestamp, part: LinePiece) {
        let LinePiece { text, whole } = part;
        self.bytes += text.len() as u64 + u64::from(whole);
        self.lines += u64::from(whole);
        let begun = self.line(stream).begun;
        let goal = begun.unwrap_or_else(|| match self.budget.admit(text.len()) {
            true => Goal::Log,
            false => Goal::Spill,
        });
        self.line(stream).begun = (!whole).then_some(goal);
        match (goal, begun) {
            (Goal::Log, None) => {
                let step = Some(self.context.step.name.clone());
                self.context.recorder.line(LogLine { stream, at, step, text }).await;
            }
            // The log cuts a line before its first part ends.
            (Goal::Log, Some(_)) => {}
            (Goal::Spill, _) => {
                if self.spill.is_none() {
                    self.spill = Some(self.begin_spill().await);
                }
                if let Some(Ok(spill)) = &mut self.spill {
                    spill.write(stream, &text, whole).await;
                }
            }
        }
    }

    async fn begin_spill(&self) -> Result<Spill, String> {
        let StepContext { step, folders, .. } = self.context;
        let made = match artifact_name(&step.name, step.ordinal) {
            Ok(name) => Spill::create(folders.spill(step.ordinal), name.clone())
                .await
                .map(|spill| (spill, name))
                .map_err(|error| format!("cannot create a file for it: {}", error.kind())),
            Err(error) => Err(error.message().to_owned()),
        };
        match made {
            Ok((spill, name)) => {
                self.say(&format!("[more output is in the artifact {name}]")).await;
                Ok(spill)
            }
            Err(why) => {
                self.say(&format!("[output cut: {why}]")).await;
                Err(why)
            }
        }
    }

    /// Keeps what was spilled, and says how much there was. That it could not be kept is no fault of the step.
    pub(crate) async fn end(self) {
        let Self { context, masks, lines, bytes, spill, .. } = self;
        let StepContext { step, active, tools, recorder, .. } = context;
        let Some(spill) = spill else { return };
        let say = |text: String| recorder.say(Some(&step.name), masks.text(&text));
        say(format!("[output total: {bytes} bytes in {lines} lines]")).await;
        let Ok(spill) = spill else { return };
        let Spilled { name, kept, lost, fault, answer } = spill.keep(tools.runs.as_ref(), active).await;
        match answer {
            Ok(()) => say(format!("[the artifact {name} has {kept} bytes of it]")).await,
            Err(error) => {
                let why = error.message();
                say(format!("[could not store the artifact {name} with {kept} bytes of it: {why}]")).await;
            }
        }
        if lost > 0 {
            let why = fault.map_or_else(|| "the artifact is full".to_owned(), |e| e.kind().to_string());
            say(format!("[{lost} bytes of it are lost: {why}]")).await;
        }
    }
}

/// Takes most of `text`, cut where no secret is.
fn masked_beginning(masks: &Masks, text: &mut String) -> String {
    let whole = masks.text(text);
    for eighths in [7, 6, 5, 4] {
        let cut = text.floor_char_boundary(text.len() / 8 * eighths);
        let beginning = masks.text(&text[..cut]);
        let rest = masks.text(&text[cut..]);
        if whole.len() == beginning.len() + rest.len()
            && whole.starts_with(&beginning)
            && whole.ends_with(&rest)
        {
            text.drain(..cut);
            return beginning;
        }
    }
    text.clear();
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_on_a_seam_of_a_long_line_is_masked() {
        let masks = Masks::of(["correct horse battery staple".to_owned()]);
        let length = 64_000;
        for at in [length / 8 * 7 - 10, length / 8 * 6 - 3, 100, length - 28] {
            let mut text = "x".repeat(at) + "correct horse battery staple";
            text.push_str(&"y".repeat(length - text.len()));
            let parts = masked_beginning(&masks, &mut text) + &masks.text(&text);
            assert_eq!(parts, format!("{}[secret]{}", "x".repeat(at), "y".repeat(length - at - 28)));
        }
    }
}
