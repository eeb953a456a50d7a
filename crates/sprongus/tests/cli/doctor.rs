//! `doctor`: ten staged faults, each named with its remedy; and where each setting came from. Two of the ten, a full disk and a clock
//! that is off, are staged by a figure, beside the code (`doctor/files.rs`, `doctor/clock.rs`); the clock here too.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use sprongus::core::run::ClaimRequest;
use sprongus_throwaway::Server;

use crate::backing::{Backing, migrated};
use crate::sandbox::{Done, Sandbox, block_on, copy_program, finished, worker};

/// A fault that the doctor must name, and the remedy it must name with it.
#[track_caller]
pub fn names(done: Done, what: &str, fault: &str, remedy: &str) {
    let findings = done.exits(1).json();
    let found = findings["findings"].as_array().unwrap().iter().any(|finding| {
        let has = |name: &str, text: &str| finding[name].as_str().is_some_and(|found| found.contains(text));
        finding["ok"] == false && finding["what"] == what && has("found", fault) && has("remedy", remedy)
    });
    assert!(found, "{what}: {fault}: {remedy}: {findings:#}");
}

fn doctor(sandbox: &Sandbox) -> Done {
    sandbox.line("--json doctor")
}

#[test]
fn a_broken_toml() {
    let sandbox = Sandbox::new();
    sandbox.write("sprongus.toml", "[kinds.a]\ncommand = \"true\"\n");
    names(doctor(&sandbox), "sprongus.toml", "sprongus.toml:2:11", "fix the file");
}

#[test]
fn an_unknown_schema() {
    let sandbox = Sandbox::new();
    sandbox.enqueue("a");
    rusqlite::Connection::open(sandbox.file()).unwrap().pragma_update(None, "user_version", 9_999).unwrap();
    names(doctor(&sandbox), "database", "schema 9999", "newer sprongus");
}

