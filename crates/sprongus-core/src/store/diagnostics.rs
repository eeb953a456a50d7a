//! How a store is.

use async_trait::async_trait;

use crate::error::Result;
use crate::figures::metric::Metric;

/// How a store is, for `doctor`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// What it is, such as `SQLite 3.54.1`.
    pub engine: String,
    /// Where it is; a password is left out.
    pub place: String,
    /// The schema's version.
    pub schema: u32,
    /// Whether acknowledged changes survive a power cut.
    pub durable: bool,
    /// What its durability does not cover, if anything.
    pub caveat: Option<String>,
    /// What was not looked for: how it is to be found out, in a line. None where all of it was read.
    pub not_checked: Option<&'static str>,
    /// What it found amiss.
    pub problems: Vec<HealthProblem>,
}

/// Something amiss with a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthProblem {
    /// What it concerns, in a word.
    pub what: &'static str,
    /// What is amiss, in a line.
    pub text: String,
    /// What to do about it.
    pub remedy: &'static str,
}

/// How a store is, for `doctor` and for who watches it.
#[async_trait]
pub trait Diagnostics: Send + Sync + 'static {
    /// How it is; `thorough` also looks for what takes longer. Damage is looked for as far as a store does so while others use it, and
    /// [`Health::not_checked`] says what that leaves out.
    async fn health(&self, thorough: bool) -> Result<Health>;

    /// What may be watched of the store itself; a few figures that cost little. What cannot be asked within two seconds is left out.
    async fn metrics(&self) -> Result<Vec<Metric>>;
}
