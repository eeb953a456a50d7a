//! What operators do is on record, the same wherever it is asked; backups are whole, or are not there; damage is found.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;
use sprongus_throwaway::Server;

use crate::backing::{Backing, sessions};
use crate::sandbox::{Done, Sandbox, finished};

fn on(backing: Backing) -> Sandbox {
    Sandbox::on(backing)
}

/// What the audit says that somebody did, oldest first: the type and what it was done to. The first server's own token is left out.
fn recorded(audit: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut events: Vec<_> = audit["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (text(&it["type"]), text(&it["subject"])))
        .collect();
    events.reverse();
    events.retain(|(kind, _)| kind != "operator.token_created");
    events
}

fn what_operators_did_is_listed(backing: Backing) {
    let sandbox = on(backing);
    let made = sandbox.line("--json token create --name ci --scopes runs:read --expires 30d").exits(0).json();
    let id = made["id"].as_str().unwrap();
    sandbox.line("kinds pause mail").exits(0);
    sandbox.line("kinds pause mail").exits(0);
    sandbox.line("kinds resume mail").exits(0);
    sandbox.line("projects create films").exits(0);
    sandbox.line("workspaces create other").exits(0);
    sandbox.line("workspaces delete other --yes").exits(0);
    sandbox.run(&["token", "revoke", id, "--yes"]).exits(0);
    let audit = sandbox.line("--json audit list").exits(0).json();
    let expected = [
        ("operator.kind_paused", "mail"),
        ("operator.kind_resumed", "mail"),
        ("operator.project_created", "films"),
        ("operator.workspace_created", "other"),
        ("operator.workspace_deleted", "other"),
        ("operator.token_revoked", id),
    ];
    assert_eq!(recorded(&audit), expected.map(|(kind, subject)| (kind.to_owned(), subject.to_owned())));
    let newest = &audit["data"][0];
    assert_eq!(
        (&newest["before"]["revokedAt"], &newest["after"]["name"]),
        (&Value::Null, &Value::from("ci"))
    );
    assert!(newest["after"]["revokedAt"].is_string() && newest["at"].is_string(), "{newest}");
    // From afar by a token that has an id, here by a user who has none.
    assert_eq!(newest["tokenId"].is_string(), backing == Backing::Remote, "{newest}");
    let secret = made["token"].as_str().unwrap();
    assert!(!audit.to_string().contains(secret) && !audit.to_string().contains("hash"));

    let of_type =
        sandbox.line("--json audit list --type operator.kind_paused,operator.kind_resumed").exits(0).json();
    assert_eq!(of_type["data"].as_array().unwrap().len(), 2);
    assert_eq!(
        sandbox.line("--json audit list --before 2020-01-01").exits(0).json()["data"],
        Value::Array(vec![])
    );
    assert_eq!(
        sandbox.line("--json audit list --actor nobody").exits(0).json()["data"],
        Value::Array(vec![])
    );
    let first = sandbox.line("--json audit list --limit 2").exits(0).json();
    let cursor = first["nextCursor"].as_str().unwrap().to_owned();
    let second =
        sandbox.run(&["--json", "audit", "list", "--limit", "2", "--cursor", &cursor]).exits(0).json();
    assert_eq!(second["data"][0], audit["data"][2]);
    let people = sandbox.line("audit list --limit 1").exits(0);
    assert!(people.out.contains("operator.token_revoked") && people.err.contains("--cursor "), "{people:?}");
    assert_eq!(sandbox.line("audit list --limit 101").exits(2).error(), "limit must be 1 to 100: 101");
    let of_runs = sandbox.line("audit list --type run.canceled").exits(2);
    assert!(of_runs.err.contains("sprongus runs events"), "{}", of_runs.err);
}

fn tokens_are_listed_with_their_end(backing: Backing) {
    let sandbox = on(backing);
    sandbox.line("token create --name brief --scopes runs:read --expires 30d").exits(0);
    sandbox.line("token create --name lasting --scopes runs:read").exits(0);
    let listed = sandbox.line("token list").exits(0).out;
    assert!(listed.lines().next().unwrap().contains("EXPIRES"), "{listed}");
    let line = |name: &str| listed.lines().find(|line| line.contains(name)).unwrap().to_owned();
    assert!(line("brief").contains("in 29d") || line("brief").contains("in 30d"), "{listed}");
    assert!(line("lasting").contains("never"), "{listed}");
}

sessions!(what_operators_did_is_listed, tokens_are_listed_with_their_end);

const KIND: &str = r#"
[kinds.report]
[[kinds.report.steps]]
phase = "execution"
name = "write"
type = "command"
run = ["sh", "-c", "echo 'all is well' > report.txt"]
[[kinds.report.steps]]
phase = "cleanup"
name = "keep"
type = "artifact"
paths = ["report.txt"]
"#;

/// Runs as somebody who may back up: in a file whoever owns it, in Postgres a superuser, with Postgres' programs on the path.
fn privileged(sandbox: &Sandbox, words: &[&str]) -> Done {
    let mut command = sandbox.command(words);
    if let Some(database) = sandbox.database() {
        let server = Server::shared();
        command.env("SPRONGUS_DATABASE_URL", server.url(database, "postgres"));
        command.env("PATH", format!("{}:/usr/bin:/bin", server.programs().display()));
    }
    finished(command.spawn().unwrap())
}

/// A sandbox with an artifact, and a run that is due.
fn kept(backing: Backing) -> Sandbox {
    let sandbox = on(backing);
    sandbox.write("sprongus.toml", KIND);
    let project = sandbox.path().join(".sprongus/artifacts");
    sandbox.line("runs enqueue report --work").exits(0);
    assert!(backing == Backing::File || project.is_dir(), "artifacts lie beside the project");
    sandbox.enqueue("due");
    sandbox
}

#[test]
fn a_backup_of_a_file_is_whole_private_and_checked() {
    let sandbox = kept(Backing::File);
    let made = sandbox.line("--json backup copy").exits(0).json();
    assert_eq!((&made["runs"], &made["artifacts"]["files"]), (&Value::from(2), &Value::from(1)), "{made}");
    let copy = sandbox.path().join("copy");
    let mode = |name: &str| fs::metadata(copy.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(
        [mode("."), mode("runs.db"), mode("manifest.json"), mode("artifacts")],
        [0o700, 0o600, 0o600, 0o700]
    );
    let manifest: Value = serde_json::from_slice(&fs::read(copy.join("manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest, made);
    for _ in 0..2 {
        let sound = sandbox.line("--db copy/runs.db doctor --integrity").exits(0);
        assert!(sound.out.contains("unchanged since the backup"), "{}", sound.out);
    }
    sandbox.line("doctor --integrity").exits(0);
    assert_eq!(sandbox.line("--db copy/runs.db -q runs list").exits(0).out.lines().count(), 2);
}

#[test]
fn a_backup_never_touches_what_is_there_and_leaves_nothing_half_done() {
    let sandbox = kept(Backing::File);
    sandbox.write("notes.txt", "mine");
    fs::create_dir(sandbox.path().join("full")).unwrap();
    sandbox.write("full/notes.txt", "mine");
    assert!(sandbox.line("backup full").exits(4).error().starts_with("the folder is not empty"));
    assert!(sandbox.line("backup notes.txt").exits(8).error().starts_with("cannot read"));
    fs::create_dir(sandbox.path().join("empty")).unwrap();
    sandbox.line("backup empty").exits(0);
    fs::create_dir(sandbox.path().join("new.partial")).unwrap();
    assert!(sandbox.line("backup new").exits(4).error().starts_with("another backup is in progress"));
    fs::remove_dir(sandbox.path().join("new.partial")).unwrap();
    // The database itself is no database: what was begun is gone.
    sandbox.write("broken.db", "this is no database, whatever its name says, and never was one");
    sandbox.line("--db broken.db backup new").exits(8);
    assert!(!sandbox.path().join("new").exists() && !sandbox.path().join("new.partial").exists());
    let served = on(Backing::Remote);
    assert!(served.line("backup new").exits(2).err.contains("--db"));
}

#[test]
fn artifacts_that_are_missing_or_damaged_are_found() {
    let sandbox = kept(Backing::File);
    sandbox.line("backup copy").exits(0);
    let files = |root: &str| {
        let found = std::process::Command::new("find")
            .arg(sandbox.path().join(root))
            .args(["-type", "f"])
            .output()
            .unwrap();
        String::from_utf8(found.stdout).unwrap().lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let copied = files("copy/artifacts");
    assert_eq!(copied.len(), 1);
    fs::write(&copied[0], "all is welk\n").unwrap();
    let damaged = sandbox.line("--db copy/runs.db doctor --integrity").exits(1);
    assert!(damaged.out.contains("damaged files: 1"), "{}", damaged.out);
    fs::remove_file(&copied[0]).unwrap();
    let missing = sandbox.line("--db copy/runs.db doctor --integrity").exits(1);
    assert!(missing.out.contains("missing files: 1"), "{}", missing.out);
    fs::remove_dir_all(sandbox.path().join(".sprongus/artifacts")).unwrap();
    let made = sandbox.line("--json backup lacking").exits(1).json();
    assert_eq!(made["artifacts"]["missing"].as_array().unwrap().len(), 1, "{made}");
}

#[test]
fn a_history_with_a_gap_and_a_copy_that_was_changed_are_found() {
    let sandbox = kept(Backing::File);
    sandbox.line("backup copy").exits(0);
    let file = rusqlite::Connection::open(sandbox.path().join("copy/runs.db")).unwrap();
    file.execute_batch(
        "DROP TRIGGER events_stay; DELETE FROM run_events WHERE seq = 1 AND run_id = (SELECT id FROM runs WHERE kind = 'due');
         UPDATE runs SET ready = 0 WHERE kind = 'due'",
    )
    .unwrap();
    drop(file);
    let found = sandbox.line("--db copy/runs.db doctor --integrity").exits(1).out;
    for fault in [
        "runs with a gap in their history: 1",
        "queued but can never be claimed: 1",
        "has changed since the backup",
    ] {
        assert!(found.contains(fault), "{fault}: {found}");
    }
}

#[test]
fn a_backup_of_postgres_is_restored_whole_and_no_password_is_told() {
    let sandbox = kept(Backing::Postgres);
    let without = sandbox.line("backup copy").exits(6);
    assert!(without.err.contains("BYPASSRLS"), "{}", without.err);
    assert!(!sandbox.path().join("copy").exists() && !sandbox.path().join("copy.partial").exists());
    let made = privileged(&sandbox, &["--json", "backup", "copy"]).exits(0).json();
    assert_eq!((&made["runs"], &made["artifacts"]["files"]), (&Value::from(2), &Value::from(1)), "{made}");
    let dump = sandbox.path().join("copy/runs.dump");
    let restore = std::process::Command::new(Server::shared().programs().join("pg_restore"))
        .args(["--data-only", "--table", "runs", "--file", "-"])
        .arg(&dump)
        .output()
        .unwrap();
    let rows = String::from_utf8(restore.stdout).unwrap();
    assert_eq!(rows.matches("\tdefault\t").count(), 2, "{rows}");
    sandbox.line("doctor --integrity").exits(0);
    let server = Server::shared();
    let breaks = "ALTER TABLE sprongus.single_events DISABLE TRIGGER ALL; DELETE FROM sprongus.single_events WHERE seq = 1;
         UPDATE sprongus.runs SET epoch = -1 WHERE kind = 'due'";
    server.execute(sandbox.database().unwrap(), breaks).unwrap();
    let found = sandbox.line("doctor --integrity").exits(1).out;
    for fault in ["runs with a gap in their history: 2", "runs with a value that no rule gives: 1"] {
        assert!(found.contains(fault), "{fault}: {found}");
    }
}

#[test]
fn where_pg_dump_is_missing_it_is_said() {
    let sandbox = on(Backing::Postgres);
    let mut command = sandbox.command(&["backup", "copy"]);
    command.env("SPRONGUS_DATABASE_URL", Server::shared().url(sandbox.database().unwrap(), "postgres"));
    let nothing = sandbox.path().join("nothing");
    fs::create_dir(&nothing).unwrap();
    command.env("PATH", nothing);
    let refused = finished(command.spawn().unwrap()).exits(8);
    assert_eq!(refused.error(), "pg_dump is not on the PATH");
    assert!(!sandbox.path().join("copy.partial").exists());
}
