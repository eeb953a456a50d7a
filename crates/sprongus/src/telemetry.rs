//! What a worker or a server tells of itself: its log, and with the feature `otlp` its traces, if somewhere a collector is named.

#[cfg(feature = "otlp")]
mod collector;
#[cfg(feature = "otlp")]
mod masked;
#[cfg(feature = "otlp")]
mod traces;

use sprongus_core::Result;
use tracing_subscriber::prelude::*;

use crate::render;
use crate::render::screen::Screen;

/// The telling; it goes on to the end of the process.
pub struct Telemetry {
    #[cfg(feature = "otlp")]
    traces: Option<traces::Traces>,
}

/// Starts the log alone.
pub fn log(screen: &Screen) {
    // A second subscriber can only be a mistake of ours, and no reason not to work.
    let _ = tracing_subscriber::registry().with(render::log::layer(screen)).try_init();
}

impl Telemetry {
    /// Starts it.
    ///
    /// # Errors
    /// `validation` for a collector's address that is none.
    pub fn start(screen: &Screen) -> Result<Self> {
        #[cfg(feature = "otlp")]
        {
            let traces = traces::Traces::start()?;
            let layer = traces.as_ref().map(traces::Traces::layer);
            // As in `log`.
            let _ = tracing_subscriber::registry().with(render::log::layer(screen)).with(layer).try_init();
            Ok(Self { traces })
        }
        #[cfg(not(feature = "otlp"))]
        {
            log(screen);
            Ok(Self {})
        }
    }

    /// Sends what is not sent yet, for a few seconds at most.
    pub async fn stop(self) {
        #[cfg(feature = "otlp")]
        if let Some(traces) = self.traces {
            traces.stop().await;
        }
    }
}
