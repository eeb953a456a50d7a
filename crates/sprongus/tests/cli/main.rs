//! The command line as its users meet it: the real binary, in a folder of its own.

mod bad_input;
mod choosing;
mod enqueue;
mod exit_codes;
mod follow;
mod gates;
mod help;
mod json_shapes;
mod lists;
mod sandbox;
mod tour;
