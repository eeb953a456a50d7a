//! Who hears of events in this process.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::run::event::Event;

pub(super) type Subscriber = Arc<dyn Fn(&Event) + Send + Sync>;

/// Who wants to hear of events in this process.
#[derive(Default)]
pub(super) struct Subscribers {
    next: AtomicU64,
    all: RwLock<Vec<(u64, Subscriber)>>,
}

impl Subscribers {
    pub(super) fn add(all: &Arc<Self>, subscriber: Subscriber) -> Subscription {
        let number = all.next.fetch_add(1, Ordering::Relaxed);
        all.all.write().unwrap_or_else(PoisonError::into_inner).push((number, subscriber));
        Subscription { number, subscribers: Arc::clone(all) }
    }

    pub(super) fn publish(&self, events: &[Event]) {
        if events.is_empty() {
            return;
        }
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner).clone();
        for (_, subscriber) in &all {
            events.iter().for_each(|event| subscriber(event));
        }
    }
}

/// Keeps a subscriber; dropped, it hears no more.
pub struct Subscription {
    number: u64,
    subscribers: Arc<Subscribers>,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut all = self.subscribers.all.write().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(number, _)| *number != self.number);
    }
}
