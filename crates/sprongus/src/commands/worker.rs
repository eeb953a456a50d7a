//! `worker`: executes the kinds that `sprongus.toml` declares, until a signal.

use std::time::Duration;

use sprongus::housekeeping::Housekeeping;
use sprongus_core::Error;
use sprongus_core::values::names::{Kind, WorkerId};

use crate::app::App;
use crate::cli::times;
use crate::commands::apply;
use crate::connect::{Access, Wish};
use crate::exit::Exit;
use crate::exit::failure::Outcome;
use crate::telemetry::Telemetry;
use crate::work::{self, Wishes};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "The first SIGTERM, SIGHUP, SIGQUIT or Ctrl-C stops claiming and lets running work finish within the grace period. A second one, or the end of the grace period, stops processes and releases their runs."
)]
pub struct Args {
    /// Maximum number of runs to execute at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(sprongus_worker::MAX_CONCURRENCY)))]
    pub concurrency: Option<u32>,
    /// Only serve these kinds (default: all declared kinds)
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    pub kinds: Vec<Kind>,
    /// Lease: how long a run is held without a heartbeat, 1s to 1h (default: 30s)
    #[arg(long, value_name = "DURATION", value_parser = times::span)]
    pub lease: Option<Duration>,
    /// Grace period for running work after the first signal (default: 30s)
    #[arg(long, value_name = "DURATION", value_parser = times::span)]
    pub grace: Option<Duration>,
    /// Do not LISTEN on Postgres, for poolers in transaction mode; new runs are then found by polling every second
    #[arg(long)]
    pub no_listen: bool,
}

pub async fn run(args: Args, app: &App) -> Outcome {
    if let Some(lease) = args.lease {
        sprongus_core::rules::claim::check_lease_duration(lease)?;
    }
    let declaration = app.declaration()?;
    work::declared(declaration.as_ref(), &args.kinds)?;
    let declaration = declaration.ok_or_else(|| Error::internal("a worker without kinds"))?;
    let wish = Wish { no_listen: args.no_listen, ..app.wish() };
    let connection = app.connect_by(&wish, Access::Working).await?;
    let telemetry = Telemetry::start(&app.screen)?;
    app.warn(&connection.place);
    apply::at_start(app, &connection.place, Some(&declaration), connection.schedules.as_ref()).await?;
    let served: Vec<&str> = match args.kinds.as_slice() {
        [] => declaration.kinds.keys().map(String::as_str).collect(),
        kinds => kinds.iter().map(Kind::as_str).collect(),
    };
    let greeting = format!("serves {} from {}", served.join(", "), connection.place);
    let wishes = Wishes {
        concurrency: args.concurrency,
        kinds: args.kinds,
        lease: args.lease,
        grace: args.grace,
        is_remote: connection.is_remote(),
    };
    let ready = |id: &WorkerId| app.screen.note_now(&format!("worker {id} {greeting}; press Ctrl-C to stop"));
    // A server sweeps for the workers that are its clients.
    let _sweeping = connection.service().ok().map(|(service, _)| Housekeeping::sweeping(service.clone()));
    let shutdown = work::on_signals()?;
    let summary = work::until(connection.runs, declaration, wishes, shutdown.clone(), ready).await;
    telemetry.stop().await;
    let summary = summary?;
    app.screen.note_now(&match shutdown.signal() {
        Some(signal) => format!("stopped by {signal}"),
        None => "stopped: drained".to_owned(),
    });
    app.screen.answer(&summary, "", || {
        format!(
            "{} succeeded, {} failed, {} to be retried, {} canceled, {} released, {} waiting at a gate, {} lost\n",
            summary.succeeded,
            summary.failed,
            summary.retried,
            summary.canceled,
            summary.released,
            summary.waiting,
            summary.lost
        )
    })?;
    Ok(Exit::Done)
}
