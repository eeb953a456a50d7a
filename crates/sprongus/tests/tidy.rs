//! The shape of the code: what a reader may rely on without reading it all. Each test says what to do about what it finds.

#![expect(clippy::expect_used, reason = "a test that cannot set itself up has failed")]

#[path = "tidy/circles.rs"]
mod circles;

use std::fs;
use std::path::{Path, PathBuf};

/// Lines of a source file, tests aside.
const LONGEST: usize = 400;

/// The same of a file of tests.
const LONGEST_TEST: usize = 500;

/// Source files of a folder's own.
const MOST_FILES: usize = 15;

/// Lines of ARCHITECTURE.md.
const LONGEST_TOUR: usize = 250;

/// The folders that short paths in ARCHITECTURE.md start from, in the order of the life table's columns where it has them.
const BASES: [&str; 10] = [
    "",
    "crates/sprongus-core/src",
    "crates/sprongus-sqlite/src",
    "crates/sprongus/src",
    "crates/sprongus-conformance/src",
    "crates/sprongus-worker/src",
    "examples/storyboard",
    "crates/sprongus-postgres/src",
    "crates/sprongus-http/src",
    "crates/sprongus-artifacts/src",
];

/// Where SQL may stand: the two stores, and the server that only tests start.
const STORES: [&str; 3] =
    ["crates/sprongus-sqlite/", "crates/sprongus-postgres/", "crates/sprongus-throwaway/"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace")
}

/// Every source file with its path from the root.
fn sources() -> Vec<(String, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                found.push(path);
            }
        }
    }
    let root = root();
    let mut found = Vec::new();
    ["crates", "examples"].iter().for_each(|folder| walk(&root.join(folder), &mut found));
    found.sort();
    let named = found.into_iter().map(|path| {
        let name = path.strip_prefix(&root).expect("a path below the root").display().to_string();
        (name, fs::read_to_string(path).expect("text"))
    });
    named.collect()
}

/// Phrases that no text for people holds; CONTRIBUTING.md has what to write instead.
const BANNED: [&str; 23] = [
    "said otherwise",
    "told otherwise",
    "goes on;",
    "lets it go on",
    "lets it pass",
    "is no terminal",
    "what is amiss",
    "a fault of ours",
    "given back",
    "broke off",
    "broken off",
    "made anew",
    "budget of attempts",
    "stands in front",
    "nobody could be",
    "by hand of",
    "keeping house",
    "` makes one",
    "` writes one",
    "` stores one",
    "` shows them\"",
    "unasked",
    "please",
];

fn is_test(name: &str) -> bool {
    name.contains("/tests/") || name.ends_with("/tests.rs") || name.contains("sprongus-conformance/")
}

/// The text above the module of unit tests.
fn without_tests(text: &str) -> &str {
    text.split_once("#[cfg(test)]\nmod tests {").map_or(text, |(code, _)| code)
}

#[track_caller]
fn none(found: &[String], remedy: &str) {
    assert!(found.is_empty(), "{remedy}:\n  {}", found.join("\n  "));
}

#[test]
fn a_file_can_be_read_in_one_sitting() {
    let long = sources().into_iter().filter_map(|(name, text)| {
        let lines = without_tests(&text).lines().count();
        let longest = if is_test(&name) { LONGEST_TEST } else { LONGEST };
        (lines > longest).then(|| format!("{name}: {lines} lines"))
    });
    none(&long.collect::<Vec<_>>(), "over 400 lines, or 500 of tests; cut it where it has two subjects");
}

#[test]
fn there_is_no_circle_between_files() {
    none(
        &circles::circles(&sources()),
        "files that know each other; move what both need into a third one, or what one decides into the other",
    );
}

#[test]
fn a_folder_can_be_taken_in_at_a_glance() {
    let mut folders: std::collections::BTreeMap<String, usize> = std::collections::BTreeMap::new();
    for (name, _) in sources().into_iter().filter(|(name, _)| !is_test(name) && name.contains("/src/")) {
        let folder = Path::new(&name).parent().map(|folder| folder.display().to_string()).unwrap_or_default();
        *folders.entry(folder).or_default() += 1;
    }
    let found = folders.into_iter().filter(|(_, files)| *files > MOST_FILES);
    let found: Vec<String> = found.map(|(folder, files)| format!("{folder}: {files} files")).collect();
    none(&found, "over 15 files in a folder; group them by what they are about");
}

