//! Claiming runs and reporting on them: the scope `runs:work`.

pub mod claim;
pub mod cleaned;
pub mod finish;
pub mod heartbeat;
pub mod progress;
pub mod record;
pub mod workdir;
