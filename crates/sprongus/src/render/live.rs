//! The one line on stderr that moves while a run is followed on a terminal.

use std::time::{Duration, Instant};

use sprongus_core::run::state::State;
use sprongus_core::run::view::RunView;
use sprongus_core::values::text::excerpt;

use super::age::length;
use super::run;
use super::screen::Screen;
use super::style::{DIM, LIVE, paint};

const FRAMES: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const BAR: usize = 16;

/// How a followed run stands just now.
pub struct StatusLine {
    screen: Screen,
    began: Instant,
    frame: usize,
    shown: bool,
    step: Option<String>,
}

impl StatusLine {
    /// How often it moves.
    pub const EVERY: Duration = Duration::from_millis(100);

    /// A line not drawn yet.
    pub fn new(screen: Screen) -> Self {
        Self { screen, began: Instant::now(), frame: 0, shown: false, step: None }
    }

    /// Names the step that runs, or none.
    pub fn at(&mut self, step: Option<&str>) {
        self.step = step.map(|name| excerpt(name, 32));
    }

    /// Draws the line anew.
    pub fn draw(&mut self, run: &RunView) {
        if !self.screen.watched || run.state.is_final() {
            return;
        }
        self.frame = (self.frame + 1) % FRAMES.len();
        let mut parts = vec![run::state(run.state)];
        if run.state == State::Running {
            parts.push(format!("attempt {} of {}", run.attempt, run.max_attempts));
            parts.extend(self.step.clone());
            if run.progress > 0 {
                parts.push(bar(run.progress));
            }
        }
        parts.push(paint(DIM, length(self.began.elapsed())));
        self.screen.redraw(&format!("{} {}", paint(LIVE, FRAMES[self.frame]), parts.join(" · ")));
        self.shown = true;
    }

    /// Takes the line away, so that others may be written.
    pub fn clear(&mut self) {
        if self.shown {
            self.screen.redraw("");
            self.shown = false;
        }
    }
}

impl Drop for StatusLine {
    fn drop(&mut self) {
        self.clear();
    }
}

fn bar(percent: u8) -> String {
    let full = usize::from(percent) * BAR / 100;
    format!("{}{} {percent} %", "█".repeat(full), "░".repeat(BAR.saturating_sub(full)))
}
