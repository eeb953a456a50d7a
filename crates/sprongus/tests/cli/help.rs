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
        let output = play(&["-c", ask]).unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
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

/// Every command that the help lists, by its words.
fn commands(sandbox: &Sandbox, of: &[String]) -> Vec<Vec<String>> {
    let mut words: Vec<&str> = of.iter().map(String::as_str).collect();
    words.push("--help");
    let help = sandbox.run(&words).exits(0).out;
    let Some((_, list)) = help.split_once("Commands:\n") else { return Vec::new() };
    let names = list.lines().take_while(|line| line.starts_with("  ")).filter_map(|line| {
        let name = line.strip_prefix("  ")?.split(' ').next()?;
        (!name.is_empty() && name != "help").then(|| name.to_owned())
    });
    names
        .flat_map(|name| {
            let mut path = of.to_vec();
            path.push(name);
            let below = commands(sandbox, &path);
            std::iter::once(path).chain(below)
        })
        .collect()
}

#[test]
fn every_command_has_a_manual_page_that_tells_its_options() {
    let sandbox = Sandbox::new();
    let made = sandbox.line("man --dir share/man/man1").exits(0);
    let all = commands(&sandbox, &[]);
    assert!(all.len() > 40, "{all:?}");
    assert_eq!(made.out.lines().count(), all.len() + 1, "{}", made.out);
    for words in all {
        let name = words.join("-");
        let page = std::fs::read_to_string(sandbox.path().join(format!("share/man/man1/sprongus-{name}.1")));
        let page = page.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(page.starts_with(".ie"), "{name}");
        assert!(page.contains(&format!("sprongus\\-{}", name.replace('-', "\\-"))), "{name}: {page}");
        assert!(page.contains("\\-\\-workspace"), "{name} does not tell the global options");
        let mut asked: Vec<&str> = vec!["man"];
        asked.extend(words.iter().map(String::as_str));
        assert_eq!(sandbox.run(&asked).exits(0).out, page, "{name}");
    }
    let root = sandbox.line("man").exits(0).out;
    assert!(root.contains("sprongus\\-agent\\-tasks(1)") && !root.contains("storyboard(1)"), "{root}");
    assert!(sandbox.line("man runs enlist").exits(3).error().ends_with("no such command in runs: enlist"));
    sandbox.write("taken", "");
    assert!(sandbox.line("man --dir taken").exits(2).error().contains("cannot write the page"));
}

/// What formats pages finds nothing to complain of, where there is one.
#[test]
fn manual_pages_are_read_without_a_warning() {
    let sandbox = Sandbox::new();
    let pages = sandbox.line("man --dir pages").exits(0).out;
    for (program, words) in
        [("groff", vec!["-man", "-ww", "-z", "-Kutf8"]), ("mandoc", vec!["-Tlint", "-Wwarning"])]
    {
        for page in pages.lines() {
            let mut command = std::process::Command::new(program);
            match command.args(&words).arg(page).current_dir(sandbox.path()).output() {
                Ok(read) => {
                    let said = [read.stdout, read.stderr].concat();
                    assert!(
                        read.status.success() && said.is_empty(),
                        "{page}: {}",
                        String::from_utf8_lossy(&said)
                    );
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => break,
                Err(error) => panic!("{program}: {error}"),
            }
        }
    }
}
