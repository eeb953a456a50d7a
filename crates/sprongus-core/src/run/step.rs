//! A step: a named part of a run, with its phase, type, status and output. And the lines a run's processes print.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use crate::error::Error;
use crate::values::ids::{RunId, StepId};
use crate::values::text::excerpt;
use crate::values::time::Timestamp;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $what:literal, $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)?) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its name on the wire and in the database.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                let known = Self::ALL.iter().copied().find(|word| word.as_str() == text);
                known.ok_or_else(|| Error::validation(format!(concat!("not ", $what, ": {}"), excerpt(text, 64))))
            }
        }
    };
}

words! {
    /// When in a run a step has its turn; phases run in this order.
    Phase, "a phase",
    /// Makes ready.
    Setup = "setup",
    /// Does the work.
    Execution = "execution",
    /// Checks it.
    Validation = "validation",
    /// Puts things away, at the end of every attempt.
    Cleanup = "cleanup",
}
words! {
    /// What a step does.
    StepType, "a step type",
    /// Runs a process.
    Command = "command",
    /// Asks a model.
    AiAction = "ai_action",
    /// Lets pass or not.
    Gate = "gate",
    /// Keeps files.
    Artifact = "artifact",
}
words! {
    /// How a step stands.
    StepStatus, "a step status",
    /// Not begun.
    Pending = "pending",
    /// Begun.
    Running = "running",
    /// Ended well.
    Completed = "completed",
    /// Ended badly.
    Failed = "failed",
    /// Passed over.
    Skipped = "skipped",
}
words! {
    /// Where a line was printed.
    Stream, "a stream",
    /// Standard output.
    Stdout = "stdout",
    /// Standard error.
    Stderr = "stderr",
    /// Said by the worker about the run, not by its process.
    System = "system",
}

impl StepStatus {
    /// Whether the step has ended.
    pub const fn is_final(self) -> bool {
        match self {
            Self::Pending | Self::Running => false,
            Self::Completed | Self::Failed | Self::Skipped => true,
        }
    }
}

/// One step of one execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its name among all steps.
    pub id: StepId,
    /// The run it belongs to.
    pub run_id: RunId,
    /// The claim it ran under; with the ordinal its key.
    pub epoch: u64,
    /// The attempt it is shown under.
    pub attempt: u32,
    /// Its place in the run.
    pub ordinal: u32,
    /// When it has its turn.
    pub phase: Phase,
    /// Its name in the declaration.
    pub name: String,
    /// Command, model call, gate or artifact.
    pub kind: StepType,
    /// How far it is.
    pub status: StepStatus,
    /// What it printed, without the trailing newline, cut at 64 KiB.
    pub output: Option<String>,
    /// Tokens given to a model.
    pub tokens_in: Option<u64>,
    /// Tokens a model gave back.
    pub tokens_out: Option<u64>,
    /// When it was first reported as running.
    pub started_at: Option<Timestamp>,
    /// When it was first reported as completed, failed or skipped.
    pub completed_at: Option<Timestamp>,
}

impl Step {
    /// How long it took, once it has ended.
    pub fn duration(&self) -> Option<Duration> {
        Some(self.completed_at?.since(self.started_at?))
    }
}

impl Serialize for Step {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let duration = self.duration().map(|taken| u64::try_from(taken.as_millis()).unwrap_or(u64::MAX));
        let mut step = out.serialize_struct("Step", 14)?;
        step.serialize_field("id", &self.id)?;
        step.serialize_field("runId", &self.run_id)?;
        step.serialize_field("attempt", &self.attempt)?;
        step.serialize_field("ordinal", &self.ordinal)?;
        step.serialize_field("phase", &self.phase)?;
        step.serialize_field("name", &self.name)?;
        step.serialize_field("type", &self.kind)?;
        step.serialize_field("status", &self.status)?;
        step.serialize_field("output", &self.output)?;
        step.serialize_field("tokensIn", &self.tokens_in)?;
        step.serialize_field("tokensOut", &self.tokens_out)?;
        step.serialize_field("startedAt", &self.started_at)?;
        step.serialize_field("completedAt", &self.completed_at)?;
        step.serialize_field("durationMs", &duration)?;
        step.end()
    }
}

/// What a worker says of a step: the whole of it, each time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepReport {
    /// Its place in the run.
    pub ordinal: u32,
    /// Its name, 1 to 128 printable characters.
    pub name: String,
    /// When it has its turn.
    pub phase: Phase,
    /// Command, model call, gate or artifact.
    pub kind: StepType,
    /// How far it is.
    pub status: StepStatus,
    /// What it printed; cut at 64 KiB.
    pub output: Option<String>,
    /// Tokens given to a model, a billion at most.
    pub tokens_in: Option<u64>,
    /// Tokens a model gave back, a billion at most.
    pub tokens_out: Option<u64>,
}

/// One line a run printed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogLine {
    /// Where it was printed.
    pub stream: Stream,
    /// When the worker read it.
    pub at: Timestamp,
    /// The step that printed it.
    pub step: Option<String>,
    /// The line, without its newline.
    pub text: String,
}

/// A line with its place in the run's log: 1, 2, 3, without a gap, over all attempts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NumberedLine {
    /// Its number in the run's log: 1, 2, 3, without gaps, over all attempts.
    pub seq: u64,
    /// The attempt that printed it.
    pub attempt: u32,
    /// What was printed, where and when; flat in JSON.
    #[serde(flatten)]
    pub line: LogLine,
}

/// Lines that were written together, as a store keeps them.
#[derive(Clone, Debug, PartialEq)]
pub struct LogChunk {
    /// The number of the first one; the others follow without a gap.
    pub first: u64,
    /// The attempt that wrote them.
    pub attempt: u32,
    /// The lines.
    pub lines: Vec<LogLine>,
}

impl LogChunk {
    /// The lines with their numbers.
    pub fn numbered(self) -> impl Iterator<Item = NumberedLine> {
        let Self { first, attempt, lines } = self;
        (first..).zip(lines).map(move |(seq, line)| NumberedLine { seq, attempt, line })
    }

    /// Up to `limit` lines behind number `after`, of chunks in their order; no more of them are read than that takes.
    ///
    /// # Errors
    /// That of the first chunk that cannot be read.
    pub fn page<E>(
        chunks: impl IntoIterator<Item = Result<Self, E>>,
        after: u64,
        limit: u32,
    ) -> Result<Vec<NumberedLine>, E> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut page = Vec::new();
        for chunk in chunks {
            page.extend(chunk?.numbered().filter(|line| line.seq > after));
            if page.len() >= limit {
                page.truncate(limit);
                break;
            }
        }
        Ok(page)
    }
}
