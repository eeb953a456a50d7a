//! A worker as a program makes one: its options, the kinds it serves, and [`Worker::run`].

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sprongus_core::calendar::Zones;
use sprongus_core::calendar::zone::SystemZones;
use sprongus_core::error::{Error, ErrorCode, Result};
use sprongus_core::rules::claim::check_lease_duration;
use sprongus_core::run::ClaimRequest;
use sprongus_core::runs::Runs;
use sprongus_core::values::names::{Kind, WorkerId};
use sprongus_core::workspace::directory::WorkerInfo;

use crate::declaration::Declaration;
use crate::execution::{Execute, Tools};
use crate::handler::Handler;
use crate::handler::context::RunContext;
use crate::handler::error::HandlerError;
use crate::orphans::kill_orphans;
use crate::run_loop::RunLoop;
use crate::run_loop::shutdown::Shutdown;
use crate::run_loop::summary::Summary;
use crate::secrets::names::SecretNames;
use crate::steps::pipeline::Pipeline;
use crate::workdir::abandoned::remove_abandoned;
use crate::workdir::{self, default_scratch, try_out};

/// The most runs a worker executes at once.
pub const MAX_CONCURRENCY: u32 = 10_000;

/// How a worker works.
#[derive(Clone, Debug)]
pub struct WorkerOptions {
    /// Runs it executes at once, 1 to 10,000; as many as there are CPUs by default.
    pub concurrency: u32,
    /// How long a run stays its own without a heartbeat, 1 s to 1 h; 30 s by default. It beats every third of it.
    pub lease: Duration,
    /// How long draining lets runs end by themselves; 30 s by default.
    pub grace: Duration,
    /// Serve these kinds only, of those that are registered.
    pub kinds: Option<Vec<Kind>>,
    /// The machine's name, for people.
    pub host: String,
    /// The program's version, for people.
    pub version: String,
    /// The folder in which `secret://file/NAME` is looked up; without one such a reference fails its run. For a declared
    /// project `.sprongus/secrets` beside `sprongus.toml`.
    pub secrets: Option<PathBuf>,
    /// The folder for work directories, which nobody else may write; by default one for the user in the machine's
    /// temporary folder.
    pub scratch: PathBuf,
    /// Whether this process moves schedules, as one with a database open does: then it tells by which zone data. Not so behind a server.
    pub moves_schedules: bool,
}

impl Default for WorkerOptions {
    fn default() -> Self {
        let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            concurrency: u32::try_from(cpus).unwrap_or(MAX_CONCURRENCY).min(MAX_CONCURRENCY),
            lease: ClaimRequest::DEFAULT_LEASE,
            grace: Duration::from_secs(30),
            kinds: None,
            host: host_name(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            secrets: None,
            scratch: default_scratch(),
            moves_schedules: true,
        }
    }
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Claims runs of the kinds it knows, and executes them.
///
/// ```no_run
/// # use std::sync::Arc;
/// # async fn example(runs: Arc<dyn sprongus_core::Runs>) -> sprongus_core::Result<()> {
/// use sprongus_worker::{RunContext, Shutdown, Worker, WorkerOptions};
///
/// #[derive(serde::Deserialize)]
/// struct Pull {
///     path: String,
/// }
///
/// let worker = Worker::new(runs, WorkerOptions::default()).kind(
///     "script.pull",
///     |ctx: RunContext, input: Pull| async move {
///         ctx.log(format!("pulling {}", input.path));
///         Ok(tokio::fs::read_to_string(input.path).await?.len())
///     },
/// );
/// let summary = worker.run(Shutdown::new()).await?;
/// # let _ = summary;
/// # Ok(())
/// # }
/// ```
pub struct Worker {
    runs: Arc<dyn Runs>,
    options: WorkerOptions,
    id: WorkerId,
    kinds: HashMap<Kind, Arc<dyn Execute>>,
    fault: Option<Error>,
}

impl Worker {
    /// A worker that knows no kind yet.
    #[must_use]
    pub fn new(runs: Arc<dyn Runs>, options: WorkerOptions) -> Self {
        let id = WorkerId::fresh(&options.host);
        Self { runs, options, id, kinds: HashMap::new(), fault: None }
    }

    /// This start of the worker, as it is written into events and shown by `sprongus workers list`.
    #[must_use]
    pub fn id(&self) -> &WorkerId {
        &self.id
    }

    /// Executes runs of `kind` with a function. An input that does not fit its type fails the run for good; an error or
    /// a panic fails the attempt. The function shares the async runtime with the heartbeats: what blocks for long
    /// belongs into `tokio::task::spawn_blocking`.
    ///
    /// A bad name of a kind, or one that is registered already, is reported by [`Worker::run`].
    #[must_use]
    pub fn kind<F, I, O, Fut>(mut self, kind: &str, handler: F) -> Self
    where
        F: Fn(RunContext, I) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<O, HandlerError>> + Send + 'static,
        I: DeserializeOwned + Send + 'static,
        O: Serialize + 'static,
    {
        self.register(kind, Arc::new(Handler::new(handler, SecretNames::default())));
        self
    }

