//! The cases of a store, verb by verb. They are listed in [`crate::for_each_case!`].

pub mod claim;
pub mod enqueue;
