//! Claims runs and executes them.

pub mod declaration;
pub mod duration;
pub mod leftovers;
pub mod output_file;
pub mod process;
pub mod template;
