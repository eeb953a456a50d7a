//! One command of a pipeline, of a step or of a gate: started with what the contract promises it, its lines shipped masked, its output file
//! followed while it runs.

mod child_runs;
pub(crate) mod output_file;
pub(crate) mod spec;

use std::collections::VecDeque;
use std::time::Duration;

use sprongus_core::run::step::Stream;
use sprongus_core::values::text::printable;
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::declaration::{CommandTemplate, StepAction};
use crate::execution::recorder::now;
use crate::process::{self, CommandSpec, Ending, OutputLine, Status};
use crate::secrets::Masks;
use crate::steps::attempt::Attempt;
use crate::steps::command::child_runs::{ChildRefusal, ChildRuns};
use crate::steps::command::output_file::{OutputEntry, OutputFile, Outputs};
use crate::steps::command::spec::prepare;
use crate::steps::context::StepContext;
use crate::steps::log::StepLog;
use crate::steps::outcome::{FailureScope, StepFailure, StepOutcome};

/// How often a command's output file is looked at.
const LOOK: Duration = Duration::from_millis(300);

/// Lines on the way from a command to the recorder.
const IN_FLIGHT: usize = 256;

/// How much of the end of what it printed goes into the error; and of stdout's where stderr has something to say.
const TAIL_LINES: usize = 20;
const TAIL_BYTES: usize = 2 * 1024;
const LESS_TAIL_LINES: usize = 3;
const LESS_TAIL_BYTES: usize = 512;

/// Executes a step, or a gate, that runs a command.
pub(crate) async fn execute(
    attempt: &Attempt,
    command: &CommandTemplate,
    context: &StepContext<'_>,
) -> StepOutcome {
    let step = context.step;
    let (spec, file) = match prepare(attempt, command, context) {
        Ok(ready) => ready,
        Err((why, retryable)) => return StepOutcome::failed(attempt.failure(step, &why, retryable)),
    };
    let mut log = StepLog::new(context, attempt.masks(), attempt.budget());
    let children = ChildRuns::new(context, attempt.masks(), attempt.project());
    let finished = run(spec, file, context, attempt.masks(), children, &mut log).await;
    log.end().await;
    judge(attempt, context, finished)
}

/// What comes of what a command left.
fn judge(attempt: &Attempt, context: &StepContext<'_>, finished: Finished) -> StepOutcome {
    let step = context.step;
    let Finished { ending, outputs, refused, tail } = finished;
    let gone_at = ending.gone_at.map(|gone_at| now().minus(gone_at.elapsed()));
    if gone_at.is_none() {
        tracing::warn!(step = step.name, "cannot stop a process");
    }
    let mut failure = (!ending.status.is_success()).then(|| failure(attempt, context, &ending.status));
    if let Some(failure) = failure.as_mut().filter(|_| !tail.is_empty()) {
        failure.error = format!("{}\n{tail}", failure.error);
    }
    // What a command that ended well has told its worker, and what the worker could not take: its step has not done what it was to do.
    if failure.is_none()
        && let Some(problem) = outputs.lost
    {
        let why = format!("its report is lost: $SPRONGUS_OUTPUT {problem}");
        failure = Some(attempt.failure(step, &why, true));
    }
    if let (None, Some(ChildRefusal { why, retryable })) = (&failure, refused) {
        let why = format!("a child run was refused: {why}");
        failure = Some(attempt.failure(step, &why, retryable));
    }
    StepOutcome {
        output: Some(ending.output),
        result: outputs.result,
        output_ref: outputs.output_ref,
        gone_at,
        failure,
        ..StepOutcome::default()
    }
}

fn failure(attempt: &Attempt, context: &StepContext<'_>, status: &Status) -> StepFailure {
    let (step, name) = (context.step, &context.step.name);
    let what = match step.action {
        StepAction::Gate(_) => format!("gate {name:?} did not pass: its command"),
        StepAction::Command(_) | StepAction::AiAction(_) | StepAction::Artifact(_) => {
            format!("step {name:?}")
        }
    };
    let error = match status {
        Status::Exited(code) => format!("{what} exited with {code}"),
        Status::Signaled(signal) => format!("{what} was killed by signal {signal}"),
        Status::CouldNotStart(fault) => attempt.masks().text(&format!("{what} {fault}")),
        Status::TimedOut => return attempt.timed_out(step, context.deadline),
        Status::Stopped(reason) => return attempt.stopped(step, *reason),
    };
    StepFailure { error, retryable: !status.is_permanent(), scope: FailureScope::Step }
}

/// What a command left.
struct Finished {
    ending: Ending,
    outputs: Outputs,
    /// A run that it asked for in vain.
    refused: Option<ChildRefusal>,
    /// The end of what it printed, masked.
    tail: String,
}

