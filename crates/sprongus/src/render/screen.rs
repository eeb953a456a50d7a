//! Where results and notes go: results to stdout, everything else to stderr.

use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use sprongus_core::redact::redact;
use sprongus_core::run::list::Page;
use sprongus_core::values::time::{Clock, SystemClock, Timestamp};

use crate::cli::globals::Globals;
use crate::exit::failure::Outcome;

/// Notes for programs, until it is known whether the command succeeds.
static HELD: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// For whom to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// People: tables and relative times.
    People,
    /// Programs: JSON.
    Json,
    /// Scripts that want ids, or nothing.
    Quiet,
}

/// Where to print, and how.
#[derive(Clone, Copy, Debug)]
pub struct Screen {
    /// For whom.
    pub format: Format,
    /// Whether somebody watches stderr, so that a line there may move.
    pub watched: bool,
    /// How much more to say.
    pub verbose: u8,
    /// What stands before every line for people.
    pub margin: &'static str,
}

impl Screen {
    /// The screen the options ask for.
    pub fn new(globals: &Globals) -> Self {
        let format = match (globals.json, globals.quiet) {
            (true, _) => Format::Json,
            (false, true) => Format::Quiet,
            (false, false) => Format::People,
        };
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let watched = format == Format::People && !dumb && io::stderr().is_terminal();
        Self { format, watched, verbose: globals.verbose, margin: "" }
    }

    /// The same screen, with lines for people set in below a heading.
    #[must_use]
    pub fn indented(self) -> Self {
        Self { margin: if self.format == Format::People { "   " } else { "" }, ..self }
    }

    /// The same screen without a margin.
    #[must_use]
    pub fn outdented(self) -> Self {
        Self { margin: "", ..self }
    }

    /// The present, for relative times.
    pub fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    /// Prints a result as it is, newline included.
    pub fn text(&self, text: &str) -> Outcome<()> {
        let mut out = anstream::stdout().lock();
        if self.margin.is_empty() {
            out.write_all(text.as_bytes())?;
        } else {
            let set_in =
                |line: &str| if line == "\n" { line.to_owned() } else { format!("{}{line}", self.margin) };
            out.write_all(text.split_inclusive('\n').map(set_in).collect::<String>().as_bytes())?;
        }
        Ok(out.flush()?)
    }

    /// Prints one JSON value on one line.
    pub fn json(&self, value: &impl Serialize) -> Outcome<()> {
        let mut line = serde_json::to_vec(value).map_err(io::Error::from)?;
        line.push(b'\n');
        let mut out = io::stdout().lock();
        out.write_all(&line)?;
        Ok(out.flush()?)
    }

    /// Prints several JSON values, one a line.
    pub fn json_lines<T: Serialize>(&self, values: &[T]) -> Outcome<()> {
        let mut lines = Vec::new();
        for value in values {
            serde_json::to_writer(&mut lines, value).map_err(io::Error::from)?;
            lines.push(b'\n');
        }
        let mut out = io::stdout().lock();
        out.write_all(&lines)?;
        Ok(out.flush()?)
    }

    /// Prints one thing: as JSON, as its `id`, or for people.
    pub fn answer<T: Serialize>(&self, value: &T, id: &str, people: impl FnOnce() -> String) -> Outcome<()> {
        match self.format {
            Format::People => self.text(&people()),
            Format::Json => self.json(value),
            Format::Quiet if id.is_empty() => Ok(()),
            Format::Quiet => self.text(&format!("{id}\n")),
        }
    }

    /// Prints a whole list, or a page of one.
    pub fn list<T: Serialize>(
        &self,
        page: &Page<T>,
        id: impl Fn(&T) -> String,
        people: impl FnOnce() -> String,
    ) -> Outcome<()> {
        match self.format {
            Format::People => self.text(&people()),
            Format::Json => self.json(page),
            Format::Quiet => self.text(&page.data.iter().map(|item| id(item) + "\n").collect::<String>()),
        }
    }

    /// Says something on the side, with secrets and e-mail addresses masked; not when asked to be quiet. Programs get it as
    /// `{"note": …}` once the command has succeeded, so that the stderr of one that failed is the problem document alone.
    pub fn note(&self, text: &str) {
        if self.format == Format::Json && self.verbose == 0 {
            HELD.lock().unwrap_or_else(PoisonError::into_inner).push(text.to_owned());
        } else {
            self.note_now(text);
        }
    }

    /// The same at once, whatever comes of the command: it goes on for long, or is about to wait.
    pub fn note_now(&self, text: &str) {
        let text = redact(text);
        match self.format {
            Format::People => self.side(&format!("{text}\n")),
            Format::Json => {
                let plain = anstream::adapter::strip_str(&text).to_string();
                self.side(&format!("{}\n", serde_json::json!({"note": plain})));
            }
            Format::Quiet => {}
        }
    }

    /// Says what was held back.
    pub fn release_notes(&self) {
        let held = std::mem::take(&mut *HELD.lock().unwrap_or_else(PoisonError::into_inner));
        held.iter().for_each(|text| self.note_now(text));
    }

    /// Puts `text` in the place of the line that stderr stands on, without colour too: moving the line is no colour.
    pub fn redraw(&self, text: &str) {
        let _ = io::stderr().lock().write_all(b"\r\x1b[2K");
        if !text.is_empty() {
            self.side(&format!("{}{text}", self.margin));
        }
    }

    /// Writes to stderr as it is. Nobody can be told if that fails.
    pub fn side(&self, text: &str) {
        let mut out = anstream::stderr().lock();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}
