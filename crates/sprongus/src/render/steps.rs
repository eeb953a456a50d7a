//! A run's steps as a table.

use sprongus_core::run::step::{Step, StepStatus};
use sprongus_core::values::text::excerpt;
use sprongus_core::values::time::Timestamp;

use super::age::length;
use super::style::{DIM, of_step};
use super::table::{Cell, Table};

/// The steps, by attempt and order.
pub fn table(steps: &[Step], now: Timestamp) -> String {
    let mut table = Table::new(["", "ATTEMPT", "PHASE", "STEP", "STATUS", "TIME", "TOKENS", "OUTPUT"]);
    for step in steps {
        let (mark, style) = of_step(step.status);
        let tokens = match (step.tokens_in, step.tokens_out) {
            (None, None) => String::new(),
            (given, taken) => format!("{}→{}", given.unwrap_or(0), taken.unwrap_or(0)),
        };
        // The last line of an output says more than its first.
        let output = step.output.as_deref().unwrap_or_default();
        let output = output.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
        table.row([
            Cell::styled(mark, style),
            Cell::number(step.attempt),
            step.phase.as_str().into(),
            excerpt(&step.name, 48).into(),
            Cell::styled(step.status.as_str(), style),
            Cell::from(taken(step, now)),
            tokens.into(),
            Cell::styled(excerpt(output, 48), DIM),
        ]);
    }
    table.render("no steps yet")
}

fn taken(step: &Step, now: Timestamp) -> String {
    let running = step.started_at.filter(|_| step.status == StepStatus::Running).map(|from| now.since(from));
    step.duration().or(running).map(length).unwrap_or_default()
}
