//! Claims runs and executes them.

pub mod declaration;
pub mod duration;
pub mod template;
