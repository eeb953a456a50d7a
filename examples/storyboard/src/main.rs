//! The `storyboard` binary; everything it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    storyboard::main_with(std::env::args_os().skip(1))
}
