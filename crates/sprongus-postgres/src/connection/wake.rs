//! Wake-ups: a number that grows when anything may have changed, here or in another process. They are hints; looking is the truth.
//!
//! A process tells the others with NOTIFY, in a transaction of its own behind the commit (inside it would take a lock that all
//! commits of the cluster wait for), not waiting for the disk, and at most once an interval. It hears of the others on a
//! connection of its own, which is made again when it breaks; whoever waits then looks at once.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_postgres::{AsyncMessage, Client, Config};

use crate::connection::tls;

/// Others are notified at most so often.
const APART: Duration = Duration::from_millis(2);

/// The wait before a broken connection is made again: first, and at most.
const AGAIN: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

const LISTEN: &str = "LISTEN sprongus";

/// The wake-ups of one store.
pub struct Wake {
    changed: watch::Sender<u64>,
    /// Names this process, so that it does not wake itself twice.
    token: String,
    began: Instant,
    /// When others were notified last, in microseconds since `began`.
    last_notified: AtomicU64,
    is_late: AtomicBool,
    listener: std::sync::Mutex<Option<JoinHandle<()>>>,
    config: Option<Config>,
}

impl Wake {
    /// Hears of others through `config`; without one it relies on those who look now and then.
    pub fn new(config: Option<Config>) -> Arc<Self> {
        let (changed, _) = watch::channel(0);
        Arc::new(Self {
            changed,
            token: format!("{:016x}", fastrand::u64(..)),
            began: Instant::now(),
            last_notified: AtomicU64::new(0),
            is_late: AtomicBool::new(false),
            listener: std::sync::Mutex::new(None),
            config,
        })
    }

    /// The number.
    pub fn generation(&self) -> u64 {
        *self.changed.borrow()
    }

    /// Something has changed here.
    pub fn bump(&self) {
        self.changed.send_modify(|generation| *generation += 1);
    }

    /// Notifies the others behind what the connection is just doing, unless it did a moment ago; does not wait. Whether it did.
    pub fn notify(&self, connection: &Client) -> bool {
        let now = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX).max(1);
        let last = self.last_notified.load(Ordering::Relaxed);
        if last != 0 && now.saturating_sub(last) < u64::try_from(APART.as_micros()).unwrap_or(0) {
            return false;
        }
        self.last_notified.store(now, Ordering::Relaxed);
        let notify =
            format!("BEGIN; SET LOCAL synchronous_commit = off; NOTIFY sprongus, '{}'; COMMIT", self.token);
        // Polled once it is on its way; nobody waits for its answer.
        let _ = connection.batch_execute(&notify).now_or_never();
        true
    }

    /// Has the others notified in a moment, by whoever asks for the connection then.
    pub fn notify_later<Notifying: Future<Output = ()> + Send + 'static>(
        self: &Arc<Self>,
        notify: impl FnOnce(Arc<Self>) -> Notifying + Send + 'static,
    ) {
        if self.is_late.swap(true, Ordering::AcqRel) {
            return;
        }
        let wake = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(APART).await;
            wake.is_late.store(false, Ordering::Release);
            notify(wake).await;
        });
    }

    /// Waits until the number is past `seen`, or for `longest`.
    pub async fn changed(self: &Arc<Self>, seen: u64, longest: Duration) {
        self.listen();
        let mut changes = self.changed.subscribe();
        let past = changes.wait_for(|generation| *generation > seen);
        // Either way the caller looks again.
        let _ = tokio::time::timeout(longest, past).await;
    }

    /// Begins to hear of others, once.
    fn listen(self: &Arc<Self>) {
        let Some(config) = self.config.clone() else { return };
        let mut listener = self.listener.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if listener.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        // The task does not keep alive what it serves.
        let wake = Arc::downgrade(self);
        *listener = Some(tokio::spawn(async move {
            let mut pause = AGAIN.0;
            while let Some(wake) = wake.upgrade() {
                let token = wake.token.clone();
                let changed = wake.changed.clone();
                drop(wake);
                let bump = || changed.send_modify(|generation| *generation += 1);
                match hear(&config, &token, bump, || pause = AGAIN.0).await {
                    Ok(()) => {}
                    Err(error) => tracing::debug!(?error, "not listening to the database"),
                }
                tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
                pause = (pause * 2).min(AGAIN.1);
            }
        }));
    }
}

impl Drop for Wake {
    fn drop(&mut self) {
        let listener = self.listener.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(task) = listener.take() {
            task.abort();
        }
    }
}

/// Hears of others until the connection breaks.
async fn hear(
    config: &Config,
    token: &str,
    bump: impl Fn(),
    listening: impl FnOnce(),
) -> crate::error::Result<()> {
    let (client, mut connection) = config.connect(tls::connector(config)?).await?;
    let listen = client.batch_execute(LISTEN);
    tokio::pin!(listen);
    let mut listening = Some(listening);
    loop {
        tokio::select! {
            done = &mut listen, if listening.is_some() => {
                done?;
                if let Some(listening) = listening.take() {
                    listening();
                }
                // What happened while nobody listened is found by looking.
                bump();
            }
            message = poll_fn(|context| connection.poll_message(context)) => match message {
                Some(Ok(AsyncMessage::Notification(word))) if word.payload() != token => bump(),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.into()),
                None => return Ok(()),
            }
        }
    }
}