    /// The same for a kind whose input may refer to `secrets`, such as `env/SMTP_PASSWORD` and `file/deploy.key`: the handler is
    /// given their values. Any other reference in an input fails its run for good.
    ///
    /// A name that is none, or that is a credential of the worker itself, is reported by [`Worker::run`].
    #[must_use]
    pub fn kind_with_secrets<F, I, O, Fut>(mut self, kind: &str, secrets: &[&str], handler: F) -> Self
    where
        F: Fn(RunContext, I) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<O, HandlerError>> + Send + 'static,
        I: DeserializeOwned + Send + 'static,
        O: Serialize + 'static,
    {
        let mut names = SecretNames::default();
        for secret in secrets {
            if let Err(why) = names.add(secret) {
                self.fault.get_or_insert(Error::validation(format!("the secrets of {kind}: {why}")));
            }
        }
        self.register(kind, Arc::new(Handler::new(handler, names)));
        self
    }

    /// Executes the kinds of a `sprongus.toml`. Where no folder of secrets is set, it is the project's own.
    #[must_use]
    pub fn declared(mut self, declaration: Declaration) -> Self {
        let secrets = declaration.project_dir.join(".sprongus").join("secrets");
        self.options.secrets.get_or_insert(secrets);
        for warning in declaration.warnings() {
            tracing::warn!(%warning, "sprongus.toml");
        }
        for (name, pipeline) in Pipeline::all(declaration) {
            self.register(&name, Arc::new(pipeline));
        }
        self
    }

    fn register(&mut self, name: &str, executor: Arc<dyn Execute>) {
        let fault = match name.parse::<Kind>() {
            Ok(kind) if self.kinds.contains_key(&kind) => {
                Error::validation(format!("kind registered twice: {kind}"))
            }
            Ok(kind) => {
                self.kinds.insert(kind, executor);
                return;
            }
            Err(fault) => fault,
        };
        self.fault.get_or_insert(fault);
    }

    /// Works until `shutdown` says otherwise, or the store tells the worker to drain.
    ///
    /// Dropped before its end, it stops what it executes at once, and the runs are claimed anew when their leases end.
    ///
    /// # Errors
    /// `validation` for options or kinds that cannot be; otherwise what the store refuses for good, such as
    /// `forbidden` for the first claim, after what was begun has ended. A store that is `unavailable` is waited for, and so is whatever
    /// refuses a later claim. `unavailable` when a declared kind needs a work directory and none can be made; one that cannot be made later
    /// stops the claims until it can.
    pub async fn run(mut self, shutdown: Shutdown) -> Result<Summary> {
        self.check()?;
        let scratch = self.options.scratch.clone();
        if self.kinds.values().any(|executor| executor.needs_workdir()) {
            try_out(&scratch).await.map_err(|why| {
                Error::new(ErrorCode::Unavailable, why.to_string()).with_hint(workdir::HINT)
            })?;
        }
        let put_away = tokio::task::spawn_blocking(move || {
            let killed = kill_orphans(&scratch.join("leftovers"))?;
            Ok::<_, std::io::Error>((killed, remove_abandoned(&scratch.join("attempts"))?))
        });
        match put_away.await {
            Ok(Ok((killed, removed))) => {
                for left in &killed {
                    tracing::warn!(
                        run = left.run_id,
                        epoch = left.epoch,
                        gone = left.gone,
                        "killed processes left by a dead worker"
                    );
                }
                if removed > 0 {
                    tracing::warn!(folders = removed, "removed work directories left by a dead worker");
                }
            }
            Ok(Err(error)) => tracing::warn!(%error, "the folder for work directories is not usable"),
            Err(error) => tracing::warn!(%error, "did not look for orphans of dead workers"),
        }
        let kinds: Vec<Kind> = self.kinds.keys().cloned().collect();
        let info = WorkerInfo {
            id: self.id,
            kinds: Some(kinds),
            host: self.options.host,
            pid: std::process::id(),
            version: self.options.version,
            concurrency: self.options.concurrency,
            zone_data: self.options.moves_schedules.then(|| SystemZones::from_env().data()),
        };
        let tools = Tools { runs: self.runs, secrets: self.options.secrets, scratch: self.options.scratch };
        let (run_loop, inbox) = RunLoop::new(tools, info, self.kinds, self.options.lease, self.options.grace);
        run_loop.run(inbox, shutdown.listen()).await
    }

    /// Checks everything that can be wrong before the first claim, and narrows the kinds to those asked for.
    fn check(&mut self) -> Result<()> {
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        let concurrency = self.options.concurrency;
        if concurrency == 0 || concurrency > MAX_CONCURRENCY {
            return Err(Error::validation(format!(
                "concurrency must be 1 to {MAX_CONCURRENCY}: {concurrency}"
            )));
        }
        check_lease_duration(self.options.lease)?;
        if let Some(asked) = &self.options.kinds {
            if let Some(unknown) = asked.iter().find(|kind| !self.kinds.contains_key(*kind)) {
                return Err(Error::validation(format!("this worker has no kind {unknown}"))
                    .with_hint("declare it in sprongus.toml, or register a handler for it"));
            }
            self.kinds.retain(|kind, _| asked.contains(kind));
        }
        if self.kinds.is_empty() {
            return Err(Error::validation("a worker needs at least one kind")
                .with_hint("declare a kind in sprongus.toml, or register a handler"));
        }
        Ok(())
    }
}
