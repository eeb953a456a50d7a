//! Batching: what many callers of one process ask for at the same time goes into one transaction, and each is answered after the
//! commit that holds its rows. There is no timer: an idle lane sends at once what comes, and whatever arrives while its transaction
//! is under way goes into the next. How much may wait is bounded.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use sprongus_core::figures::metric::SizeCounter;
use sprongus_core::runs::Caller;
use sprongus_core::store::backlog::{Backlog, Room, Weigh};
use sprongus_core::values::names::{ProjectId, WorkspaceId};
use sprongus_core::{Error, Result};
use tokio::sync::{mpsc, oneshot};

/// The most rows in one transaction.
const MOST_ROWS: usize = 1_000;

/// With so many rows waiting a second transaction is sent while the first one is under way.
const MANY_ROWS: usize = 250;

/// Whose rows may share a transaction: the policies let it into one workspace, and its statement sees certain projects.
type Lane = (WorkspaceId, Option<Vec<ProjectId>>);

/// What carries out the items of several callers in one go. The caller it is given speaks for the lane; items name their actors.
type Work<T, A> = Arc<dyn Fn(Caller, Vec<T>) -> BoxFuture<'static, Result<Vec<A>>> + Send + Sync>;

struct Job<T, A> {
    caller: Caller,
    items: Vec<T>,
    answer: oneshot::Sender<Result<Vec<A>>>,
    /// Taken until the job is done, whether or not somebody still waits for its answer.
    _room: Room,
}

/// Where jobs are handed in.
pub struct Batcher<T, A> {
    jobs: mpsc::UnboundedSender<Job<T, A>>,
    backlog: Backlog,
}

struct Waiting<T, A> {
    jobs: VecDeque<Job<T, A>>,
    rows: usize,
    in_flight: usize,
}

impl<T: Weigh + Clone + Send + 'static, A: Send + 'static> Batcher<T, A> {
    /// Starts the task that makes batches; it ends when this is dropped. How many callers share a transaction is counted in `batches`.
    pub fn start(
        batches: Arc<SizeCounter>,
        work: impl Fn(Caller, Vec<T>) -> BoxFuture<'static, Result<Vec<A>>> + Send + Sync + 'static,
    ) -> Self {
        Self::bounded(batches, Backlog::default(), work)
    }

    /// The same with a bound of its own.
    fn bounded(
        batches: Arc<SizeCounter>,
        backlog: Backlog,
        work: impl Fn(Caller, Vec<T>) -> BoxFuture<'static, Result<Vec<A>>> + Send + Sync + 'static,
    ) -> Self {
        let (jobs, incoming) = mpsc::unbounded_channel();
        tokio::spawn(run(incoming, batches, Arc::new(work)));
        Self { jobs, backlog }
    }

    /// Has the items carried out, with whatever else is waiting. Dropping the future does not undo what was handed in.
    ///
    /// # Errors
    /// What carries them out says; `unavailable` when too much waits already.
    pub async fn submit(&self, caller: &Caller, items: Vec<T>) -> Result<Vec<A>> {
        let (answer, answered) = oneshot::channel();
        let _room = self.backlog.enter(&items)?;
        let job = Job { caller: caller.clone(), items, answer, _room };
        let stopped = || Error::internal("the store has stopped");
        self.jobs.send(job).map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }
}

async fn run<T: Clone + Send + 'static, A: Send + 'static>(
    mut incoming: mpsc::UnboundedReceiver<Job<T, A>>,
    batches: Arc<SizeCounter>,
    work: Work<T, A>,
) {
    let (landed, mut landing) = mpsc::unbounded_channel::<Lane>();
    let mut lanes: HashMap<Lane, Waiting<T, A>> = HashMap::new();
    loop {
        let lane = tokio::select! {
            job = incoming.recv() => {
                let Some(job) = job else { return };
                let mut touched = vec![enter(&mut lanes, job)];
                while let Ok(job) = incoming.try_recv() {
                    touched.push(enter(&mut lanes, job));
                }
                touched
            }
            Some(lane) = landing.recv() => {
                if let Some(waiting) = lanes.get_mut(&lane) {
                    waiting.in_flight -= 1;
                }
                vec![lane]
            }
        };
        for lane in lane {
            let Some(waiting) = lanes.get_mut(&lane) else { continue };
            while let Some(jobs) = waiting.next_batch() {
                batches.count(jobs.len());
                let (landed, work, lane) = (landed.clone(), Arc::clone(&work), lane.clone());
                tokio::spawn(async move {
                    carry_out(jobs, &work).await;
                    // When nobody listens any more, the store is gone.
                    let _ = landed.send(lane);
                });
            }
            if waiting.in_flight == 0 {
                lanes.remove(&lane);
            }
        }
    }
}

