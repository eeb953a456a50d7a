//! The dashboard as a browser meets it, scripts aside.

mod acting;
mod audit;
mod browser;
mod hostile;
mod live;
mod screens;
mod sessions;
