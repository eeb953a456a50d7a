//! The steps of a declared kind: [`pipeline`] makes an attempt ready and reports its end, [`sequence`] runs its steps in phase order, and
//! each type of step has an executor, which gets a [`context::StepContext`] and answers with an [`outcome::StepOutcome`].

mod ai_action;
mod approval;
mod artifact;
mod attempt;
pub(crate) mod command;
mod context;
pub(crate) mod log;
mod outcome;
pub(crate) mod pipeline;
mod restore;
mod sequence;
mod spill;
