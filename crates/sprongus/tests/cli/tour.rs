//! The commands around the runs: `init`, `doctor`, `migrate`, and where a command goes.

use crate::backing::{Backing, sessions};
use crate::sandbox::Sandbox;

#[test]
fn init_writes_once() {
    let sandbox = Sandbox::new();
    sandbox.write(".gitignore", "target");
    sandbox.line("init").exits(0);
    assert_eq!(std::fs::read_to_string(sandbox.path().join(".gitignore")).unwrap(), "target\n.sprongus/\n");
    sandbox.write("sprongus.toml", "[kinds.mine]\ncommand = [\"true\"]\n");
    sandbox.line("init").exits(4);
    assert!(std::fs::read_to_string(sandbox.path().join("sprongus.toml")).unwrap().contains("kinds.mine"));
    assert_eq!(std::fs::read_to_string(sandbox.path().join(".gitignore")).unwrap(), "target\n.sprongus/\n");
}

fn the_starter_can_be_enqueued(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    sandbox.line("init").exits(0);
    sandbox.run(&["runs", "enqueue", "hello", "--input", "{\"name\": \"Ada\"}"]).exits(0);
}

#[test]
fn doctor_tells_what_was_chosen_and_makes_nothing() {
    let sandbox = Sandbox::new();
    let done = sandbox.line("doctor").exits(0);
    assert!(done.out.contains("created by the first run"), "{}", done.out);
    assert!(!sandbox.file().exists());
    sandbox.enqueue("a");
    let done = sandbox.line("doctor").exits(0);
    for expected in ["user default", "SQLite", "power cut", "0 alive", "1 due"] {
        assert!(done.out.contains(expected), "{expected} is not in {}", done.out);
    }
    let findings = sandbox.line("--json doctor").exits(0).json();
    assert!(findings["findings"].as_array().unwrap().iter().all(|finding| finding["ok"] == true));
}

#[test]
fn doctor_finds_what_is_wrong() {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = Sandbox::new();
    sandbox.enqueue("a");
    std::fs::set_permissions(sandbox.file(), std::fs::Permissions::from_mode(0o644)).unwrap();
    let done = sandbox.line("doctor").exits(1);
    assert!(done.out.contains("chmod 600"), "{}", done.out);
    assert!(sandbox.line("--db missing.db doctor").exits(1).out.contains("missing.db"));
    sandbox.write("junk.db", "junk".repeat(1_000));
    sandbox.line("--db junk.db doctor").exits(1);
}

#[test]
fn migrate_tells_before_it_does() {
    let sandbox = Sandbox::new();
    let dry = sandbox.line("--db x.db migrate --dry-run").exits(0).out;
    assert!(dry.contains("-- 0001 runs") && dry.contains("CREATE TABLE"), "{dry}");
    assert!(!sandbox.path().join("x.db").exists());
    assert!(sandbox.line("--db x.db migrate").exits(0).out.contains("applied 0001 runs"));
    assert!(sandbox.line("--db x.db migrate").exits(0).err.contains("up to date"));
}

#[test]
fn only_some_commands_hear_database_url() {
    let sandbox = Sandbox::new();
    let mut migrate = sandbox.command(&["migrate"]);
    migrate.env("DATABASE_URL", "sqlite:theirs.db");
    let done = crate::sandbox::finished(migrate.spawn().unwrap()).exits(0);
    assert!(done.err.contains("DATABASE_URL"), "{}", done.err);
    assert!(sandbox.path().join("theirs.db").exists());
    let mut list = sandbox.command(&["runs", "list"]);
    list.env("DATABASE_URL", "sqlite:other.db");
    crate::sandbox::finished(list.spawn().unwrap()).exits(0);
    assert!(!sandbox.path().join("other.db").exists());
}

sessions! {
    the_starter_can_be_enqueued,
}
