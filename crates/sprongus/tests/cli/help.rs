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
fn each_shell_takes_its_completions() {
    let sandbox = Sandbox::new();
    // What asks a shell for the completions of a beginning, and how it reads a script without doing anything.
    let asked = [
        (
            "bash",
            "-n",
            "source ./script; COMP_WORDS=(sprongus ru); COMP_CWORD=1; _sprongus sprongus ru sprongus; echo \"${COMPREPLY[@]}\"",
        ),
        ("fish", "--no-execute", "source ./script; complete -C 'sprongus ru'"),
        (
            "zsh",
            "-n",
            "autoload -U compinit; compinit -D -u; source ./script; whence -w _sprongus; which _sprongus",
        ),
    ];
    let mut tried = 0;
    for (shell, reads, ask) in asked {
        let script = sandbox.run(&["completions", shell]).exits(0).out;
        sandbox.write("script", &script);
        let play = |words: &[&str]| {
            let mut command = std::process::Command::new(shell);
            command.args(words).current_dir(sandbox.path()).env("HOME", sandbox.path());
            command.output()
        };
        let read = match play(&[reads, "script"]) {
            Ok(read) => read,
            // Not installed here.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => panic!("{shell}: {error}"),
        };
        assert!(read.status.success(), "{shell}: {}", String::from_utf8_lossy(&read.stderr));
        let told = play(&["-c", ask]).unwrap();
        let (out, err) = (String::from_utf8_lossy(&told.stdout), String::from_utf8_lossy(&told.stderr));
        assert!(out.contains("runs") && err.is_empty(), "{shell}: {out}{err}");
        tried += 1;
    }
    assert!(tried > 0, "bash at least is there");
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
