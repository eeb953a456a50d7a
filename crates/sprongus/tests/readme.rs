//! The console sessions of README.md, of the pages in `docs/` and of an example, executed: page by page, in order, by one shell, in one new folder,
//! with the built binary on PATH.
//!
//! In a session a line behind `$ ` is typed, one behind `> ` continues it, the rest is what is seen. Ids, times, lengths and worker
//! names differ from one execution to the next and are compared by their shape, columns by their words. A `…` stands for
//! anything inside a line, and alone on a line for any lines. The server that the page calls `db.example` is a throwaway one, on
//! which `psql` is the superuser.

#![expect(clippy::expect_used, reason = "a test that cannot set itself up has failed")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use regex::Regex;
use sprongus_throwaway::{Durability, Server, Settings};

/// The server of the page.
const HOST: &str = "db.example";

/// Begins a session.
const OPENING: &str = "```console\n";

/// Stands between the outputs of two commands.
const BORDER: &str = "\u{1e}\n";

/// A command as it is typed, and what is seen then.
struct Typed {
    command: String,
    seen: Vec<String>,
}

#[test]
fn the_sessions_of_the_readme_go_as_they_are_told() {
    assert!(goes_as_told("README.md") > 15, "is the page still read rightly?");
}

/// The example's page is played in a copy of its folder, with the model server that is none.
#[test]
fn the_sessions_of_the_example_go_as_they_are_told() {
    let mut build = Command::new(env!("CARGO"));
    let built = build.args(["build", "--quiet", "-p", "agent-review"]).current_dir(root()).status();
    assert!(built.expect("cargo").success(), "the example's model server is not built");
    assert!(goes_as_told("examples/agent-review/README.md") > 15, "is the page still read rightly?");
}

