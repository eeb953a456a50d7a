//! The pages that are rendered from the code: `docs/states.md`, `docs/errors.md` and the table of clock changes in `docs/schedules.md` say
//! what it says, or this fails.
//! `SPRONGUS_BLESS=1 cargo test -p sprongus --test reference` writes them anew.

#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot set itself up has failed")]

#[path = "reference/clocks.rs"]
mod clocks;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use sprongus::ErrorCode;
use sprongus::core::run::state::{Permit, State, Verb, permit};

const ERRORS: &str = include_str!("../../sprongus-core/src/error.rs");

#[test]
fn states_md_is_the_table_of_the_core() {
    holds("states.md", &states());
}

#[test]
fn errors_md_is_the_list_of_the_core() {
    holds("errors.md", &errors());
}

#[test]
fn the_clock_changes_in_schedules_md_are_those_of_the_calendar() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schedules.md");
    let page = fs::read_to_string(path).expect("the page");
    let (before, rest) = page.split_once(clocks::HEADING).expect("the section");
    let after = rest.find("\n## ").map_or("", |at| &rest[at..]);
    holds("schedules.md", &format!("{before}{}{after}", clocks::section()));
}

#[track_caller]
fn holds(name: &str, rendered: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name);
    if std::env::var_os("SPRONGUS_BLESS").is_some() {
        fs::write(&path, rendered).expect("a page that can be written");
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == rendered,
        "docs/{name} is stale; SPRONGUS_BLESS=1 cargo test -p sprongus --test reference writes it anew"
    );
}

fn states() -> String {
    let mut page = String::from(
        "# States and verbs

Rendered from `permit` in `crates/sprongus-core/src/run/state.rs`; every store is held to every cell.

| verb | queued | running | succeeded | failed | canceled |
| --- | --- | --- | --- | --- | --- |
",
    );
    for verb in Verb::ALL {
        let cells = State::ALL.map(|state| cell(state, permit(state, verb)));
        writeln!(page, "| {} | {} |", verb.as_str(), cells.join(" | ")).expect("text");
    }
    page.push_str(
        "
- **→ state**: the verb leads there. Of two, the rule decides: a `fail` leads back to `queued` while it is retryable and
  attempts are left, a lost lease while attempts are left and fewer than three were lost.
- **held**: only with the worker id, the epoch and the lease token of the run's last claim, while its lease has not run out; else `lease_lost`.
- **closing**: only under the closing lease, which an ended run with a CLEANUP keeps for ten minutes at most; the state stays.
- **stays**: the verb may be used, and the state is the same afterwards. **unchanged**: nothing changes, and that is no error.
- **repeat**: the same report with the same epoch and lease token, or the same answer to the same gate, is answered again and changes nothing;
  anything else is refused with the code named.
- a code alone: refused. What a code means is in [errors.md](errors.md).

`claim` returns a failed or canceled run once more when its CLEANUP is still to be done and no worker holds it. `approve` and `reject` are for a queued run that waits at a gate; `cancel` takes precedence over anything a worker may still report.

## What moves a run out of each state

| state | out of it |
| --- | --- |
| queued | claimed by a worker; canceled; rejected at a gate; its `expireAt` passes |
| running | its attempt succeeds, fails, is released or waits at a gate; it is canceled; its lease expires |
| succeeded | nothing but retention, which deletes it |
| failed, canceled | a retry, with all attempts again; retention |
",
    );
    page
}

fn cell(state: State, permit: Permit) -> String {
    let to = |states: &[State]| {
        let names: Vec<&str> =
            states.iter().map(|to| if *to == state { "itself" } else { to.as_str() }).collect();
        if names == ["itself"] { "stays".to_owned() } else { format!("→ {}", names.join(" or ")) }
    };
    match permit {
        Permit::To(states) => to(states),
        Permit::Holding(states) => format!("held: {}", to(states)),
        Permit::Closing => "closing".to_owned(),
        Permit::Already => "unchanged".to_owned(),
        Permit::Repeat(code) => format!("repeat, else `{code}`"),
        Permit::Refused(code) => format!("`{code}`"),
    }
}

fn errors() -> String {
    let mut page = String::from(
        "# Errors and exit codes

Rendered from `ErrorCode` in `crates/sprongus-core/src/error.rs`. On the command line an error is one line and a hint on stderr;
with `--json` it is the same document that the HTTP API sends (RFC 9457): `type`, `title`, `status`, `detail`, `code`, `hint`,
`retryable`, `errors`.

| code | what it means | HTTP | exit | retryable | what to do |
| --- | --- | --- | --- | --- | --- |
",
    );
    for code in ErrorCode::ALL {
        let facts = code.facts();
        let (name, retryable) = (facts.name, if facts.retryable { "yes" } else { "no" });
        let (meaning, status, exit, hint) = (meaning(code), facts.status, facts.exit, facts.hint);
        writeln!(
            page,
            "| <a id=\"{name}\"></a>`{name}` | {meaning} | {status} | {exit} | {retryable} | {hint} |"
        )
        .expect("text");
    }
    page.push_str(
        "
Many errors have a more specific hint than the one above. `retryable` says whether the same request may succeed later.

## Exit codes

| exit | means |
| --- | --- |
| 0 | done; the run that was followed succeeded; a question was answered no |
| 1 | internal error; from `doctor`: a problem was found |
| 2 | usage error or invalid input |
| 3 | not found |
| 4 | conflict, or the run's state does not allow the verb |
| 5 | lease lost |
| 6 | not authenticated, or not allowed |
| 7 | `--timeout` ran out; the run continues |
| 8 | unavailable, or too many requests |
| 9 | the database schema does not match |
| 10 | the run that was followed failed |
| 11 | the run that was followed was canceled |
| 130 | Ctrl-C while following; the run continues |
",
    );
    page
}

/// What stands above the code where it is declared.
fn meaning(code: ErrorCode) -> String {
    let name = format!("{code:?}");
    let name = name.as_str();
    let (_, list) = ERRORS.split_once("pub enum ErrorCode {").expect("the list");
    let mut above = Vec::new();
    for line in list.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("/// ") {
            above.push(text);
        } else if line.strip_suffix(',') == Some(name) {
            return above.join(" ");
        } else {
            above.clear();
        }
    }
    panic!("{name} is not in the list");
}