fn enter<T, A>(lanes: &mut HashMap<Lane, Waiting<T, A>>, job: Job<T, A>) -> Lane {
    let lane = (job.caller.workspace.clone(), job.caller.projects.clone());
    let empty = || Waiting { jobs: VecDeque::new(), rows: 0, in_flight: 0 };
    let waiting = lanes.entry(lane.clone()).or_insert_with(empty);
    waiting.rows += job.items.len();
    waiting.jobs.push_back(job);
    lane
}

impl<T, A> Waiting<T, A> {
    /// What goes into a transaction now, if one is to be sent.
    fn next_batch(&mut self) -> Option<Vec<Job<T, A>>> {
        let is_wanted = match self.in_flight {
            0 => true,
            1 => self.rows >= MANY_ROWS,
            _ => false,
        };
        if !is_wanted || self.jobs.is_empty() {
            return None;
        }
        let (mut jobs, mut rows) = (Vec::new(), 0);
        while let Some(job) = self.jobs.front() {
            if rows > 0 && rows + job.items.len() > MOST_ROWS {
                break;
            }
            rows += job.items.len();
            jobs.extend(self.jobs.pop_front());
        }
        self.rows -= rows;
        self.in_flight += 1;
        Some(jobs)
    }
}

async fn carry_out<T: Clone + Send + 'static, A: Send + 'static>(jobs: Vec<Job<T, A>>, work: &Work<T, A>) {
    let Some(first) = jobs.first() else { return };
    let items = jobs.iter().flat_map(|job| job.items.iter().cloned()).collect();
    match work(first.caller.clone(), items).await {
        Ok(answers) => {
            let mut answers = answers.into_iter();
            for job in jobs {
                let own = answers.by_ref().take(job.items.len()).collect();
                // A caller that is gone does not hear that its rows are in.
                let _ = job.answer.send(Ok(own));
            }
        }
        // Whatever it is that one of them cannot have, the others are not to go without for it.
        Err(error) if !error.retryable() && jobs.len() > 1 => {
            for job in jobs {
                let _ = job.answer.send(work(job.caller, job.items).await);
            }
        }
        Err(error) => {
            for job in jobs {
                let _ = job.answer.send(Err(error.for_another()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use sprongus_core::ErrorCode;
    use tokio::sync::Semaphore;

    use super::*;

    #[derive(Clone)]
    struct Bytes(usize);

    impl Weigh for Bytes {
        fn weight(&self) -> usize {
            self.0
        }
    }

    #[tokio::test]
    async fn while_the_database_does_not_answer_so_much_waits_and_no_more() {
        let answers = Arc::new(Semaphore::new(0));
        let gate = Arc::clone(&answers);
        let batcher =
            Arc::new(Batcher::bounded(Arc::default(), Backlog::of(100), move |_, items: Vec<Bytes>| {
                let gate = Arc::clone(&gate);
                Box::pin(async move {
                    gate.acquire().await.map_err(|_| Error::internal("closed"))?.forget();
                    Ok(items)
                })
            }));
        let caller = Caller::new(WorkspaceId::local(), "tester");
        let submit = |bytes| {
            let (batcher, caller) = (Arc::clone(&batcher), caller.clone());
            async move { batcher.submit(&caller, vec![Bytes(bytes)]).await.map(|answers| answers.len()) }
        };
        let (first, second) = (tokio::spawn(submit(60)), tokio::spawn(submit(40)));
        tokio::task::yield_now().await;
        let refused = submit(1).await.unwrap_err();
        assert_eq!(refused.code(), ErrorCode::Unavailable);
        // Whoever goes away takes nothing back: what it handed in still waits.
        second.abort();
        assert!(second.await.unwrap_err().is_cancelled());
        assert_eq!(submit(1).await.unwrap_err().code(), ErrorCode::Unavailable);
        answers.add_permits(3);
        assert_eq!(first.await.unwrap().unwrap(), 1);
        assert_eq!(submit(60).await.unwrap(), 1, "there is room again");
    }
}
