//! What a worker or a server says of itself, on stderr: a line an event, or with `--json` an object, which holds the run or request
//! that it belongs to as well. Whatever a line holds, secrets and e-mail addresses are masked in it before it is written (`masked.rs`).

use std::io::{self, IsTerminal};

use tracing::{Level, Metadata};
use tracing_subscriber::filter::{EnvFilter, FilterExt, filter_fn};
use tracing_subscriber::{Layer, Registry};

mod masked;

use masked::Masked;

use super::screen::{Format, Screen};

/// Where its lines go. `SPRONGUS_LOG` filters more finely than `-v`.
pub fn layer(screen: &Screen) -> Box<dyn Layer<Registry> + Send + Sync> {
    let level = match (screen.format, screen.verbose) {
        (Format::Quiet, _) => "error",
        (_, 0) => "info",
        (_, 1) => "debug",
        (_, _) => "trace",
    };
    let filter = EnvFilter::try_from_env("SPRONGUS_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let colored = anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never;
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(|| Masked::new(io::stderr()))
        .with_ansi(colored && io::stderr().is_terminal())
        .with_target(false);
    match screen.format {
        Format::Json => {
            lines.json().with_span_list(false).with_filter(filter.and(filter_fn(is_for_the_log))).boxed()
        }
        // An event names its run itself; the span would say it again in every line.
        Format::People | Format::Quiet => {
            let is_event =
                filter_fn(|metadata: &Metadata<'_>| !metadata.is_span() && is_for_the_log(metadata));
            lines.with_filter(filter.and(is_event)).boxed()
        }
    }
}

/// What libraries say in detail is left out, whatever the filter asks for: a driver of databases tells the values of its statements
/// there, which are inputs.
fn is_for_the_log(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("sprongus") || *metadata.level() <= Level::INFO
}
