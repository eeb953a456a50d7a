//! The seam to a database. A store keeps runs and what belongs to them; it knows no rule but asks [`crate::rules`], or carries
//! a rule's guard in its SQL where a batch must be one statement.
//!
//! Promises, each a case of the conformance suite:
//! - **S1** What is answered is durable: it outlives a power cut.
//! - **S2** A change and its events are written together or not at all; `seq` has no gap.
//! - **S3** Two claimers never hold the same run; a claim gives `limit` at most.
//! - **S4** A report is taken only under the live lease of its own epoch.
//! - **S5** The same key and request give one run, however many ask at once.
//! - **S6** One bad item of a batch never fails its neighbours.
//! - **S7** Nothing of another workspace is seen or changed.
//! - **S8** A call that fails for want of the database is `unavailable` and may be repeated.
//! - **S9** What an operator does is in the audit, written with the act, and stays there.
//!
//! It is cut by concern: each trait stands in the file of its name, here and in every store. Whoever holds a `dyn Store` calls them all;
//! whoever holds a store of a certain type imports the trait of the call.

pub mod backlog;
mod diagnostics;
mod directory;
mod events;
mod figures;
mod files;
mod reads;
mod runs;
pub mod settings;
mod tokens;

pub use diagnostics::{Diagnostics, Health, HealthProblem};
pub use directory::Directory;
pub use events::Events;
pub use figures::Figures;
pub use files::Files;
pub use reads::Reads;
pub use runs::{Batch, ClaimAnswer, DrawnReport, Inserted, Rule, RunStore};
pub use settings::Settings;
pub use tokens::Tokens;

pub use crate::workspace::session::Sessions;

/// A database of runs.
pub trait Store:
    RunStore + Reads + Files + Directory + Tokens + Sessions + Settings + Events + Figures + Diagnostics
{
}

impl<S> Store for S where
    S: RunStore + Reads + Files + Directory + Tokens + Sessions + Settings + Events + Figures + Diagnostics
{
}
