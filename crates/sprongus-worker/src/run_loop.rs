//! The worker's loop: claim as many as there are free slots, execute, report in batches, one heartbeat for all.
//!
//! Everything that happens comes to this one task as a [`LoopEvent`], so only what waits to be executed needs a lock, for the
//! slots take from it ([`crate::run_loop::slot`]). Every call to the store is a task of its own, at most one of each sort at a time, so
//! none of them holds up the others. Executions never pass `concurrency`; what is held beyond it is claimed ahead
//! ([`crate::run_loop::pace`]) or waits for its report to be answered. What another lost lease would give up is executed with nothing of
//! its sort beside it ([`crate::run_loop::probation`]).
//!
//! | told to | claims | waiting | executing |
//! | --- | --- | --- | --- |
//! | drain | stops | goes back | may end by itself, within the grace |
//! | stop | stops | goes back | is stopped, and goes back |

mod claiming;
mod lease;
mod pace;
mod probation;
mod report;
mod room;
mod settle;
pub(crate) mod shutdown;
mod slot;
mod stop;
pub(crate) mod summary;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use sprongus_core::calendar::Zones;
use sprongus_core::calendar::zone::SystemZones;
use sprongus_core::error::{Error, ErrorCode, Result};
use sprongus_core::run::{ClaimRequest, Outcome};
use sprongus_core::runs::Runs;
use sprongus_core::values::names::Kind;
use sprongus_core::workspace::directory::WorkerInfo;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::execution::{Execute, Executed, Tools};
use crate::run_loop::claiming::Claims;
use crate::run_loop::lease::{BeatAnswer, Leases};
use crate::run_loop::pace::Pace;
use crate::run_loop::probation::{Probation, is_on_probation};
use crate::run_loop::report::{Pending, Reports, Sent};
use crate::run_loop::shutdown::ShutdownState;
use crate::run_loop::slot::Slots;
use crate::workdir::NoRoom;
use room::Room;
use summary::Summary;

/// The most runs in one claim.
const CLAIM: usize = 500;

/// How often the worker says that it lives.
const SEEN: Duration = Duration::from_secs(5);

/// How long a run that was claimed ahead may wait before it goes back, for somebody else to begin it.
const LONGEST_AHEAD: Duration = Duration::from_secs(1);

/// Something that happened.
pub(crate) enum LoopEvent {
    Claimed(Claims),
    Executed(Executed),
    /// A slot found nothing more to execute.
    Free,
    Sent(Sent),
    Beaten(Instant, Vec<BeatAnswer>),
    Seen(Result<bool>),
    /// Whether there is room for a work directory.
    Tried(std::result::Result<(), NoRoom>),
}

/// One start of a worker, from its first claim to its last report.
pub(crate) struct RunLoop {
    slots: Arc<Slots>,
    runs: Arc<dyn Runs>,
    info: WorkerInfo,
    lease: Duration,
    grace: Duration,
    events: mpsc::UnboundedSender<LoopEvent>,
    /// Shared with the claim under way, which should not outwait a stop.
    stage: watch::Sender<ShutdownState>,
    /// When patience with what is executing ends; none while nobody set a limit.
    deadline: Option<Instant>,
    leases: Leases,
    /// Slots that execute a run.
    executing: usize,
    reports: Reports,
    claiming: bool,
    beating: bool,
    seeing: bool,
    /// Whether its first word was answered: who looks at what it holds finds it among the workers.
    introduced: bool,
    /// Whether a claim was ever answered: what refuses the first one for good is a mistake in how the worker was set up, and what
    /// refuses a later one passes.
    has_claimed: bool,
    beaten: Instant,
    seen: Option<Instant>,
    pace: Pace,
    probation: Probation,
    room: Room,
    summary: Summary,
    refusal: Option<Error>,
    /// What the last call with reports was refused for as a whole.
    reports_refused: Option<ErrorCode>,
}

impl RunLoop {
    pub(crate) fn new(
        tools: Tools,
        info: WorkerInfo,
        kinds: HashMap<Kind, Arc<dyn Execute>>,
        lease: Duration,
        grace: Duration,
    ) -> (Self, mpsc::UnboundedReceiver<LoopEvent>) {
        let (events, inbox) = mpsc::unbounded_channel();
        let run_loop = Self {
            runs: Arc::clone(&tools.runs),
            slots: Slots::new(tools, kinds, events.clone()),
            info,
            lease,
            grace,
            events,
            stage: watch::Sender::new(ShutdownState::Working),
            deadline: None,
            leases: Leases::default(),
            executing: 0,
            reports: Reports::default(),
            claiming: false,
            beating: false,
            seeing: false,
            introduced: false,
            has_claimed: false,
            beaten: Instant::now(),
            seen: None,
            pace: Pace::default(),
            probation: Probation::default(),
            room: Room::default(),
            summary: Summary::default(),
            refusal: None,
            reports_refused: None,
        };
        (run_loop, inbox)
    }

    pub(crate) async fn run(
        mut self,
        mut inbox: mpsc::UnboundedReceiver<LoopEvent>,
        mut shutdown: watch::Receiver<ShutdownState>,
    ) -> Result<Summary> {
        let tick = (self.lease / 20).clamp(Duration::from_millis(50), Duration::from_millis(250));
        let mut ticks = interval(tick);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut events = Vec::new();
        let state = *shutdown.borrow_and_update();
        self.on_shutdown(state);
        while !self.is_over() {
            self.start_executions();
            self.send_reports();
            self.claim();
            tokio::select! {
                biased;
                Ok(()) = shutdown.changed() => {
                    let state = *shutdown.borrow_and_update();
                    self.on_shutdown(state);
                }
                _ = inbox.recv_many(&mut events, 1_024) => events.drain(..).for_each(|event| self.handle(event)),
                _ = ticks.tick() => self.tick(),
            }
        }
        let _ = self.runs.forget_worker(&self.info.id).await;
        self.refusal.take().map_or(Ok(self.summary), Err)
    }

