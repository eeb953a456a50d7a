//! The children that this program has started itself and waits for, told apart from those that it only adopted.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError, RwLock};

/// Held for reading while a child is being started and is not noted yet.
static STARTING: RwLock<()> = RwLock::new(());

static OWN: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// A child of our own, until this is dropped.
#[derive(Debug)]
pub(crate) struct Own(i32);

/// Starts a child by `spawn` and notes it; nobody who asks [`adopted`] sees it without its note.
pub(super) fn start<C, E>(
    spawn: impl FnOnce() -> Result<C, E>,
    id: impl FnOnce(&C) -> Option<u32>,
) -> Result<(C, Option<Own>), E> {
    let _starting = STARTING.read().unwrap_or_else(PoisonError::into_inner);
    let child = spawn()?;
    let own = id(&child).and_then(|id| i32::try_from(id).ok()).map(|id| {
        OWN.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
        Own(id)
    });
    Ok((child, own))
}

impl Drop for Own {
    fn drop(&mut self) {
        OWN.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
    }
}

/// Of these children the ones that were not started here. `None` while one is being started.
pub(crate) fn adopted(children: impl FnOnce() -> Vec<i32>) -> Option<Vec<i32>> {
    let _none_starts = STARTING.try_write().ok()?;
    let children = children();
    let own = OWN.lock().unwrap_or_else(PoisonError::into_inner);
    Some(children.into_iter().filter(|id| !own.contains(id)).collect())
}
