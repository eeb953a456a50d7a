//! The steps of a declared kind: [`pipeline`] makes an attempt ready and reports its end, [`attempt`] runs its steps in phase order, and
//! each type of step has an executor of its own.

mod ai_action;
mod approval;
mod artifact;
mod attempt;
pub(crate) mod command;
pub(crate) mod log;
mod outcome;
pub(crate) mod pipeline;
mod restore;
mod spill;