/// Runs the command to its end.
async fn run(
    spec: CommandSpec,
    mut output: OutputFile,
    context: &StepContext<'_>,
    masks: &Masks,
    mut children: ChildRuns<'_>,
    log: &mut StepLog<'_>,
) -> Finished {
    let (lines, inbox) = mpsc::channel(IN_FLIGHT);
    let mut tail = Tails::default();
    let mut unread = VecDeque::new();
    let ending = {
        let ship = ship_lines(inbox, log, &mut tail);
        let follow = follow(&mut output, &mut unread, context, masks, &mut children);
        let command = process::run(spec, lines, context.stop.clone());
        tokio::select! {
            (ending, ()) = async { tokio::join!(command, ship) } => ending,
            never = follow => match never {},
        }
    };
    let (entries, outputs) = output.finish();
    unread.extend(entries);
    pass_on(&mut unread, context, masks, &mut children).await;
    children.send().await;
    Finished { ending, outputs, refused: children.refused(), tail: tail.text() }
}

async fn follow(
    output: &mut OutputFile,
    unread: &mut VecDeque<OutputEntry>,
    context: &StepContext<'_>,
    masks: &Masks,
    children: &mut ChildRuns<'_>,
) -> std::convert::Infallible {
    loop {
        sleep(LOOK).await;
        unread.extend(output.poll());
        pass_on(unread, context, masks, children).await;
        children.send().await;
    }
}

/// May be dropped and called again: what was not passed on yet is still there.
async fn pass_on(
    entries: &mut VecDeque<OutputEntry>,
    context: &StepContext<'_>,
    masks: &Masks,
    children: &mut ChildRuns<'_>,
) {
    while let Some(entry) = entries.front() {
        match entry {
            OutputEntry::Child(text) => children.push(text).await,
            OutputEntry::Progress(percent) => context.recorder.progress(u32::from(*percent), None),
            OutputEntry::Fault(fault) => {
                let step = Some(context.step.name.as_str());
                context.recorder.say(step, masks.text(&fault.to_string())).await;
            }
            OutputEntry::Result(_) | OutputEntry::OutputRef(_) => {}
        }
        entries.pop_front();
    }
}

async fn ship_lines(mut inbox: mpsc::Receiver<OutputLine>, log: &mut StepLog<'_>, tails: &mut Tails) {
    let mut batch = Vec::new();
    while inbox.recv_many(&mut batch, IN_FLIGHT).await > 0 {
        for OutputLine { stream, text, at, continued, redraws } in batch.drain(..) {
            let stream = match stream {
                process::Stream::Stdout => Stream::Stdout,
                process::Stream::Stderr => Stream::Stderr,
            };
            let Some(part) = log.join(stream, text, continued) else { continue };
            tails.push(stream, &part.text, redraws);
            log.write(stream, now().minus(at.elapsed()), part).await;
        }
    }
}

/// The last lines of both streams. A reason is as often printed as it is written to stderr; where both have lines, stderr's come last and
/// have most of the room.
#[derive(Default)]
struct Tails {
    stdout: Tail,
    stderr: Tail,
}

impl Tails {
    fn push(&mut self, stream: Stream, line: &str, redraws: bool) {
        match stream {
            Stream::Stderr => self.stderr.push(line, redraws),
            Stream::Stdout | Stream::System => self.stdout.push(line, redraws),
        }
    }

    fn text(self) -> String {
        let stderr = self.stderr.text(TAIL_LINES, TAIL_BYTES);
        let (lines, bytes) = if stderr.is_empty() {
            (TAIL_LINES, TAIL_BYTES)
        } else {
            (LESS_TAIL_LINES, LESS_TAIL_BYTES.min(TAIL_BYTES.saturating_sub(stderr.len())))
        };
        let stdout = self.stdout.text(lines, bytes);
        [stdout, stderr].into_iter().filter(|tail| !tail.is_empty()).collect::<Vec<_>>().join("\n")
    }
}

/// The last lines of a stream, within bounds.
#[derive(Default)]
struct Tail(VecDeque<String>);

impl Tail {
    fn push(&mut self, line: &str, redraws: bool) {
        // Of a progress bar only its last state was to be seen.
        if redraws {
            self.0.pop_back();
        }
        if self.0.len() == TAIL_LINES {
            self.0.pop_front();
        }
        let end = line.floor_char_boundary(TAIL_BYTES);
        self.0.push_back(line[..end].to_owned());
    }

    fn text(mut self, lines: usize, bytes: usize) -> String {
        let length = |lines: &VecDeque<String>| lines.iter().map(|line| line.len() + 1).sum::<usize>();
        while self.0.len() > lines || (length(&self.0) > bytes && self.0.len() > 1) {
            self.0.pop_front();
        }
        if length(&self.0) > TAIL_BYTES + 1 || bytes == 0 {
            return String::new();
        }
        let lines: Vec<_> = self.0.into();
        printable(lines.join("\n").trim_end()).into_owned()
    }
}