#[test]
fn a_file_is_named_for_what_it_holds() {
    let vague = ["util", "utils", "helper", "helpers", "common", "misc", "imp", "types"];
    let found = sources().into_iter().map(|(name, _)| name).filter(|name| {
        let stem = Path::new(name).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        vague.contains(&stem) || vague.iter().any(|word| name.contains(&format!("/{word}/")))
    });
    none(&found.collect::<Vec<_>>(), "a name that says nothing; name it for what it holds");
}

#[test]
fn sql_stands_in_the_stores_alone() {
    let is_sql = |line: &&str| {
        let code = line.split("//").next().unwrap_or_default();
        code.contains("SELECT ")
            || code.contains("INSERT INTO")
            || code.contains("DELETE FROM")
            || code.split_once("UPDATE ").is_some_and(|(_, rest)| rest.contains(" SET"))
    };
    let elsewhere = sources()
        .into_iter()
        .filter(|(name, _)| !is_test(name) && !STORES.iter().any(|store| name.starts_with(store)));
    let found = elsewhere.flat_map(|(name, text)| {
        let lines: Vec<String> = without_tests(&text)
            .lines()
            .filter(is_sql)
            .map(|line| format!("{name}: {}", line.trim()))
            .collect();
        lines
    });
    none(&found.collect::<Vec<_>>(), "SQL outside of a store; ask `Runs` or `Store` instead");
}

#[test]
fn the_core_depends_on_no_machinery() {
    let manifest = fs::read_to_string(root().join("crates/sprongus-core/Cargo.toml")).expect("a manifest");
    let machinery = ["tokio", "rusqlite", "tokio-postgres", "axum", "reqwest", "clap"];
    let found = manifest.lines().filter(|line| machinery.iter().any(|name| line.starts_with(name)));
    none(
        &found.map(str::to_owned).collect::<Vec<_>>(),
        "sprongus-core holds rules only; what needs this belongs into a store, the worker or the binary",
    );
}

#[test]
fn a_store_and_the_worker_do_not_know_each_other() {
    for (name, strangers) in [
        ("sprongus-core", &["sprongus-"][..]),
        ("sprongus-sqlite", &["sprongus-worker", "sprongus-postgres", "clap"]),
        ("sprongus-postgres", &["sprongus-worker", "sprongus-sqlite", "rusqlite", "clap"]),
        ("sprongus-worker", &["sprongus-sqlite", "sprongus-postgres", "rusqlite", "tokio-postgres", "clap"]),
    ] {
        let path = root().join("crates").join(name).join("Cargo.toml");
        let manifest = fs::read_to_string(path).expect("a manifest");
        let code = manifest.split("[dev-dependencies]").next().unwrap_or_default();
        let found = code.lines().filter(|line| strangers.iter().any(|stranger| line.starts_with(stranger)));
        none(&found.map(|line| format!("{name}: {line}")).collect::<Vec<_>>(), "a layer that is not its own");
    }
}

#[test]
fn a_lint_is_expected_and_not_allowed() {
    // What a macro is expanded into may or may not trip the lint, and `expect` would complain where it does not.
    let in_macros = ["crates/sprongus-conformance/src/cases.rs", "crates/sprongus-conformance/src/api.rs"];
    let tidy = "crates/sprongus/tests/tidy.rs";
    let sources =
        sources().into_iter().filter(|(name, _)| !in_macros.contains(&name.as_str()) && name != tidy);
    let found = sources.filter(|(_, text)| text.contains("#[allow(") || text.contains("#![allow("));
    none(
        &found.map(|(name, _)| name).collect::<Vec<_>>(),
        "use #[expect(…, reason = \"…\")], which says why and fails when it is no longer needed",
    );
}

