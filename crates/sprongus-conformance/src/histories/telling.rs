//! Answers as text, a line a thing, so that two of them can be compared and the lines that differ be shown. What `Debug` keeps
//! back (JSON) stands beside it; what stores may choose (the order of events of different runs) is put in order.

use std::fmt::Debug;

use sprongus_core::run::event::Event;
use sprongus_core::run::{Applied, Claimed, Run};
use sprongus_core::store::{ClaimAnswer, Inserted};
use sprongus_core::{Error, Result};

/// Says where two texts differ.
pub(super) fn same(what: &str, expected: &str, answer: &str) -> Result<(), String> {
    if expected == answer {
        return Ok(());
    }
    let (mut left, mut right) = (expected.lines(), answer.lines());
    loop {
        match (left.next(), right.next()) {
            (None, None) => return Ok(()),
            (one, other) if one == other => {}
            (one, other) => {
                let (one, other) = (one.unwrap_or("(nothing)"), other.unwrap_or("(nothing)"));
                return Err(format!("{what}\n the model: {one}\n the store: {other}"));
            }
        }
    }
}

pub(super) fn error(error: &Error) -> String {
    format!("refused: {} | {} | {} | {:?}\n", error.code(), error.message(), error.hint(), error.fields())
}

pub(super) fn each<T>(answers: &Result<Vec<Result<T>>>, tell: impl Fn(&T) -> String) -> String {
    one(answers, |answers| answers.iter().map(|answer| one(answer, &tell)).collect())
}

pub(super) fn one<T>(answer: &Result<T>, tell: impl FnOnce(&T) -> String) -> String {
    match answer {
        Ok(answer) => tell(answer),
        Err(refusal) => error(refusal),
    }
}

pub(super) fn run(run: &Run) -> String {
    let result = run.result.as_ref().map(|json| json.as_str());
    format!("run: {run:?} input {} result {result:?}\n", run.input.as_str())
}

pub(super) fn events(events: &[Event]) -> String {
    let mut events: Vec<&Event> = events.iter().collect();
    events.sort_by_key(|event| (event.run_id, event.seq));
    events.iter().map(|event| format!("event: {event:?} {}\n", event.payload.as_str())).collect()
}

pub(super) fn applied(applied: &Applied) -> String {
    run(&applied.run) + &events(&applied.events)
}

pub(super) fn inserted(inserted: &Inserted) -> String {
    format!("{:?}\n", inserted.outcome) + &applied(&inserted.applied)
}

/// When something falls due next is a hint and may come early; it is left out.
pub(super) fn claim(answer: &ClaimAnswer) -> String {
    let claimed: String = answer.claimed.iter().map(one_claimed).collect();
    claimed + &events(&answer.events)
}

fn one_claimed(claimed: &Claimed) -> String {
    let head = format!("claimed: {:?} cleanup {}\n", claimed.lease, claimed.cleanup);
    head + &run(&claimed.run) + &lines(claimed.resume.as_slice())
}

pub(super) fn lines<T: Debug>(items: &[T]) -> String {
    items.iter().map(|item| format!("{item:?}\n")).collect()
}