    fn handle(&mut self, event: LoopEvent) {
        match event {
            LoopEvent::Claimed(claims) => self.take(claims),
            LoopEvent::Executed(over) => self.executed(over),
            LoopEvent::Free => self.executing -= 1,
            LoopEvent::Sent(sent) => self.settle(sent),
            LoopEvent::Beaten(sent, answers) => {
                self.beating = false;
                let (drain, lost) = self.leases.renew(sent, answers);
                if drain {
                    self.drain(None);
                }
                self.lose(lost);
                self.put_away_stopped();
            }
            LoopEvent::Tried(tried) => self.tried(tried),
            LoopEvent::Seen(answer) => {
                (self.seeing, self.introduced) = (false, true);
                match answer {
                    Ok(true) => self.drain(None),
                    // Tried again with its next word.
                    Err(error) if error.retryable() => {}
                    // It works all the same, but is listed nowhere.
                    Err(error) => {
                        tracing::warn!(code = %error.code(), "cannot register the worker: refused");
                    }
                    Ok(false) => {}
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
        self.look_for_room(now);
        let given_up = self.leases.fence(now);
        self.lose(given_up);
        let oldest = self.slots.waiting().front().map(|(_, active)| now.duration_since(active.since));
        if oldest.is_some_and(|age| age >= LONGEST_AHEAD) {
            self.pace.slow_down();
            self.release_waiting();
        }
        self.watch_grace(now);
    }

    fn claim(&mut self) {
        let (slots, waiting) = (self.info.concurrency as usize, self.slots.waiting().len());
        let allowed = slots + self.pace.ahead(slots);
        let room = allowed.saturating_sub(self.executing + waiting);
        // Reports that the store is slow to answer are held too, so they are bounded as well.
        let room = room.min((slots + 2 * pace::MOST).saturating_sub(self.leases.len())).min(CLAIM);
        let room = self.probation.room(room, &mut self.leases, Instant::now());
        // While there is something to start, a call for a few more is not worth it.
        let worth = if waiting == 0 { 1 } else { (allowed / 2).min(CLAIM / 2) };
        let may = self.at(ShutdownState::Working) && !self.room.is_lacking();
        if !may || !self.introduced || self.claiming || room < worth.max(1) {
            return;
        }
        self.claiming = true;
        let kinds = self.info.kinds.clone();
        #[expect(clippy::cast_possible_truncation, reason = "at most 500")]
        let request =
            ClaimRequest { kinds, lease: self.lease, ..ClaimRequest::new(self.info.id.clone(), room as u32) };
        let claim =
            claiming::claim(Arc::clone(&self.runs), request, self.stage.subscribe(), self.has_claimed);
        self.spawn(async move { LoopEvent::Claimed(claim.await) });
    }

    fn take(&mut self, claims: Claims) {
        self.claiming = false;
        match claims.runs {
            Ok(runs) => {
                self.has_claimed = true;
                let may_stay = self.probation.may_stay(&runs, Instant::now());
                for claimed in runs {
                    let active = self.leases.take(&claimed, claims.asked);
                    if may_stay || !is_on_probation(&claimed) {
                        self.slots.waiting().push_back((claimed, active));
                    } else {
                        self.report(Pending::new(active, Outcome::Release, None));
                    }
                }
            }
            Err(error) if self.at(ShutdownState::Working) => {
                tracing::error!(code = %error.code(), error = error.message(), "claims are refused; draining");
                self.refusal = Some(error);
                self.drain(None);
            }
            Err(_) => {}
        }
        // A claim under way when there was no room any more.
        if !self.at(ShutdownState::Working) || self.room.is_lacking() {
            self.release_waiting();
        }
    }

    /// Sets free slots to work, as many as there are runs for.
    fn start_executions(&mut self) {
        let free = (self.info.concurrency as usize).saturating_sub(self.executing);
        let wanted = free.min(self.slots.waiting().len());
        for _ in 0..wanted {
            tokio::spawn(Arc::clone(&self.slots).work());
        }
        self.executing += wanted;
    }

    fn send_reports(&mut self) {
        // What is given back while a last claim is under way would be claimed by it again.
        if self.claiming && !self.at(ShutdownState::Working) {
            return;
        }
        if let Some(batch) = self.reports.next() {
            let (runs, worker) = (Arc::clone(&self.runs), self.info.id.clone());
            self.spawn(async move { LoopEvent::Sent(report::send(runs, worker, batch).await) });
        }
    }

    fn beat(&mut self, now: Instant, pace: Duration) {
        self.beaten = now;
        let holds = self.leases.due(now, pace);
        if holds.is_empty() {
            return;
        }
        self.beating = true;
        let (runs, patience) = (Arc::clone(&self.runs), self.lease / 3);
        self.spawn(async move {
            let sent = Instant::now();
            LoopEvent::Beaten(sent, lease::beat(runs.as_ref(), holds, patience).await)
        });
    }

    fn see(&mut self, now: Instant) {
        (self.seen, self.seeing) = (Some(now), true);
        if self.info.zone_data.is_some() {
            // It may have been updated since.
            self.info.zone_data = Some(SystemZones::from_env().data());
        }
        let (runs, info) = (Arc::clone(&self.runs), self.info.clone());
        self.spawn(async move { LoopEvent::Seen(runs.see_worker(&info).await) });
    }

    /// Starts a task whose end is news.
    fn spawn(&self, task: impl Future<Output = LoopEvent> + Send + 'static) {
        let news = self.events.clone();
        tokio::spawn(async move { news.send(task.await) });
    }
}
