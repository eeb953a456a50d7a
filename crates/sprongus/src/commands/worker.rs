//! `worker`: executes the kinds that `sprongus.toml` declares, until a signal.

use std::time::Duration;

use sprongus_core::Error;
use sprongus_core::names::Kind;

use crate::app::App;
use crate::connect::Access;
use crate::exit::Exit;
use crate::failure::Outcome;
use crate::work::{self, Wishes};
use crate::{render, times};

/// How.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The first SIGTERM or Ctrl-C stops claiming and lets what runs end within the grace; the second, or the \
                        end of the grace, stops processes and gives their runs back."
)]
pub struct Args {
    /// Runs executed at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub concurrency: Option<u32>,
    /// Only these kinds; otherwise all that are declared
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    pub kinds: Vec<Kind>,
    /// How long a run is held without a heartbeat, 1s to 1h; 30s unless said otherwise
    #[arg(long, value_name = "DURATION", value_parser = times::span)]
    pub lease: Option<Duration>,
    /// How long what runs may go on after the first signal; 30s unless said otherwise
    #[arg(long, value_name = "DURATION", value_parser = times::span)]
    pub grace: Option<Duration>,
}

/// Works.
pub async fn run(args: Args, app: &App) -> Outcome {
    if let Some(lease) = args.lease {
        sprongus_core::rules::claim::check_lease(lease)?;
    }
    let declaration = app.declaration()?.ok_or_else(|| {
        Error::validation("there is no sprongus.toml here or above, so there are no kinds to execute")
            .with_hint("`sprongus init` writes a first one")
    })?;
    for kind in &args.kinds {
        if !declaration.kinds.contains_key(kind.as_str()) {
            let declared = declaration.kinds.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            return Err(Error::validation(format!("--kinds: {kind} is not declared"))
                .with_hint(format!("{} declares {declared}", declaration.path.display()))
                .into());
        }
    }
    let connection = app.connect(Access::Serves).await?;
    render::log::start(&app.screen);
    let wishes =
        Wishes { concurrency: args.concurrency, kinds: args.kinds, lease: args.lease, grace: args.grace };
    work::serve(connection.runs, declaration, wishes).await?;
    Ok(Exit::Done)
}
