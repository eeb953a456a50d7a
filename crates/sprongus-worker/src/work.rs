//! The worker's loop: claim as many as there are free slots, execute, report in batches, one heartbeat for all.
//!
//! Everything that happens comes to this one task as a [`News`], so what the worker knows needs no lock; every call to the
//! store is a task of its own, at most one of each sort at a time, so none of them holds up the others. Executions never
//! pass `concurrency`; what is held beyond it is claimed ahead ([`crate::pace`]) or waits for its report to be answered.
//!
//! | told to | claims | waiting | executing |
//! | --- | --- | --- | --- |
//! | drain | stops | goes back | may end by itself, within the grace |
//! | stop | stops | goes back | is stopped, and goes back |

mod settle;
mod stop;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use sprongus_core::directory::WorkerInfo;
use sprongus_core::error::{Error, Result};
use sprongus_core::names::Kind;
use sprongus_core::run::{ClaimRequest, Claimed};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::claiming::{self, Claims};
use crate::execution::{self, Execute, Over, Tools, Work};
use crate::held::Held;
use crate::lease::{self, Answer, Leases, Standing};
use crate::pace::{self, Pace};
use crate::report::{self, Reports, Sent};
use crate::shutdown::Stage;
use crate::worker::Summary;

/// The most runs in one claim.
const CLAIM: usize = 500;

/// How often the worker says that it lives.
const SEEN: Duration = Duration::from_secs(5);

/// How long a run that was claimed ahead may wait before it goes back, for somebody else to begin it.
const LONGEST_AHEAD: Duration = Duration::from_secs(1);

/// Something that happened.
pub(crate) enum News {
    Claimed(Claims),
    Over(Over),
    Sent(Sent),
    Beaten(Instant, Vec<Answer>),
    Seen(Result<bool>),
}

/// One start of a worker, from its first claim to its last report.
pub(crate) struct Shift {
    tools: Arc<Tools>,
    info: WorkerInfo,
    kinds: HashMap<Kind, Arc<dyn Execute>>,
    lease: Duration,
    grace: Duration,
    news: mpsc::UnboundedSender<News>,
    /// Shared with the claim under way, which should not outwait a stop.
    stage: watch::Sender<Stage>,
    /// When patience with what is executing ends; none while nobody set a limit.
    deadline: Option<Instant>,
    leases: Leases,
    waiting: VecDeque<(Claimed, Arc<Held>)>,
    executing: usize,
    reports: Reports,
    claiming: bool,
    beating: bool,
    seeing: bool,
    beaten: Instant,
    seen: Option<Instant>,
    pace: Pace,
    summary: Summary,
    refusal: Option<Error>,
}

impl Shift {
    pub(crate) fn new(
        tools: Tools,
        info: WorkerInfo,
        kinds: HashMap<Kind, Arc<dyn Execute>>,
        lease: Duration,
        grace: Duration,
    ) -> (Self, mpsc::UnboundedReceiver<News>) {
        let (news, inbox) = mpsc::unbounded_channel();
        let shift = Self {
            tools: Arc::new(tools),
            info,
            kinds,
            lease,
            grace,
            news,
            stage: watch::Sender::new(Stage::Working),
            deadline: None,
            leases: Leases::default(),
            waiting: VecDeque::new(),
            executing: 0,
            reports: Reports::default(),
            claiming: false,
            beating: false,
            seeing: false,
            beaten: Instant::now(),
            seen: None,
            pace: Pace::default(),
            summary: Summary::default(),
            refusal: None,
        };
        (shift, inbox)
    }

    /// The loop.
    pub(crate) async fn work(
        mut self,
        mut inbox: mpsc::UnboundedReceiver<News>,
        mut shutdown: watch::Receiver<Stage>,
    ) -> Result<Summary> {
        let tick = (self.lease / 20).clamp(Duration::from_millis(50), Duration::from_millis(250));
        let mut ticks = interval(tick);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut news = Vec::new();
        let told = *shutdown.borrow_and_update();
        self.told(told);
        while !self.is_over() {
            self.start_executions();
            self.send_reports();
            self.claim();
            tokio::select! {
                biased;
                Ok(()) = shutdown.changed() => {
                    let told = *shutdown.borrow_and_update();
                    self.told(told);
                }
                _ = inbox.recv_many(&mut news, 1_024) => news.drain(..).for_each(|one| self.hear(one)),
                _ = ticks.tick() => self.tick(),
            }
        }
        let _ = self.tools.runs.forget_worker(&self.info.id).await;
        self.refusal.take().map_or(Ok(self.summary), Err)
    }

