//! A run's history and log as lines that are only ever appended.

use serde_json::Value;
use sprongus_core::run::event::{Event, EventType};
use sprongus_core::run::step::{LogLine, NumberedLine, Stream};
use sprongus_core::values::text::{excerpt, printable};

use super::age::{clock, length};
use super::style::{ATTENTION, BAD, DIM, GOOD, LIVE, PLAIN, of_step, paint};
use sprongus_core::run::step::StepStatus;
use std::time::Duration;

/// An event with everything it holds, for `events`.
pub fn full(event: &Event) -> String {
    let payload = match event.payload.as_str() {
        "{}" | "null" => String::new(),
        text => format!("  {}", printable(text)),
    };
    let who = excerpt(&event.actor, 32);
    let kind = paint(style_of(event.kind), format!("{:<20}", event.kind));
    format!("{:>4}  {}  {kind}  {who}{}\n", event.seq, paint(DIM, event.at), paint(DIM, payload))
}

/// An event's colour.
pub fn style_of(kind: EventType) -> anstyle::Style {
    match kind {
        EventType::Succeeded | EventType::Approved | EventType::StepCompleted => GOOD,
        EventType::Failed | EventType::Rejected | EventType::StepFailed | EventType::LeaseLost => BAD,
        EventType::RetryScheduled | EventType::Waiting | EventType::Canceled => ATTENTION,
        EventType::Started | EventType::StepStarted => LIVE,
        EventType::Enqueued
        | EventType::Released
        | EventType::Retried
        | EventType::Progressed
        | EventType::Cleaned
        | EventType::StepSkipped => PLAIN,
    }
}

/// An event in a few words, for `tail`; none for what the end or the status line tells better.
pub fn brief(event: &Event) -> Option<String> {
    let said = Said(event.payload.to_value());
    let text = match event.kind {
        EventType::Enqueued => match said.text("runAt") {
            Some(time) => format!("enqueued, due at {time}"),
            None => "enqueued".to_owned(),
        },
        EventType::Started => {
            let worker = said.text("workerId").unwrap_or_default();
            paint(LIVE, format!("attempt {} started on {worker}", said.number("attempt")))
        }
        EventType::RetryScheduled => {
            let wait = length(Duration::from_millis(said.number("retryInMs")));
            let error = said.line("error").unwrap_or_default();
            let attempt = said.number("attempt");
            paint(ATTENTION, format!("attempt {attempt} failed: {error}; retrying in {wait}"))
        }
        EventType::Released => "released by its worker".to_owned(),
        EventType::LeaseLost => paint(BAD, "lease lost: no heartbeat from its worker"),
        EventType::Retried => "retried, with all attempts again".to_owned(),
        EventType::Waiting => {
            let until = said.text("until").map(|until| format!(" until {until}")).unwrap_or_default();
            let hint = format!("approve with `sprongus runs approve {}`", event.run_id);
            paint(ATTENTION, format!("waiting for approval{until}; {hint}"))
        }
        EventType::Approved => answered("approved", event, &said),
        EventType::Rejected => answered("rejected", event, &said),
        EventType::Progressed => format!("{} %  {}", said.number("progress"), said.text("message")?),
        EventType::Cleaned => "cleaned up".to_owned(),
        EventType::StepStarted => step(&said, StepStatus::Running),
        EventType::StepCompleted => step(&said, StepStatus::Completed),
        EventType::StepFailed => step(&said, StepStatus::Failed),
        EventType::StepSkipped => step(&said, StepStatus::Skipped),
        EventType::Succeeded | EventType::Failed | EventType::Canceled => return None,
    };
    Some(format!("{}  {text}\n", paint(DIM, clock(event.at))))
}

fn answered(word: &str, event: &Event, said: &Said) -> String {
    let comment = said.text("comment").map(|comment| format!(": {comment}")).unwrap_or_default();
    format!("{word} by {}{comment}", excerpt(&event.actor, 32))
}

fn step(said: &Said, status: StepStatus) -> String {
    let (mark, style) = of_step(status);
    let (phase, name) = (said.text("phase").unwrap_or_default(), said.text("name").unwrap_or_default());
    let taken = match said.0.get("durationMs").and_then(Value::as_u64) {
        Some(millis) => format!("  {}", paint(DIM, length(Duration::from_millis(millis)))),
        None => String::new(),
    };
    format!("{} {} {name}{taken}", paint(style, mark), paint(DIM, phase))
}

/// A log that is printed line by line, with a heading wherever another attempt or step begins. A log of one step in one attempt, the
/// usual one, has none.
#[derive(Default)]
pub struct Logged {
    has_begun: bool,
    last: Option<(u32, Option<String>)>,
}

impl Logged {
    /// Looks at what is printed first: where it is of one step in the first attempt, it needs no heading.
    pub fn begin(&mut self, lines: &[NumberedLine]) {
        let of = |line: &NumberedLine| (line.attempt, line.line.step.clone());
        let Some(first) = lines.first().filter(|_| !self.has_begun).map(of) else { return };
        self.has_begun = true;
        if first.0 == 1 && lines.iter().all(|line| of(line) == first) {
            self.last = Some(first);
        }
    }

    pub fn line(&mut self, line: &NumberedLine) -> String {
        let of = (line.attempt, line.line.step.clone());
        let heading = if self.last.as_ref() == Some(&of) {
            String::new()
        } else {
            let step =
                of.1.as_deref().map(|step| format!(", step {}", excerpt(step, 64))).unwrap_or_default();
            format!("{}\n", paint(DIM, format!("── attempt {}{step}", of.0)))
        };
        self.last = Some(of);
        format!("{heading}{}", log(&line.line))
    }
}

/// A log line behind its stream.
pub fn log(line: &LogLine) -> String {
    let stream = match line.stream {
        Stream::Stdout => paint(DIM, "out |"),
        Stream::Stderr => paint(ATTENTION, "err |"),
        Stream::System => paint(DIM, "sys |"),
    };
    let begin = format!("{}  {stream}", paint(DIM, clock(line.at)));
    // A line of somebody else's worker may hold several, and none of them must pass for an event.
    printable(&line.text).split('\n').map(|text| format!("{begin} {text}\n")).collect()
}

/// An event's payload, read for people.
struct Said(Value);

impl Said {
    fn text(&self, name: &str) -> Option<String> {
        self.0.get(name)?.as_str().map(|text| excerpt(text, 64))
    }

    /// The first line alone.
    fn line(&self, name: &str) -> Option<String> {
        self.0.get(name)?.as_str()?.lines().next().map(|line| excerpt(line, 64))
    }

    fn number(&self, name: &str) -> u64 {
        self.0.get(name).and_then(Value::as_u64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use sprongus_core::values::time::Timestamp;

    use super::*;

    #[test]
    fn no_line_of_a_log_passes_for_an_event() {
        let text = "x\n13:00:00Z  ✓ succeeded in 1s".to_owned();
        let line = LogLine { stream: Stream::Stdout, at: Timestamp::from_millis(0), step: None, text };
        let shown = anstream::adapter::strip_str(&log(&line)).to_string();
        assert_eq!(shown, "00:00:00Z  out | x\n00:00:00Z  out | 13:00:00Z  ✓ succeeded in 1s\n");
    }
}
