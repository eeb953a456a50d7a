//! Commands that stand in a sentence, such as `sprongus runs prune`: they exist, and have the options named there.

use std::collections::BTreeMap;
use std::process::Command;

/// Asks the program for its help, once for each command.
#[derive(Default)]
struct Helps(BTreeMap<Vec<String>, String>);

impl Helps {
    fn of(&mut self, words: &[String]) -> &str {
        self.0.entry(words.to_vec()).or_insert_with(|| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_sprongus"));
            let output = command.args(words).arg("--help").output().expect("the program");
            String::from_utf8(output.stdout).expect("text")
        })
    }

    /// Whether `word` is a command below `words`.
    fn has(&mut self, words: &[String], word: &str) -> bool {
        let help = self.of(words);
        let list = help.split_once("Commands:\n").map_or("", |(_, list)| list);
        let mut names = list.lines().take_while(|line| line.starts_with("  "));
        // What is indented further goes on from the line before.
        names.any(|line| !line.starts_with("   ") && line.trim_start().split(' ').next() == Some(word))
    }

    /// Whether it is one, if an unlisted one.
    fn is_hidden(path: &[String], word: &str) -> bool {
        path.is_empty() && word == "storyboard"
    }

    /// What is wrong with a command.
    fn fault(&mut self, spoken: &str) -> Option<String> {
        let mut path: Vec<String> = Vec::new();
        let mut rest = spoken.split_whitespace().skip(1).peekable();
        while let Some(word) = rest.peek() {
            if word.starts_with('-') && path.is_empty() {
                // Global options may come first; a value of theirs is no command.
                let option = rest.next().unwrap_or_default();
                if ["--db", "--workspace", "--color"].contains(&option) {
                    rest.next();
                }
            } else if self.has(&path, word) || Self::is_hidden(&path, word) {
                path.extend(rest.next().map(str::to_owned));
            } else {
                break;
            }
        }
        if path.is_empty() && rest.peek().is_some() {
            return Some(format!("no such command: {spoken}"));
        }
        let help = self.of(&path).to_owned();
        let options = spoken.split_whitespace().filter(|word| word.starts_with("--"));
        let names = options.map(|word| word.split(['=', '[', ']', '`']).next().unwrap_or_default());
        let strange =
            names.filter(|name| *name != "--help" && *name != "--version").find(|name| !help.contains(name));
        strange.map(|name| format!("{name} is no option of it: {spoken}"))
    }
}

/// The commands that a page's sentences and tables name.
fn spoken(text: &str) -> Vec<String> {
    let prose: String = text.split("\n```").step_by(2).collect::<Vec<_>>().join("\n");
    let spans = prose.split('`').skip(1).step_by(2);
    spans.filter(|span| span.starts_with("sprongus ")).map(|span| span.replace('\n', " ")).collect()
}

#[test]
fn every_command_in_a_sentence_exists() {
    let mut helps = Helps::default();
    let (mut seen, mut faults) = (0, Vec::new());
    for (page, text) in super::pages() {
        for command in spoken(&text) {
            // What `--version` prints.
            if command.starts_with(concat!("sprongus ", env!("CARGO_PKG_VERSION"))) {
                continue;
            }
            seen += 1;
            faults.extend(helps.fault(&command).map(|fault| format!("{page}: {fault}")));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
    assert!(seen > 45, "{seen}: are they still found?");
}

#[test]
fn a_command_that_is_not_there_is_found_out() {
    let mut helps = Helps::default();
    for wrong in ["sprongus enlist", "sprongus runs prune --wet-run", "sprongus serve --with-workers-of 3"] {
        assert!(helps.fault(wrong).is_some(), "{wrong}");
    }
    for right in
        ["sprongus runs prune --dry-run", "sprongus --db URL doctor", "sprongus runs tail ID --quiet"]
    {
        assert_eq!(helps.fault(right), None);
    }
}
