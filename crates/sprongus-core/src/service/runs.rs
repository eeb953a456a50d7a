//! [`Runs`] as one caller asks it.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde_json::json;

use super::files::seen;
use super::{CallerRuns, clock};
use crate::error::{Error, ErrorCode, Result};
use crate::rules::enqueue::{MAX_BATCH, refuse_secrets};
use crate::rules::{self, Act};
use crate::run::artifact::{Artifact, ArtifactName, ByteRange, ByteStream, Download, FileName};
use crate::run::command::RunCommand;
use crate::run::event::Event;
use crate::run::follow::ReadSoFar;
use crate::run::lease::LeaseToken;
use crate::run::list::{ListFilter, Page};
use crate::run::retention::{PruneMode, Pruned, Retention};
use crate::run::step::{LogLine, NumberedLine, Step, StepReport};
use crate::run::view::{ClaimedView, NewsView, RunView};
use crate::run::waiting::OpenGate;
use crate::run::{Answer, Beat, ClaimRequest, Enqueued, Hold, NewRun, Report};
use crate::runs::Runs;
use crate::store::{Batch, DrawnReport, Inserted};
use crate::values::ids::{RunId, StepId};
use crate::values::names::{Kind, ProjectId, WorkerId};
use crate::values::time::Timestamp;
use crate::workspace::directory::{AgentTask, KindSetting, NewAgentTask, Project, Stats, Worker, WorkerInfo};

/// How long nothing is heard before one looks anyway: wake-ups are hints, looking is the truth.
const POLL: Duration = Duration::from_secs(1);

/// Runs taken by retention in one transaction.
const PRUNE_BATCH: u32 = 500;

/// A pause of at most `longest`, jittered so that many who wait do not look at once.
fn pause(longest: Duration) -> Duration {
    longest.min(POLL.mul_f64(0.5 + fastrand::f64() / 2.0))
}

fn check_batch(items: usize) -> Result<()> {
    if items > MAX_BATCH {
        return Err(Error::validation(format!("at most {MAX_BATCH} items in one call: {items}")));
    }
    Ok(())
}

