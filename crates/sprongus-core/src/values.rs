//! Values that others are made of: ids, names, times, places in a list.

pub(crate) mod cursor;
pub mod duration;
pub mod id_part;
pub mod ids;
pub mod names;
pub mod text;
pub mod time;