#[test]
fn what_is_to_be_done_has_an_address() {
    let is_bare = |line: &&str| {
        ["TODO", "FIXME", "XXX"].iter().any(|word| {
            line.match_indices(word).any(|(place, _)| {
                let after = &line[place + word.len()..];
                let is_word = !after.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '(');
                is_word && !line[..place].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
            })
        })
    };
    let found = sources().into_iter().filter(|(name, _)| name != "crates/sprongus/tests/tidy.rs").flat_map(
        |(name, text)| {
            text.lines().filter(is_bare).map(|line| format!("{name}: {}", line.trim())).collect::<Vec<_>>()
        },
    );
    none(
        &found.collect::<Vec<_>>(),
        "write TODO(correctness), TODO(design) … with the number of an issue, or do it",
    );
}

#[test]
fn the_tour_names_what_is_there() {
    let root = root();
    let tour = fs::read_to_string(root.join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let lines = tour.lines().count();
    assert!(lines <= LONGEST_TOUR, "ARCHITECTURE.md has {lines} lines; a tour has {LONGEST_TOUR} at most");
    let spans = tour.split('`').skip(1).step_by(2);
    let links = tour.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
    let is_path = |text: &&str| {
        let ends = [".rs", ".md", ".toml", ".sql"].iter().any(|ending| text.ends_with(ending));
        let is_folder = text.ends_with('/') && !text.starts_with('/');
        let is_plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
        is_plain && (ends || is_folder)
    };
    let named: Vec<&str> = spans.chain(links).filter(is_path).collect();
    assert!(named.len() > 50, "found {} paths only: is the page still read rightly?", named.len());
    let is_there = |path: &&&str| BASES.iter().any(|base| root.join(base).join(path).exists());
    let missing: Vec<String> =
        named.iter().filter(|path| !is_there(path)).map(|path| (*path).to_owned()).collect();
    none(&missing, "ARCHITECTURE.md names what is not there; correct the page");
}

#[test]
fn documents_named_in_code_exist() {
    let root = root();
    let is_named = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    let (mut seen, mut missing) = (0, Vec::new());
    for (file, text) in sources().into_iter().chain(statements()) {
        for (place, _) in text.match_indices("docs/") {
            let rest = text.get(place..).unwrap_or_default();
            let path = rest.split(|c: char| !is_named(c)).next().unwrap_or_default();
            let Some(end) = path.rfind(".md") else { continue };
            let (document, behind) = rest.split_at(end + ".md".len());
            let anchor = behind.strip_prefix('#').map(|behind| {
                behind.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').next().unwrap_or_default()
            });
            // `#{}` is filled in by the code.
            let anchor = anchor.filter(|anchor| !anchor.is_empty());
            // An address on the web ends in the same path, and is none of ours.
            let is_ours = text.get(..place).is_none_or(|before| {
                before.ends_with("../") || !before.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '/')
            });
            if !is_ours {
                continue;
            }
            seen += 1;
            let is_there = fs::read_to_string(root.join(document)).is_ok_and(|page| {
                anchor.is_none_or(|anchor| headings(&page).any(|heading| heading == anchor))
            });
            if !is_there {
                missing.push(format!("{file}: {document} {}", anchor.unwrap_or_default()));
            }
        }
    }
    assert!(seen > 30, "found {seen} documents only: is the code still read rightly?");
    none(&missing, "code names a page, or a heading of one, that is not there; correct either");
}

/// The texts of the stores' own statements.
fn statements() -> Vec<(String, String)> {
    let root = root();
    let folders = [
        "crates/sprongus-sqlite/migrations",
        "crates/sprongus-postgres/migrations",
        "crates/sprongus-postgres/functions",
    ];
    let files = folders.iter().flat_map(|folder| fs::read_dir(root.join(folder)).expect("a folder"));
    let text = |path: PathBuf| (path.display().to_string(), fs::read_to_string(path).expect("text"));
    files.map(|entry| text(entry.expect("an entry").path())).collect()
}

/// A page's headings as links name them.
fn headings(page: &str) -> impl Iterator<Item = String> + '_ {
    page.lines().filter(|line| line.starts_with('#')).map(|line| {
        let words = line.trim_start_matches('#').trim().to_lowercase();
        let kept = words.chars().filter(|c| c.is_alphanumeric() || *c == ' ' || *c == '-' || *c == '_');
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    })
}

