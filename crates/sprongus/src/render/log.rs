//! What a worker says of itself, on stderr: a line an event, or with `--json` an object.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

use super::screen::{Format, Screen};

/// Starts it. `SPRONGUS_LOG` filters more finely than `-v`.
pub fn start(screen: &Screen) {
    let level = match (screen.format, screen.verbose) {
        (Format::Quiet, _) => "error",
        (_, 0) => "info",
        (_, 1) => "debug",
        (_, _) => "trace",
    };
    let filter = EnvFilter::try_from_env("SPRONGUS_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let colored = anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(colored && io::stderr().is_terminal())
        .with_target(false);
    // A second subscriber can only be a mistake of ours, and no reason not to work.
    let _ = match screen.format {
        Format::Json => lines.json().try_init(),
        Format::People | Format::Quiet => lines.try_init(),
    };
}
