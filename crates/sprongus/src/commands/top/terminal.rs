//! The terminal while `top` has it: another screen, no echo, keys as they are pressed. However `top` ends, the terminal is
//! given back as it was.

use std::io::{self, IsTerminal, Write};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use sprongus_core::Error;
use sprongus_core::redact::redact;
use sprongus_core::values::text::printable;
use tokio::io::AsyncReadExt;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::render::clip::clip;
use crate::render::style::{BAD, paint};
use crate::render::top::frame::Frame;
use crate::render::top::{Size, lines};

const ENTER: &[u8] = b"\x1b[?1049h\x1b[?25l\x1b[2J";
const LEAVE: &[u8] = b"\x1b[?25h\x1b[?1049l";
const HOME: &str = "\x1b[H";
const END_OF_LINE: &str = "\x1b[K";
const END_OF_SCREEN: &str = "\x1b[J";

/// Ctrl-C and Ctrl-D, where the terminal makes no signal and no end of them.
const CTRL_C: u8 = 3;
const CTRL_D: u8 = 4;

/// What happened to the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happened {
    /// Somebody left by `q`, or the process was asked to end.
    Quit,
    /// Somebody left by Ctrl-C.
    Interrupted,
    /// It has another size.
    Resized,
}

/// The terminal, taken.
pub struct Terminal {
    /// How the terminal was, if it is one that types.
    before: Option<Termios>,
    keys: tokio::io::Stdin,
    typing: bool,
    resizes: Signal,
    interrupts: Signal,
    ends: Signal,
}

impl Terminal {
    /// Takes the terminal.
    ///
    /// # Errors
    /// When it is gone.
    pub fn enter() -> io::Result<Self> {
        // Before the terminal is changed: from here on a signal no longer ends the process by itself.
        let (resizes, interrupts, ends) = (
            signal(SignalKind::window_change())?,
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        );
        let before = if io::stdin().is_terminal() { tcgetattr(io::stdin()).ok() } else { None };
        if let Some(before) = &before {
            let mut raw = before.clone();
            raw.local_modes &= !(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG);
            tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        }
        let terminal =
            Self { typing: before.is_some(), before, keys: tokio::io::stdin(), resizes, interrupts, ends };
        let mut out = io::stdout().lock();
        out.write_all(ENTER)?;
        out.flush()?;
        Ok(terminal)
    }

    /// Draws a frame, and what is amiss, if anything is.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn draw(&self, frame: &Frame, trouble: Option<&Error>) -> io::Result<()> {
        let size = size();
        let mut drawn =
            lines(frame, Size { rows: size.rows.saturating_sub(usize::from(trouble.is_some())), ..size });
        drawn.extend(trouble.map(|error| {
            let message = redact(error.message());
            clip(&paint(BAD, printable(&message).replace('\n', " ")), size.columns)
        }));
        let mut out = io::stdout().lock();
        out.write_all(screenful(&drawn, is_colored()).as_bytes())?;
        out.flush()
    }

    /// Waits until something happens. It may be given up and waited for anew.
    pub async fn happens(&mut self) -> Happened {
        let mut key = [0];
        loop {
            tokio::select! {
                biased;
                _ = self.interrupts.recv() => return Happened::Interrupted,
                _ = self.ends.recv() => return Happened::Quit,
                _ = self.resizes.recv() => return Happened::Resized,
                read = self.keys.read(&mut key), if self.typing => match (read, key) {
                    // A keyboard that is gone leaves the signals.
                    (Err(_) | Ok(0), _) => self.typing = false,
                    (Ok(_), [CTRL_C]) => return Happened::Interrupted,
                    (Ok(_), [b'q' | b'Q' | CTRL_D]) => return Happened::Quit,
                    (Ok(_), _) => {}
                },
            }
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Nobody can be told if that fails: it is the terminal that is gone.
        let mut out = io::stdout().lock();
        let _ = out.write_all(LEAVE).and_then(|()| out.flush());
        if let Some(before) = &self.before {
            let _ = tcsetattr(io::stdin(), OptionalActions::Flush, before);
        }
    }
}

/// Lines in the place of those that were there, without the flicker of an empty screen between them. A line is emptied before it
/// is written: behind the last column, what empties the rest of a line takes that column along.
fn screenful(lines: &[String], colored: bool) -> String {
    let mut out = HOME.to_owned();
    for (place, line) in lines.iter().enumerate() {
        out.push_str(if place > 0 { "\r\n" } else { "" });
        out.push_str(if place + 1 < lines.len() { END_OF_LINE } else { END_OF_SCREEN });
        if colored {
            out.push_str(line);
        } else {
            out.push_str(&anstream::adapter::strip_str(line).to_string());
        }
    }
    out
}

fn is_colored() -> bool {
    anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never
}

/// A terminal that does not say how large it is, is taken for one of the old size.
fn size() -> Size {
    match tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_row > 0 && size.ws_col > 0 => {
            Size { rows: size.ws_row.into(), columns: size.ws_col.into() }
        }
        Ok(_) | Err(_) => Size { rows: 24, columns: 80 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_screenful_empties_each_line_and_the_rest_of_the_screen() {
        let lines = [paint(BAD, "a"), "b".to_owned()];
        assert_eq!(screenful(&lines, false), "\x1b[H\x1b[Ka\r\n\x1b[Jb");
        assert!(screenful(&lines, true).contains("\x1b[31ma"));
    }
}