#[test]
fn the_sessions_of_each_page_go_as_they_are_told() {
    let folder = root().join("docs");
    let pages = fs::read_dir(&folder).expect("the pages").map(|page| page.expect("a page").file_name());
    let pages = pages.filter_map(|name| name.into_string().ok()).filter(|name| name.ends_with(".md"));
    let pages: Vec<String> = pages
        .map(|name| format!("docs/{name}"))
        .filter(|name| fs::read_to_string(root().join(name)).expect("text").contains(OPENING))
        .collect();
    for page in ["tutorial", "backup", "security"] {
        assert!(pages.contains(&format!("docs/{page}.md")), "{page}: is it still read rightly?");
    }
    let mut differences = Vec::new();
    for page in pages {
        let played = play(&page);
        assert!(played.commands > 0, "{page}");
        differences.extend(played.differences);
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What came of a page.
struct Played {
    commands: usize,
    /// One for each command that printed something else.
    differences: Vec<String>,
}

/// Plays a page that must go as it is told; answers how many commands there were.
fn goes_as_told(page: &str) -> usize {
    let played = play(page);
    assert!(played.differences.is_empty(), "{}", played.differences.join("\n"));
    played.commands
}

/// Plays a page and compares.
fn play(page: &str) -> Played {
    let text = fs::read_to_string(root().join(page)).expect("text");
    let typed = sessions(&text);
    let folder = tempfile::tempdir().expect("a folder");
    // One that keeps its word: another one would be refused.
    let settings = Settings { durability: Durability::Full, ..Settings::default() };
    let server = text.contains(HOST).then(|| Server::start(settings).expect("a server"));
    let work = folder.path().join("work");
    if page.starts_with("examples/") {
        let beside = root().join(page);
        let beside = beside.parent().expect("a folder");
        let copied = Command::new("cp").arg("-r").args([beside, &work]).status();
        assert!(copied.expect("cp").success(), "the example is not copied");
    } else {
        fs::create_dir(&work).expect("a folder");
    }
    let printed = execute(&typed, folder.path(), server.as_ref());
    let outputs: Vec<&str> = printed.split(BORDER).skip(1).collect();
    let shapes = Shapes::new();
    let mut differences = Vec::new();
    for (place, typed) in typed.iter().enumerate() {
        let output = outputs.get(place).copied().unwrap_or("(the shell had ended)");
        let expected: Vec<String> = typed.seen.iter().map(|line| shapes.of(line)).collect();
        let found: Vec<String> = output.lines().map(|line| shapes.of(line)).collect();
        if !agree(&expected, &found) {
            differences.push(format!(
                "{page} tells otherwise\n$ {}\n--- told\n{}\n--- seen\n{output}",
                typed.command,
                typed.seen.join("\n")
            ));
        }
    }
    Played { commands: typed.len(), differences }
}

fn sessions(page: &str) -> Vec<Typed> {
    let mut all: Vec<Typed> = Vec::new();
    for block in page.split(OPENING).skip(1) {
        let (block, _) = block.split_once("```").expect("a block that ends");
        let first = all.len();
        for line in block.lines() {
            if let Some(command) = line.strip_prefix("$ ") {
                all.push(Typed { command: command.to_owned(), seen: Vec::new() });
            } else if let Some(more) = line.strip_prefix("> ").filter(|_| all.len() > first) {
                let typed = all.last_mut().expect("a command to continue");
                typed.command.push('\n');
                typed.command.push_str(more);
            } else {
                let typed = all.get_mut(first..).and_then(<[Typed]>::last_mut).expect("a command first");
                typed.seen.push(line.to_owned());
            }
        }
    }
    all
}

/// Everything that is printed, on both streams.
fn execute(typed: &[Typed], folder: &Path, server: Option<&Server>) -> String {
    let address = server.map(|server| format!("127.0.0.1:{}", server.port()));
    // The border must not change what `$?` and `$!` say.
    let mut script = String::from("exec 2>&1\n");
    for typed in typed {
        script.push_str("code=$?; printf '\\036\\n'; (exit $code)\n");
        script.push_str(&typed.command.replace(HOST, address.as_deref().unwrap_or(HOST)));
        script.push('\n');
    }
    let binary = Path::new(env!("CARGO_BIN_EXE_sprongus")).parent().expect("a folder");
    let mut path = vec![binary];
    path.extend(server.map(Server::programs));
    path.extend(["/usr/local/bin", "/usr/bin", "/bin"].map(Path::new));
    let mut command = Command::new("bash");
    command.args(["--norc", "-c", &script]).current_dir(folder.join("work")).env_clear();
    command.env("PATH", std::env::join_paths(path).expect("a path")).env("HOME", folder).env("USER", "ada");
    if let Some(server) = server {
        command.env("PGHOST", server.socket_folder()).env("PGPORT", server.port().to_string());
        command.env("PGUSER", "postgres");
    }
    let output = command.stdin(std::process::Stdio::null()).output().expect("bash");
    let printed = String::from_utf8(output.stdout).expect("text");
    match address {
        Some(address) => printed.replace(&address, &format!("{HOST}:5432")),
        None => printed,
    }
}

/// What differs from one execution to the next, and what it is taken for.
struct Shapes(Vec<(Regex, &'static str)>);

impl Shapes {
    fn new() -> Self {
        let shapes = [
            (r"\b[0-9A-HJKMNP-TV-Z]{26}\b", "<id>"),
            (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "<at>"),
            (r"\b\d\d:\d\d:\d\dZ", "<clock>"),
            (r"\b[\w.-]+-[0-9A-HJKMNP-TV-Z]{12}\b", "<worker>"),
            (r"\b\d+(\.\d+)?(ms|s)( ago)?\b|\bnow\b", "<time>"),
            (r"[ \t]+", " "),
        ];
        let read = |(shape, name)| (Regex::new(shape).expect("a pattern"), name);
        Self(shapes.map(read).into())
    }

    fn of(&self, line: &str) -> String {
        let shaped = self
            .0
            .iter()
            .fold(line.to_owned(), |line, (shape, name)| shape.replace_all(&line, *name).into_owned());
        shaped.trim_end().to_owned()
    }
}

/// Whether lines are as told.
fn agree(expected: &[String], seen: &[String]) -> bool {
    match (expected.split_first(), seen.split_first()) {
        (None, _) => seen.is_empty(),
        (Some((line, rest)), _) if line == "…" => {
            (0..=seen.len()).any(|passed| agree(rest, &seen[passed..]))
        }
        (Some(_), None) => false,
        (Some((line, rest)), Some((found, more))) => line_agrees(line, found) && agree(rest, more),
    }
}

fn line_agrees(expected: &str, seen: &str) -> bool {
    let mut parts = expected.split('…');
    let Some(mut left) = parts.next().and_then(|first| seen.strip_prefix(first)) else { return false };
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return left.ends_with(part);
        }
        match left.split_once(part) {
            Some((_, rest)) => left = rest,
            None => return false,
        }
    }
    left.is_empty()
}

#[test]
fn the_comparison_can_fail() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    assert!(agree(&lines("a\n…\nd"), &lines("a\nb\nc\nd")));
    assert!(agree(&lines("a … c"), &lines("a b c")));
    assert!(!agree(&lines("a\n…\nd"), &lines("a\nb\nc")));
    assert!(!agree(&lines("a"), &lines("a\nb")) && !agree(&lines("a\nb"), &lines("a")));
    assert!(!line_agrees("a … c", "a b d") && !line_agrees("a", "ab"));
}
