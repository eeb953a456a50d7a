//! The mutants that matter: with the epoch check, the state guard, the idempotency index, a schedule's cursor or `synchronous=FULL` taken out, a test
//! fails. Each builds the project anew, so the short form only looks whether there is still something to take out.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::tempo::is_long;

struct Mutant {
    name: &'static str,
    /// File, what stands there, what is put there instead.
    changes: &'static [(&'static str, &'static str, &'static str)],
    /// The tests that must fail, as `cargo test` is told.
    tests: &'static [&'static str],
}

const MUTANTS: [Mutant; 6] = [
    Mutant {
        name: "the epoch check",
        changes: &[
            (
                "crates/sprongus-core/src/rules/mod.rs",
                "let proven = run.epoch == hold.epoch && run.lease_hash",
                "let proven = run.lease_hash",
            ),
            (
                "crates/sprongus-core/src/rules/mod.rs",
                "run.epoch == epoch\n        && run",
                "epoch > 0 && run",
            ),
        ],
        tests: &["-p", "sprongus-sqlite", "--test", "conformance"],
    },
    Mutant {
        name: "the lease token check",
        changes: &[(
            "crates/sprongus-core/src/rules/mod.rs",
            "let proven = run.epoch == hold.epoch && run.lease_hash.is_some_and(|hash| hash == hold.token.hash());",
            "let proven = run.epoch == hold.epoch;",
        )],
        tests: &["-p", "sprongus-sqlite", "--test", "conformance"],
    },
    Mutant {
        name: "the state guard",
        changes: &[(
            "crates/sprongus-core/src/rules/mod.rs",
            "match permit(run.state, verb) {",
            "match permit(State::Running, verb) {",
        )],
        tests: &["-p", "sprongus-sqlite", "--test", "conformance"],
    },
    Mutant {
        name: "the idempotency index",
        changes: &[
            (
                "crates/sprongus-sqlite/migrations/0001_runs.sql",
                "CREATE UNIQUE INDEX runs_idempotency",
                "CREATE INDEX runs_idempotency",
            ),
            (
                "crates/sprongus-sqlite/src/runs/enqueue.rs",
                "if let Some(key) = &request.idempotency_key\n",
                "if let Some(key) = request.idempotency_key.as_ref().filter(|_| false)\n",
            ),
        ],
        tests: &["-p", "sprongus-sqlite", "--test", "conformance"],
    },
    Mutant {
        name: "a schedule's cursor",
        changes: &[(
            "crates/sprongus-core/src/rules/schedule.rs",
            "        progress.advance(due.cursor);\n",
            "",
        )],
        tests: &["-p", "sprongus-sqlite", "--test", "conformance"],
    },
    Mutant {
        name: "synchronous=FULL",
        changes: &[(
            "crates/sprongus-sqlite/src/schema/open.rs",
            "Durability::PowerCut => \"FULL\",",
            "Durability::PowerCut => \"NORMAL\",",
        )],
        tests: &["-p", "sprongus", "--test", "drills", "power_cut::"],
    },
];

/// In the short form: what is to be taken out still stands there, so that the long one proves what it says.
#[test]
fn each_is_caught() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    if !is_long() {
        for mutant in &MUTANTS {
            for (file, from, _) in mutant.changes {
                let text = fs::read_to_string(root.join(file)).unwrap();
                assert_eq!(text.matches(from).count(), 1, "{}: not there once: {from}", mutant.name);
            }
        }
        return;
    }
    // One folder for all of them, so that what they have in common is built once.
    let copy = tempfile::tempdir().unwrap();
    let target = build_folder(root);
    for mutant in &MUTANTS {
        fill(root, copy.path());
        for (file, from, to) in mutant.changes {
            let path = copy.path().join(file);
            let text = fs::read_to_string(&path).unwrap();
            assert_eq!(text.matches(from).count(), 1, "{}: not there once: {from}", mutant.name);
            fs::write(path, text.replace(from, to)).unwrap();
        }
        let (built, output) = cargo(copy.path(), &target, mutant.tests, true);
        assert!(built, "{}: does not build:\n{output}", mutant.name);
        let (passed, output) = cargo(copy.path(), &target, mutant.tests, false);
        let caught = output.lines().filter(|line| line.starts_with("test ") && line.ends_with("FAILED"));
        let caught: Vec<_> = caught.filter_map(|line| line.split(' ').nth(1)).collect();
        assert!(!passed && !caught.is_empty(), "{} can be taken out unnoticed:\n{output}", mutant.name);
        println!(
            "mutants: {} taken out: caught by {} tests, {} the first",
            mutant.name,
            caught.len(),
            caught[0]
        );
    }
}

/// Beside the project's own build, never in it: a mutant must not be left behind there.
fn build_folder(root: &Path) -> PathBuf {
    let own = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    own.join("mutants")
}

/// Copies what git knows of, as it stands in the work tree.
fn fill(root: &Path, copy: &Path) {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "-co", "--exclude-standard"])
        .current_dir(root)
        .output()
        .unwrap();
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    for name in String::from_utf8(listed.stdout).unwrap().split_terminator('\0') {
        let (from, to) = (root.join(name), copy.join(name));
        let Ok(text) = fs::read(&from) else { continue };
        // What is the same keeps its time, so that it is not built again.
        if fs::read(&to).is_ok_and(|there| there == text) {
            continue;
        }
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::write(to, text).unwrap();
    }
}

fn cargo(copy: &Path, target: &Path, tests: &[&str], only_build: bool) -> (bool, String) {
    let mut command = Command::new(env!("CARGO"));
    command.arg("test").args(tests).current_dir(copy).env("CARGO_TARGET_DIR", target);
    command.env_remove("SPRONGUS_DRILL").env_remove("SPRONGUS_DRILL_SEED");
    if only_build {
        command.arg("--no-run");
    }
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text.into_owned())
}
