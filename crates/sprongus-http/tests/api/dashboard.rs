//! The dashboard as a browser meets it, scripts aside.

mod acting;
mod audit;
pub mod browser;
mod hostile;
mod live;
mod schedules;
mod screens;
mod sessions;