    fn hear(&mut self, news: News) {
        match news {
            News::Claimed(claims) => self.take(claims),
            News::Over(over) => self.executed(over),
            News::Sent(sent) => self.settle(sent),
            News::Beaten(sent, answers) => {
                self.beating = false;
                let (drain, lost) = self.leases.renew(sent, answers);
                if drain {
                    self.drain(None);
                }
                self.lose(lost);
                self.put_away_stopped();
            }
            News::Seen(answer) => {
                self.seeing = false;
                if answer.is_ok_and(|drain| drain) {
                    self.drain(None);
                }
            }
        }
    }

    /// What time alone brings about.
    fn tick(&mut self) {
        let now = Instant::now();
        let pace = self.leases.pace(self.lease);
        if !self.beating && now.duration_since(self.beaten) >= pace {
            self.beat(now, pace);
        }
        if !self.seeing && self.seen.is_none_or(|seen| now.duration_since(seen) >= SEEN) {
            self.see(now);
        }
        let given_up = self.leases.fence(now);
        self.lose(given_up);
        let oldest = self.waiting.front().map(|(_, held)| now.duration_since(held.since));
        if oldest.is_some_and(|age| age >= LONGEST_AHEAD) {
            self.pace.slow_down();
            self.release_waiting();
        }
        self.watch_grace(now);
    }

    fn claim(&mut self) {
        let slots = self.slots();
        let allowed = slots + self.pace.ahead(slots);
        let room = allowed.saturating_sub(self.executing + self.waiting.len());
        // Reports that the store is slow to answer are held too, so they are bounded as well.
        let room = room.min((slots + 2 * pace::MOST).saturating_sub(self.leases.len())).min(CLAIM);
        // While there is something to start, a call for a few more is not worth it.
        let worth = if self.waiting.is_empty() { 1 } else { (allowed / 2).min(CLAIM / 2) };
        if !self.at(Stage::Working) || self.claiming || room < worth.max(1) {
            return;
        }
        self.claiming = true;
        let kinds = self.info.kinds.clone();
        #[expect(clippy::cast_possible_truncation, reason = "at most 500")]
        let request =
            ClaimRequest { kinds, lease: self.lease, ..ClaimRequest::new(self.info.id.clone(), room as u32) };
        let claim = claiming::claim(Arc::clone(&self.tools.runs), request, self.stage.subscribe());
        self.spawn(async move { News::Claimed(claim.await) });
    }

    fn take(&mut self, claims: Claims) {
        self.claiming = false;
        match claims.runs {
            Ok(runs) => {
                for claimed in runs {
                    let held = self.leases.take(&claimed, claims.asked);
                    self.waiting.push_back((claimed, held));
                }
            }
            Err(error) if self.at(Stage::Working) => {
                tracing::error!(code = %error.code(), error = error.message(), "claims are refused, draining");
                self.refusal = Some(error);
                self.drain(None);
            }
            Err(_) => {}
        }
        if !self.at(Stage::Working) {
            self.release_waiting();
        }
    }

    fn start_executions(&mut self) {
        while self.executing < self.slots() {
            let Some((claimed, held)) = self.waiting.pop_front() else { return };
            let Some(executor) = self.kinds.get(&held.kind).map(Arc::clone) else {
                self.release(held);
                continue;
            };
            let Some(lease) = self.leases.get(held.hold.id, held.hold.epoch) else { continue };
            lease.standing = Standing::Executing;
            let work = Work { run: claimed.run, held, tools: Arc::clone(&self.tools) };
            self.executing += 1;
            self.spawn(async move { News::Over(execution::execute(executor, work).await) });
        }
    }

    fn send_reports(&mut self) {
        if let Some(batch) = self.reports.next() {
            let (runs, worker) = (Arc::clone(&self.tools.runs), self.info.id.clone());
            self.spawn(async move { News::Sent(report::send(runs, worker, batch).await) });
        }
    }

    fn beat(&mut self, now: Instant, pace: Duration) {
        self.beaten = now;
        let holds = self.leases.due(now, pace);
        if holds.is_empty() {
            return;
        }
        self.beating = true;
        let (runs, patience) = (Arc::clone(&self.tools.runs), self.lease / 3);
        self.spawn(async move {
            let sent = Instant::now();
            News::Beaten(sent, lease::beat(runs.as_ref(), holds, patience).await)
        });
    }

    fn see(&mut self, now: Instant) {
        (self.seen, self.seeing) = (Some(now), true);
        let (runs, info) = (Arc::clone(&self.tools.runs), self.info.clone());
        self.spawn(async move { News::Seen(runs.see_worker(&info).await) });
    }

    /// Starts a task whose end is news.
    fn spawn(&self, task: impl Future<Output = News> + Send + 'static) {
        let news = self.news.clone();
        tokio::spawn(async move { news.send(task.await) });
    }

    fn slots(&self) -> usize {
        self.info.concurrency as usize
    }
}
