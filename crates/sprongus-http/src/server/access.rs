//! Who may ask, for what, and how much: the hosts that the server answers to, tokens and their scopes, a token's rate, and its share of
//! the requests that wait.

pub mod auth;
pub mod hosts;
pub mod rate;
pub mod waiting_limit;