/// The doctor as somebody who is not root, who may write everywhere.
fn doctor_as_another(sandbox: &Sandbox, file: &str) -> Done {
    let program = sandbox.path().join("sprongus");
    copy_program(&program);
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::set_permissions(sandbox.path(), std::fs::Permissions::from_mode(0o555)).unwrap();
    let mut command = Command::new(program);
    command.args(["--json", "--db", file, "doctor"]).current_dir(sandbox.path()).env_clear();
    command.env("HOME", sandbox.path()).env("USER", "ada").stdout(Stdio::piped()).stderr(Stdio::piped());
    if rustix::process::geteuid().is_root() {
        command.uid(65_534).gid(65_534);
    }
    let done = finished(command.spawn().unwrap());
    std::fs::set_permissions(sandbox.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    done
}

#[test]
fn a_file_that_can_only_be_read() {
    let sandbox = Sandbox::new();
    sandbox.line("--db closed.db runs enqueue a").exits(0);
    std::fs::set_permissions(sandbox.path().join("closed.db"), std::fs::Permissions::from_mode(0o444))
        .unwrap();
    names(
        doctor_as_another(&sandbox, "closed.db"),
        "permissions",
        "ada cannot write closed.db",
        "let ada write",
    );
}

#[test]
fn a_damaged_file() {
    use std::io::{Seek, SeekFrom, Write};
    let sandbox = Sandbox::new();
    let lines = "{\"kind\": \"a\"}\n".repeat(200);
    sandbox.fed(&["runs", "enqueue", "--from", "-"], lines.as_bytes()).exits(0);
    let connection = rusqlite::Connection::open(sandbox.file()).unwrap();
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let page: u32 = connection
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'run_events'", [], |row| row.get(0))
        .unwrap();
    let size: u32 = connection.query_row("PRAGMA page_size", [], |row| row.get(0)).unwrap();
    drop(connection);
    let mut file = std::fs::File::options().write(true).open(sandbox.file()).unwrap();
    file.seek(SeekFrom::Start(u64::from((page - 1) * size))).unwrap();
    file.write_all(&[0xa5; 512]).unwrap();
    names(doctor(&sandbox), "integrity", "damaged", "restore a backup");
}

#[test]
fn weak_durability_and_a_role_that_passes_by_row_level_security() {
    let (sandbox, database) = (Sandbox::new(), migrated());
    // The server of these tests forces nothing to the disk.
    let doctor = |role: &str| sandbox.run(&["--db", &database.url(role), "--json", "doctor"]);
    names(doctor("sprongus_app"), "durability", "power cut", "fsync");
    names(doctor("postgres"), "tenants", "bypasses row-level security", "migrate --role");
}

/// Takes what is due for due since an hour.
fn aged(sandbox: &Sandbox) {
    match sandbox.database() {
        Some(database) => {
            let aged = "UPDATE sprongus.run_queue
                 SET run_at = run_at - interval '1 hour', due_since = due_since - interval '1 hour'";
            Server::shared().execute(database, aged).unwrap();
        }
        None => {
            let aged = "UPDATE runs SET run_at = strftime('%Y-%m-%dT%H:%M:%fZ', run_at, '-1 hour'),
                 due_at = strftime('%Y-%m-%dT%H:%M:%fZ', due_at, '-1 hour')";
            assert_eq!(rusqlite::Connection::open(sandbox.file()).unwrap().execute(aged, []).unwrap(), 2);
        }
    }
}

#[test]
fn no_worker_for_a_kind_and_none_for_those_that_are_paused() {
    for backing in [Backing::File, Backing::Postgres, Backing::Remote] {
        let sandbox = Sandbox::on(backing);
        for kind in ["lonely", "held"] {
            sandbox.enqueue(kind);
        }
        aged(&sandbox);
        sandbox.line("kinds pause held").exits(0);
        names(doctor(&sandbox), "workers", "serves lonely: 1 due", "sprongus worker");
        let findings = doctor(&sandbox).json().to_string();
        assert!(
            findings.contains("held is paused by ")
                && findings.contains("s ago, 1 due")
                && !findings.contains("serves held"),
            "{findings}"
        );
    }
}

/// Takes the leases for having ended an hour ago. That their timers stand where they were keeps a server from taking the runs back.
fn expired(sandbox: &Sandbox) {
    match sandbox.database() {
        Some(database) => {
            let expired = "UPDATE sprongus.runs SET lease_expires_at = pg_catalog.now() - interval '1 hour'
                 WHERE lease_expires_at IS NOT NULL";
            Server::shared().execute(database, expired).unwrap();
        }
        None => {
            let expired =
                "UPDATE runs SET lease_expires_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-1 hour')";
            assert_eq!(rusqlite::Connection::open(sandbox.file()).unwrap().execute(expired, []).unwrap(), 1);
        }
    }
}

#[test]
fn a_run_that_is_stuck_until_a_worker_comes() {
    for backing in [Backing::File, Backing::Postgres, Backing::Remote] {
        let sandbox = Sandbox::on(backing);
        let id = sandbox.enqueue("a");
        block_on(async {
            let lease = Duration::from_secs(3_600);
            let request = ClaimRequest { lease, ..ClaimRequest::new(worker(), 1) };
            assert_eq!(sandbox.runs().await.claim(request).await.unwrap().len(), 1);
        });
        expired(&sandbox);
        let found = format!("run {id} (a) is held by test-worker, but its lease expired 1h ago");
        names(doctor(&sandbox), "stuck run", &found, "sprongus worker");
        if backing == Backing::Postgres {
            continue;
        }
        // The remedy: a worker, whatever it serves.
        let file = rusqlite::Connection::open(sandbox.file()).unwrap();
        file.execute("UPDATE runs SET timer_at = lease_expires_at", []).unwrap();
        block_on(async {
            let kinds = Some(vec!["other".parse().unwrap()]);
            let request = ClaimRequest { kinds, ..ClaimRequest::new(worker(), 1) };
            assert!(sandbox.runs().await.claim(request).await.unwrap().is_empty());
        });
        assert_eq!(sandbox.line("-q runs list --state queued").exits(0).out.trim(), id);
        doctor(&sandbox).exits(0);
    }
}

#[test]
fn a_folder_for_artifacts_that_cannot_be_written() {
    let sandbox = Sandbox::new();
    sandbox.line("--db open.db runs enqueue a").exits(0);
    for name in ["open.db", "open.db-wal", "open.db-shm"] {
        // Those beside it are gone when the last who used it is.
        let _ = std::fs::set_permissions(sandbox.path().join(name), std::fs::Permissions::from_mode(0o666));
    }
    std::fs::create_dir(sandbox.path().join("artifacts")).unwrap();
    std::fs::set_permissions(sandbox.path().join("artifacts"), std::fs::Permissions::from_mode(0o555))
        .unwrap();
    names(doctor_as_another(&sandbox, "open.db"), "artifacts", "permission denied", "let ada write ");
}

#[test]
fn a_database_whose_clock_is_off() {
    let (sandbox, database) = (Sandbox::new(), migrated());
    let doctor = || sandbox.run(&["--db", &database.url("sprongus_app"), "--json", "doctor"]);
    let shifted = |by: &str| {
        let body = format!("SELECT pg_catalog.clock_timestamp() + interval '{by}'");
        let sql = format!(
            "CREATE OR REPLACE FUNCTION sprongus.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $$ {body} $$"
        );
        Server::shared().execute(database.name(), &sql).unwrap();
    };
    shifted("3 seconds");
    names(doctor(), "clock", "behind the database's", "NTP");
    shifted("-3 seconds");
    names(doctor(), "clock", "ahead of the database's", "NTP");
    shifted("0 seconds");
    let findings = doctor().json().to_string();
    assert!(!findings.contains("the database's"), "{findings}");
}

#[test]
fn each_setting_is_told_with_what_set_it() {
    let sandbox = Sandbox::new();
    let output = |environment: &[(&str, &str)], words: &[&str]| {
        let mut command = sandbox.command(words);
        command.envs(environment.iter().copied());
        finished(command.spawn().unwrap()).out
    };
    let has = |out: &str, label: &str, text: &str| {
        let found = out.lines().any(|line| line.contains(label) && line.contains(text));
        assert!(found, "{label} {text} in {out}");
    };
    let out = output(&[], &["doctor"]);
    for (label, text) in [
        ("database", "user default"),
        ("you", "ada in workspace default (default)"),
        ("retention", "succeeded runs for 30d (default)"),
        ("retention", "failed runs for 90d (default)"),
        ("rate limit", "50 a second, bursts of 100 (default)"),
        ("largest file", "1024 MiB (default)"),
        ("artifacts", "next to the database"),
        ("sprongus", "schema"),
    ] {
        has(&out, label, text);
    }
    sandbox.write(
        "sprongus.toml",
        "[retention]\nsucceeded = \"7d\"\n[retention.kinds.mail]\nfailed = \"2d\"\n[server]\nrate_limit = \"off\"\n[artifacts]\nmax_size = \"5MiB\"\nurl = \"kept\"\n",
    );
    sandbox.line("--db here.db migrate").exits(0);
    let password = "postgres://u:hunter2@127.0.0.1:1/d";
    let out = output(
        &[("SPRONGUS_DATABASE_URL", password)],
        &["--db", "here.db", "--workspace", "default", "doctor"],
    );
    for (label, text) in [
        ("database", "here.db (from --db)"),
        ("ignored", "SPRONGUS_DATABASE_URL (from --db)"),
        ("you", "default (--workspace)"),
        ("retention", "succeeded runs for 7d (sprongus.toml)"),
        ("retention", "failed runs for 90d (default)"),
        ("retention", "mail: failed runs for 2d (sprongus.toml)"),
        ("rate limit", "off (sprongus.toml)"),
        ("largest file", "5 MiB (sprongus.toml)"),
        ("artifacts", "sprongus.toml"),
    ] {
        has(&out, label, text);
    }
    let out = output(&[("SPRONGUS_DATABASE_URL", password)], &["doctor"]);
    has(&out, "required", "as_configured (SPRONGUS_POSTGRES_DURABILITY)");
    assert!(!out.contains("hunter2"), "{out}");
}
