//! The model: a store in memory that does nothing but ask the rules. It is the executable specification: what it answers is
//! what every store answers.
//!
//! One lock around everything makes each call a transaction; `tables.rs` says what is kept; each trait of the store stands in the file
//! of its name, with what its calls do with the tables.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sprongus_core::rules::Act;
use sprongus_core::values::time::Clock;
use sprongus_core::{Caller, Result};
use tokio::sync::watch;

use tables::{Tables, Tenant};

mod diagnostics;
mod directory;
mod events;
mod figures;
mod files;
mod reads;
mod runs;
mod sessions;
mod settings;
mod tables;
mod tokens;

/// A store in memory.
pub struct Model {
    clock: Arc<dyn Clock>,
    tables: Mutex<Tables>,
    generation: watch::Sender<u64>,
}

impl Model {
    /// An empty store that lives by `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let tables = Mutex::new(Tables::new(clock.now()));
        Self { clock, tables, generation: watch::Sender::new(0) }
    }

    /// How many calls of [`Events::changed`](sprongus_core::store::Events::changed) wait now. Each returns after its pause, and may then be made again.
    pub fn waiting(&self) -> usize {
        self.generation.receiver_count()
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn present<'a>(&self, caller: &'a Caller) -> Act<'a> {
        Act { now: self.clock.now(), actor: &caller.actor }
    }

    /// Reads what the caller's workspace holds.
    fn read<T>(&self, caller: &Caller, query: impl FnOnce(&Tenant) -> Result<T>) -> Result<T> {
        query(self.tables().tenant(&caller.workspace)?)
    }

    /// Changes what the caller's workspace holds, and wakes those who wait for a change.
    fn write<T>(&self, caller: &Caller, change: impl FnOnce(&mut Tenant) -> Result<T>) -> Result<T> {
        let mut tables = self.tables();
        let answer = change(tables.tenant_mut(&caller.workspace)?);
        tables.list_gone(&caller.workspace);
        drop(tables);
        self.wake();
        answer
    }

    fn wake(&self) {
        self.generation.send_modify(|generation| *generation += 1);
    }
}
