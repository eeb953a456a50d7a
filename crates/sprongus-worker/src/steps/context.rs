//! What a step is given beside its attempt: the run, the worker's tools, the folders, and when it has to end.

use sprongus_core::run::step::StepStatus;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::declaration::StepDeclaration;
use crate::execution::Tools;
use crate::execution::active_run::ActiveRun;
use crate::execution::recorder::Recorder;
use crate::process::StopReason;
use crate::steps::outcome::report;
use crate::workdir::Workdir;

/// What all steps of an attempt share.
#[derive(Clone, Copy)]
pub(crate) struct AttemptContext<'a> {
    pub(crate) active: &'a ActiveRun,
    pub(crate) tools: &'a Tools,
    pub(crate) recorder: &'a Recorder,
    pub(crate) folders: &'a Workdir,
}

/// What one step is given.
#[derive(Clone)]
pub(crate) struct StepContext<'a> {
    pub(crate) step: &'a StepDeclaration,
    pub(crate) active: &'a ActiveRun,
    pub(crate) tools: &'a Tools,
    pub(crate) recorder: &'a Recorder,
    pub(crate) folders: &'a Workdir,
    /// The end of the whole attempt's time, or of CLEANUP's; the step's own `timeout` counts besides.
    pub(crate) deadline: Option<Instant>,
    /// A step ends soon after this has a reason.
    pub(crate) stop: watch::Receiver<Option<StopReason>>,
}

impl<'a> StepContext<'a> {
    pub(crate) fn new(
        context: AttemptContext<'a>,
        step: &'a StepDeclaration,
        deadline: Option<Instant>,
        stop: watch::Receiver<Option<StopReason>>,
    ) -> Self {
        let AttemptContext { active, tools, recorder, folders } = context;
        Self { step, active, tools, recorder, folders, deadline, stop }
    }

    /// Records how far the step is.
    pub(crate) async fn record(&self, status: StepStatus, output: Option<String>) {
        self.recorder.step(report(self.step, status, output)).await;
    }

    /// Ends when the time of the step or of the attempt is up, if either has a limit; the step's begins with this call.
    pub(crate) fn until_timed_out(&self) -> impl Future<Output = ()> + use<> {
        let own = self.step.timeout.map(|limit| Instant::now() + limit);
        let until = [own, self.deadline].into_iter().flatten().min();
        async move {
            match until {
                Some(until) => sleep_until(until).await,
                None => std::future::pending().await,
            }
        }
    }

    /// Ends when there is a reason to stop.
    pub(crate) fn until_stopped(&self) -> impl Future<Output = StopReason> + use<> {
        let mut stop = self.stop.clone();
        async move {
            match stop.wait_for(Option::is_some).await.map(|reason| *reason) {
                Ok(Some(reason)) => reason,
                Ok(None) | Err(_) => std::future::pending().await,
            }
        }
    }
}
