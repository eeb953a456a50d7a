//! The screens, a file each, with what may be done on them; templates have the screen's name. `live.rs` keeps all of them fresh.

pub mod asset;
pub mod audit;
pub mod kinds;
pub mod live;
pub mod login;
pub mod overview;
mod question;
pub mod run;
pub mod runs;
pub mod schedule;
pub mod schedules;
pub mod tokens;
pub mod workers;
