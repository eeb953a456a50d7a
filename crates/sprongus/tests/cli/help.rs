//! Help and completions.

use crate::sandbox::Sandbox;

#[test]
fn completions_know_the_commands() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = sandbox.run(&["completions", shell]).exits(0).out;
        assert!(script.contains("idempotency-key") && script.contains("sprongus"), "{shell}");
    }
    sandbox.line("completions tcsh").exits(2);
}

#[test]
fn help_is_no_error_and_nothing_is() {
    let sandbox = Sandbox::new();
    for line in ["--help", "-h", "runs --help", "runs enqueue --help", "help runs", "--version"] {
        assert!(!sandbox.line(line).exits(0).out.is_empty(), "{line}");
    }
    assert!(sandbox.run(&[]).exits(2).err.contains("Usage:"));
}

#[test]
fn a_mistyped_command_is_guessed() {
    let sandbox = Sandbox::new();
    assert!(sandbox.line("runs enqeue a").exits(2).err.contains("enqueue"));
    assert!(sandbox.line("runs list --stat queued").exits(2).err.contains("--state"));
}