#[async_trait]
impl Runs for CallerRuns {
    async fn enqueue(&self, runs: Vec<NewRun>, batch: Batch) -> Result<Vec<Result<Enqueued>>> {
        check_batch(runs.len())?;
        let mut answers: Vec<Option<Result<Enqueued>>> = Vec::with_capacity(runs.len());
        let mut requests = Vec::with_capacity(runs.len());
        for run in &runs {
            match rules::enqueue::prepare(run, self.caller.traceparent.as_deref()) {
                Ok(request) if self.caller.may_touch(request.project_id.as_ref()) => {
                    requests.push(request);
                    answers.push(None);
                }
                Ok(request) => {
                    let project = request.project_id.as_ref();
                    answers.push(Some(Err(rules::enqueue::out_of_reach(project))));
                }
                Err(error) => answers.push(Some(Err(error))),
            }
        }
        if batch == Batch::AllOrNothing && requests.len() < runs.len() {
            let fine = || Err(rules::enqueue::not_made());
            return Ok(answers.into_iter().map(|answer| answer.unwrap_or_else(fine)).collect());
        }
        let mut made = self.store().enqueue(&self.caller, requests, batch).await?.into_iter();
        let answers = answers.into_iter().map(|answer| match answer {
            Some(refused) => refused,
            None => made
                .next()
                .unwrap_or_else(|| Err(Error::internal("a batch item had no answer")))
                .map(|Inserted { applied, outcome }| Enqueued { run: self.publish(applied), outcome }),
        });
        Ok(answers.collect())
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Vec<ClaimedView>> {
        rules::claim::check(&request)?;
        let token = LeaseToken::generate()?;
        let deadline = Instant::now() + request.wait;
        let mut seen = self.store().generation();
        let mut answer = self.store().claim(&self.caller, &request, &token).await?;
        loop {
            self.service.subscribers.publish(&answer.events);
            let left = deadline.saturating_duration_since(Instant::now());
            if !answer.claimed.is_empty() || left.is_zero() {
                return Ok(answer.claimed.into_iter().map(ClaimedView::from).collect());
            }
            let longest = answer.next_due_in.map_or(left, |due| left.min(due.max(Duration::from_millis(1))));
            let since = std::mem::replace(&mut seen, self.store().generation());
            answer = self.store().claim_after(&self.caller, &request, &token, since, pause(longest)).await?;
        }
    }

    async fn heartbeat(&self, holds: Vec<Hold>, lease: Option<Duration>) -> Result<Vec<Result<Beat>>> {
        check_batch(holds.len())?;
        lease.map_or(Ok(()), rules::claim::check_lease_duration)?;
        rules::heartbeat::check_distinct(holds.iter().map(|hold| hold.id))?;
        self.store().heartbeat(&self.caller, holds, lease).await
    }

    async fn finish(&self, worker: &WorkerId, reports: Vec<Report>) -> Result<Vec<Result<RunView>>> {
        check_batch(reports.len())?;
        let mut answers: Vec<Option<Result<RunView>>> = Vec::with_capacity(reports.len());
        let mut drawn = Vec::with_capacity(reports.len());
        for report in reports {
            let report = Report { outcome: rules::finish::masked(report.outcome), ..report };
            match rules::finish::check(&report.outcome) {
                Ok(()) => {
                    drawn.push(DrawnReport { report, draw: fastrand::f64() });
                    answers.push(None);
                }
                Err(error) => answers.push(Some(Err(error))),
            }
        }
        let mut applied = self.store().finish(&self.caller, worker, drawn).await?.into_iter();
        let answers = answers.into_iter().map(|answer| match answer {
            Some(refused) => refused,
            None => applied
                .next()
                .unwrap_or_else(|| Err(Error::internal("a batch item had no answer")))
                .map(|applied| self.publish(applied)),
        });
        Ok(answers.collect())
    }

    async fn wait(&self, hold: &Hold, step_id: StepId, timeout: Option<Duration>) -> Result<RunView> {
        self.apply(hold.id, RunCommand::Wait { hold: hold.clone(), step_id, timeout }).await
    }

    async fn progress(&self, hold: &Hold, percent: u32, message: Option<String>) -> Result<RunView> {
        self.apply(hold.id, RunCommand::Progress { hold: hold.clone(), percent, message }).await
    }

    async fn record(&self, hold: &Hold, steps: Vec<StepReport>, lines: Vec<LogLine>) -> Result<()> {
        rules::record::check(&steps, &lines)?;
        let events = self.store().record(&self.caller, hold, steps, lines).await?;
        self.service.subscribers.publish(&events);
        Ok(())
    }

    async fn put_artifact(
        &self,
        hold: &Hold,
        name: &ArtifactName,
        content_type: &str,
        body: ByteStream,
    ) -> Result<Artifact> {
        refuse_secrets(&[("/name", &json!(name)), ("/contentType", &json!(content_type))])?;
        let file = self.put_file(hold, FileName::Artifact(name.clone()), content_type, body).await?;
        Ok(seen(hold.id, name.clone(), file))
    }

    async fn keep_workdir(&self, hold: &Hold, body: ByteStream) -> Result<()> {
        self.put_file(hold, FileName::Workdir, "application/x-tar", body).await.map(drop)
    }

    async fn workdir(&self, hold: &Hold) -> Result<Option<ByteStream>> {
        let run = self.store().get(&self.caller, hold.id).await?;
        let act = Act { now: self.store().now().await?, actor: &self.caller.actor };
        rules::record::admit(&run, hold, act)?;
        match self.store().file(&self.caller, hold.id, &FileName::Workdir).await {
            Ok(file) => Ok(Some(self.files()?.read(&file, None).await?.1)),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn drop_workdir(&self, hold: &Hold) -> Result<()> {
        self.store().drop_file(&self.caller, hold, &FileName::Workdir).await?;
        self.sweep_behind().await;
        Ok(())
    }

    async fn cleaned(&self, hold: &Hold, gone_at: Timestamp) -> Result<RunView> {
        self.apply(hold.id, RunCommand::Cleaned { hold: hold.clone(), gone_at }).await
    }

    async fn cancel(&self, id: RunId) -> Result<RunView> {
        self.apply(id, RunCommand::Cancel).await
    }

    async fn retry(&self, id: RunId, if_epoch: Option<u64>) -> Result<RunView> {
        self.apply(id, RunCommand::Retry { if_epoch }).await
    }

    async fn answer(
        &self,
        id: RunId,
        step_id: Option<StepId>,
        answer: Answer,
        comment: Option<String>,
    ) -> Result<RunView> {
        self.apply(id, RunCommand::Answer { step_id, answer, comment }).await
    }

    async fn get(&self, id: RunId) -> Result<RunView> {
        let run = self.store().get(&self.caller, id).await?;
        let waiting = self.waiting_of(&run).await?;
        Ok(RunView::new(run, waiting))
    }

    async fn find_by_key(&self, key: &str) -> Result<Option<RunView>> {
        Ok(self.store().find_by_key(&self.caller, key).await?.map(RunView::from))
    }

    async fn list(&self, filter: &ListFilter) -> Result<Page<RunView>> {
        let Page { data, next_cursor } = self.store().list(&self.caller, filter).await?;
        let waiting = self.waiting_of_each(&data).await?;
        let views = data.into_iter().zip(waiting).map(|(run, waiting)| RunView::new(run, waiting));
        Ok(Page { data: views.collect(), next_cursor })
    }

    async fn gates(&self, filter: &ListFilter) -> Result<Page<OpenGate>> {
        self.open_gates(filter).await
    }

    async fn steps(&self, id: RunId) -> Result<Vec<Step>> {
        let steps = self.store().steps(&self.caller, id).await?;
        if steps.iter().all(|step| step.status.is_final()) {
            return Ok(steps);
        }
        Ok(rules::record::shown(&self.store().get(&self.caller, id).await?, steps))
    }

    async fn events(&self, id: RunId, after: u64, limit: u32) -> Result<Vec<Event>> {
        self.store().events(&self.caller, id, after, limit).await
    }

    async fn logs(&self, id: RunId, after: u64, limit: u32) -> Result<Vec<NumberedLine>> {
        self.store().logs(&self.caller, id, after, limit).await
    }

    async fn artifacts(&self, id: RunId) -> Result<Vec<Artifact>> {
        self.store().artifacts(&self.caller, id).await
    }

    async fn artifact(&self, id: RunId, name: &ArtifactName, range: Option<ByteRange>) -> Result<Download> {
        let file = self.store().file(&self.caller, id, &FileName::Artifact(name.clone())).await?;
        let (range, body) = self.files()?.read(&file, range).await?;
        Ok(Download { artifact: seen(id, name.clone(), file), range, body })
    }

    async fn follow(&self, id: RunId, read: ReadSoFar, wait: Duration) -> Result<NewsView> {
        let deadline = Instant::now() + wait;
        loop {
            let seen = self.store().generation();
            let news = self.store().news(&self.caller, id, read).await?;
            let left = deadline.saturating_duration_since(Instant::now());
            if !news.events.is_empty() || !news.lines.is_empty() || left.is_zero() {
                return Ok(news.into());
            }
            self.store().changed(seen, pause(left)).await;
        }
    }

    async fn stats(&self) -> Result<Stats> {
        self.store().stats(&self.caller).await
    }

    async fn prune(&self, retention: &Retention, mode: PruneMode) -> Result<Pruned> {
        let batch = |dry_run| self.store().prune(&self.caller, retention, PRUNE_BATCH, dry_run);
        if mode == PruneMode::DryRun {
            return batch(true).await;
        }
        if mode == PruneMode::Checked
            && let Some(gap) = clock::clock_gap(self.store(), &self.caller).await?
        {
            let runs = batch(true).await?.total();
            return if runs == 0 { Ok(Pruned::default()) } else { Err(gap.refusal(runs)) };
        }
        let mut total = Pruned::default();
        loop {
            let batch = batch(false).await?;
            total.add_all(&batch);
            if batch.total() == 0 {
                self.sweep_behind().await;
                return Ok(total);
            }
        }
    }

    async fn see_worker(&self, worker: &WorkerInfo) -> Result<bool> {
        self.store().see_worker(&self.caller, worker).await
    }

    async fn forget_worker(&self, worker: &WorkerId) -> Result<()> {
        self.store().forget_worker(&self.caller, worker).await
    }

    async fn workers(&self) -> Result<Vec<Worker>> {
        let mut workers = self.store().workers(&self.caller).await?;
        if self.caller.projects.is_some() {
            for worker in &mut workers {
                (worker.host, worker.pid, worker.zone_data) = (None, None, None);
            }
        }
        Ok(workers)
    }

    async fn drain_worker(&self, worker: &WorkerId) -> Result<()> {
        self.store().drain_worker(&self.caller, worker).await
    }

    async fn kinds(&self) -> Result<Vec<KindSetting>> {
        self.store().kinds(&self.caller).await
    }

    async fn pause_kind(&self, kind: &Kind, paused: bool) -> Result<KindSetting> {
        // What is there already may be resumed.
        if paused {
            refuse_secrets(&[("/kind", &json!(kind))])?;
        }
        self.store().pause_kind(&self.caller, kind, paused).await
    }

    async fn projects(&self) -> Result<Vec<Project>> {
        self.store().projects(&self.caller).await
    }

    async fn create_project(&self, id: &ProjectId) -> Result<Project> {
        refuse_secrets(&[("/id", &json!(id))])?;
        self.store().create_project(&self.caller, id).await
    }

    async fn agent_tasks(&self) -> Result<Vec<AgentTask>> {
        self.store().agent_tasks(&self.caller).await
    }

    async fn create_agent_task(&self, task: NewAgentTask) -> Result<AgentTask> {
        let task = task.checked(&self.caller)?;
        self.store().create_agent_task(&self.caller, &task).await
    }
}
