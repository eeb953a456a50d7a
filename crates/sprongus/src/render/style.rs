//! The few colours there are, by meaning.

use std::fmt::Display;

use anstyle::{AnsiColor, Style};
use sprongus_core::run::state::State;
use sprongus_core::run::step::StepStatus;

/// What went well.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// What went wrong.
pub const BAD: Style = AnsiColor::Red.on_default();
/// What goes on.
pub const LIVE: Style = AnsiColor::Cyan.on_default();
/// What wants somebody's attention.
pub const ATTENTION: Style = AnsiColor::Yellow.on_default();
/// What stands back.
pub const DIM: Style = Style::new().dimmed();
/// What stands out.
pub const BOLD: Style = Style::new().bold();
/// Nothing special.
pub const PLAIN: Style = Style::new();

/// `text` in `style`.
pub fn paint(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// A state's colour.
pub fn of_state(state: State) -> Style {
    match state {
        State::Queued => ATTENTION,
        State::Running => LIVE,
        State::Succeeded => GOOD,
        State::Failed => BAD,
        State::Canceled => DIM,
    }
}

/// A step's mark and its colour.
pub fn of_step(status: StepStatus) -> (&'static str, Style) {
    match status {
        StepStatus::Pending => ("·", DIM),
        StepStatus::Running => ("…", LIVE),
        StepStatus::Completed => ("✓", GOOD),
        StepStatus::Failed => ("✗", BAD),
        StepStatus::Skipped => ("–", DIM),
    }
}
