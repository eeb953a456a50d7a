//! What is printed. A renderer turns what was answered into text and prints nothing; [`screen`] alone writes.
//!
//! Text that came from outside passes [`printable`](sprongus_core::values::text::printable) or
//! [`excerpt`](sprongus_core::values::text::excerpt) here, so that no run can send escapes to a terminal. Colours are always put in; the
//! screen takes them out where they are not wanted.

pub mod age;
pub mod artifacts;
pub mod clip;
pub mod fault;
pub mod history;
pub mod live;
pub mod log;
pub mod plural;
pub mod run;
pub mod screen;
pub mod stats;
pub mod steps;
pub mod style;
pub mod table;
pub mod top;