#[test]
fn each_cell_of_the_life_table_is_a_file_in_its_layer() {
    let root = root();
    let tour = fs::read_to_string(root.join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let rows: Vec<Vec<&str>> = tour
        .lines()
        .skip_while(|line| !line.starts_with("| stage |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    assert!(rows.len() >= 10, "the life table has {} rows", rows.len());
    // stage | rule (core) | store | Runs call | route | CLI | proof
    let bases = [(1, BASES[1]), (2, BASES[2]), (4, BASES[8]), (5, BASES[3]), (6, BASES[4])];
    let mut missing = Vec::new();
    for row in &rows {
        for (column, base) in bases {
            let paths = row[column].split('`').skip(1).step_by(2).filter(|path| path.ends_with(".rs"));
            missing.extend(
                paths
                    .filter(|path| !root.join(base).join(path).is_file())
                    .map(|path| format!("{}: {base}/{path}", row[0])),
            );
        }
        let calls = row[3].split('`').skip(1).step_by(2);
        let runs = fs::read_to_string(root.join("crates/sprongus-core/src/runs.rs")).expect("the trait");
        missing.extend(
            calls
                .filter(|call| !runs.contains(&format!("fn {call}")))
                .map(|call| format!("{}: no call {call}", row[0])),
        );
    }
    none(&missing, "the life table names what is not there");
}

#[test]
fn the_first_screen_of_the_readme_shows_the_thing() {
    let readme = fs::read_to_string(root().join("README.md")).expect("README.md");
    let first: Vec<&str> = readme.lines().take(25).collect();
    let screen = first.join("\n");
    assert!(
        screen.contains("```console\n$ ") && screen.contains("queued ---"),
        "a session and the states: {screen}"
    );
    assert!(!screen.contains("!["), "no badges above the fold");
}

/// What stands between quotes in a line of code, comments left out; and the help of options, which is in their comments.
fn texts(name: &str, line: &str) -> String {
    let line = line.trim_start();
    let is_help = name.ends_with("sprongus/src/cli.rs") || name.contains("sprongus/src/commands/");
    match line.strip_prefix("///") {
        Some(help) if is_help && !help.trim_end().ends_with('.') => help.to_owned(),
        _ if line.starts_with("//") => String::new(),
        _ => line.split_once('"').map_or_else(String::new, |(_, text)| text.to_owned()),
    }
}

#[test]
fn texts_for_people_are_plain_english() {
    let root = root();
    let code = sources().into_iter().filter(|(name, _)| !is_test(name) && !name.starts_with("examples/"));
    let code = code.flat_map(|(name, text)| {
        let lines = without_tests(&text).lines().map(|line| texts(&name, line)).collect::<Vec<_>>();
        lines.into_iter().map(move |line| (name.clone(), line))
    });
    let templates = root.join("crates/sprongus-http/templates");
    let pages = [root.join("docs"), templates].into_iter().flat_map(|folder| {
        let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
        entries.filter(|path| path.is_file()).collect::<Vec<_>>()
    });
    let pages = pages.chain([root.join("README.md")]).filter_map(|path| {
        let text = fs::read_to_string(&path).ok()?;
        let name = path.strip_prefix(&root).expect("a path below the root").display().to_string();
        (name.ends_with(".md") || name.ends_with(".html")).then_some((name, text))
    });
    let pages = pages.flat_map(|(name, text)| {
        text.lines().map(|line| (name.clone(), line.to_owned())).collect::<Vec<_>>()
    });
    let mut read = 0;
    let found = code.chain(pages).filter_map(|(name, line)| {
        read += 1;
        let phrase = BANNED.iter().find(|phrase| line.contains(**phrase))?;
        Some(format!("{name}: \"{phrase}\" in: {}", line.trim()))
    });
    let found: Vec<String> = found.collect();
    assert!(read > 10_000, "{read} lines only: are the texts still found?");
    none(&found, "not as a person would say it; CONTRIBUTING.md, \"Style of texts\"");
}
