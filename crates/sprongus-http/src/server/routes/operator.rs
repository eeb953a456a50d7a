//! Tokens, retention and the audit log of operators: the scope `admin`.

pub mod audit;
pub mod prune;
pub mod token;
