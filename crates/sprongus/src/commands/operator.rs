//! What operators do: tokens, workspaces, kinds, workers.

pub mod agent_tasks;
pub mod audit;
pub mod kinds;
pub mod projects;
pub mod token;
pub mod workers;
pub mod workspaces;
