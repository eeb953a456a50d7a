//! A workspace, who may act in it, and what they did.

pub mod admin;
pub mod audit;
pub mod caller;
pub mod directory;
pub mod operator;
pub mod session;
pub mod setting;
pub mod token;
