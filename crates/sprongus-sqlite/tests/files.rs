//! The file: who may read it, what else it may be, and how its schema is brought up to date.
#![expect(clippy::unwrap_used, reason = "a test panics when its file cannot be made")]

use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;
use sprongus_core::json::Json;
use sprongus_core::run::NewRun;
use sprongus_core::run::artifact::FileName;
use sprongus_core::store::{Batch, Diagnostics, Directory, Files, Store, Tokens};
use sprongus_core::values::ids::TokenId;
use sprongus_core::values::names::WorkspaceId;
use sprongus_core::workspace::directory::WorkerInfo;
use sprongus_core::workspace::token::{NewToken, Scope};
use sprongus_core::{Caller, ErrorCode, Runs, RunsExt, RunsService};
use sprongus_sqlite::{APPLICATION_ID, MIGRATIONS, OLDEST_SAFE_SQLITE, Options, Sqlite, migrate, pending};

fn caller() -> Caller {
    Caller::new(WorkspaceId::local(), "test")
}

fn opened(file: &Path) -> Arc<dyn Runs> {
    let store = Sqlite::open(file, Options::default()).unwrap();
    RunsService::new(Arc::new(store)).for_caller(caller())
}

fn refused(file: &Path, options: Options) -> sprongus_core::Error {
    match Sqlite::open(file, options) {
        Ok(_) => unreachable!("the file was opened"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn files_that_hold_runs_are_their_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("made/runs.db");
    let runs = opened(&file);
    runs.enqueue_one(NewRun::new("work", Json::empty_object())).await.unwrap();
    for name in ["runs.db", "runs.db-wal", "runs.db-shm"] {
        let mode = folder.path().join("made").join(name).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    assert_eq!(folder.path().join("made").metadata().unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn the_bundled_sqlite_is_a_safe_one() {
    assert!(rusqlite::version_number() >= OLDEST_SAFE_SQLITE, "{}", rusqlite::version());
}

#[test]
fn a_missing_file_is_made_only_when_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("runs.db");
    let error = refused(&file, Options { create: false, ..Options::default() });
    assert_eq!(error.code(), ErrorCode::NotFound);
    assert!(!file.exists());
}

#[test]
fn another_programs_file_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("theirs.db");
    Connection::open(&file)
        .unwrap()
        .execute_batch("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)")
        .unwrap();
    let before = std::fs::read(&file).unwrap();
    assert_eq!(refused(&file, Options::default()).code(), ErrorCode::SchemaMismatch);
    assert_eq!(std::fs::read(&file).unwrap(), before);

    let text = folder.path().join("notes.txt");
    std::fs::write(
        &text,
        "no database at all, but long enough to be looked at as if it were one\n".repeat(20),
    )
    .unwrap();
    assert_eq!(refused(&text, Options::default()).code(), ErrorCode::Unavailable);
    assert_eq!(refused(folder.path(), Options::default()).code(), ErrorCode::Validation);
}

#[test]
fn a_newer_schema_is_refused_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("runs.db");
    migrate(&file).unwrap();
    Connection::open(&file).unwrap().pragma_update(None, "user_version", 1_000).unwrap();
    let error = refused(&file, Options::default());
    assert_eq!(error.code(), ErrorCode::SchemaMismatch);
    assert!(error.message().contains("schema 1000"), "{error}");
}

#[test]
fn migrations_are_numbered_applied_once_and_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("runs.db");
    assert!(MIGRATIONS.is_sorted_by(|one, next| one.number < next.number));
    assert_eq!(pending(&file).unwrap(), MIGRATIONS);
    assert_eq!(migrate(&file).unwrap(), MIGRATIONS);
    assert_eq!(migrate(&file).unwrap(), []);
    let connection = Connection::open(&file).unwrap();
    let application: i32 = connection.query_row("PRAGMA application_id", [], |row| row.get(0)).unwrap();
    assert_eq!(application, APPLICATION_ID);
    let remembered: i64 =
        connection.query_row("SELECT count(*) FROM schema_migrations", [], |row| row.get(0)).unwrap();
    assert_eq!(usize::try_from(remembered).unwrap(), MIGRATIONS.len());
}

/// From every earlier version, with rows in it: a later migration finds its case here by itself.
#[tokio::test]
async fn an_upgrade_from_every_earlier_version_keeps_every_row() {
    for stop in 0..MIGRATIONS.len() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("runs.db");
        let connection = Connection::open(&file).unwrap();
        for migration in &MIGRATIONS[..stop] {
            connection.execute_batch(migration.sql).unwrap();
            connection.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
            connection.pragma_update(None, "user_version", migration.number).unwrap();
        }
        if stop > 0 {
            connection
                .execute_batch(
                    "INSERT INTO runs (id, workspace_id, kind, state, max_attempts, run_at, fingerprint, lease_ms,
                        created_at, updated_at, ready, last_seq)
                     VALUES ('01JD0000000000000000000000', 'default', 'work', 'queued', 3, '2026-01-01T00:00:00.000Z',
                        '', 30000, '2026-01-01T00:00:00.000Z', '2026-01-01T00:00:00.000Z', 1, 1);
                     INSERT INTO run_events (run_id, seq, type, at, actor)
                     VALUES ('01JD0000000000000000000000', 1, 'run.enqueued', '2026-01-01T00:00:00.000Z', 'test');
                     INSERT INTO run_artifacts (run_id, name, size, sha256, content_type, location, created_at)
                     VALUES ('01JD0000000000000000000000', 'a.md', 3, 'ab', 'text/markdown', 'l/1', '2026-01-01T00:00:00.000Z')",
                )
                .unwrap();
        }
        drop(connection);
        let runs = opened(&file);
        if stop > 0 {
            let run = runs.get("01JD0000000000000000000000".parse().unwrap()).await.unwrap();
            assert_eq!(runs.events(run.id, 0, 10).await.unwrap().len(), 1);
            let kept = runs.artifacts(run.id).await.unwrap();
            assert_eq!((kept.len(), kept[0].name.as_str(), kept[0].size), (1, "a.md", 3));
            let held = &runs.claim_next(&"worker".parse().unwrap(), 1).await.unwrap()[0];
            let hold = held.hold();
            let (store, caller) = (Sqlite::open(&file, Options::default()).unwrap(), caller());
            let name = FileName::Artifact(kept[0].name.clone());
            store.drop_file(&caller, &hold, &name).await.unwrap();
            assert_eq!(store.unwanted_blobs(9).await.unwrap(), ["l/1"]);
        }
        runs.enqueue_one(NewRun::new("work", Json::empty_object())).await.unwrap();
    }
}

#[tokio::test]
async fn damage_is_found_by_who_looks_thoroughly_and_a_file_that_is_gone_by_everybody() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("runs.db");
    let many = (0..500).map(|_| NewRun::new("work", Json::empty_object())).collect();
    opened(&file).enqueue(many, Batch::AllOrNothing).await.unwrap();
    let store = Sqlite::open(&file, Options::default()).unwrap();
    let problems = async |thorough| {
        let found = store.health(thorough).await.unwrap().problems;
        found.into_iter().map(|fault| fault.what).collect::<Vec<_>>()
    };
    assert_eq!((problems(false).await, problems(true).await), (vec![], vec![]));

    let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
    Connection::open(&file).unwrap().query_row(checkpoint, [], |_| Ok(())).unwrap();
    let raw = std::fs::OpenOptions::new().write(true).open(&file).unwrap();
    raw.write_all_at(&[0xAA; 4_096], file.metadata().unwrap().len() - 4_096).unwrap();
    let store = Sqlite::open(&file, Options::default()).unwrap();
    let found = store.health(true).await.unwrap().problems;
    assert_eq!(found.iter().map(|fault| fault.what).collect::<Vec<_>>(), ["integrity"], "{found:?}");
    assert!(store.health(false).await.unwrap().problems.is_empty());

    std::fs::remove_file(&file).unwrap();
    let found = store.health(false).await.unwrap().problems;
    assert_eq!(found.iter().map(|fault| fault.what).collect::<Vec<_>>(), ["file"]);
}

/// Every NULL passes its check, in the oldest SQLite that is about too.
#[test]
fn no_check_asks_json_valid_of_what_may_be_null() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("runs.db");
    migrate(&file).unwrap();
    let connection = Connection::open(&file).unwrap();
    let columns = "SELECT t.name, t.sql, c.name FROM sqlite_schema t, pragma_table_xinfo(t.name) c
        WHERE t.type = 'table' AND c.\"notnull\" = 0 AND c.pk = 0";
    let mut select = connection.prepare(columns).unwrap();
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    let nullable: Vec<(String, String, String)> = rows.map(Result::unwrap).collect();
    assert!(
        nullable
            .iter()
            .any(|(table, _, column)| (table.as_str(), column.as_str()) == ("api_tokens", "projects"))
    );
    for (table, sql, column) in nullable {
        let asked = format!("json_valid({column})");
        assert_eq!(
            sql.matches(&asked).count(),
            sql.matches(&format!("{column} IS NULL OR {asked}")).count(),
            "{table}"
        );
    }
}

/// By Debian's sqlite3, which is older than ours.
#[tokio::test]
async fn a_restored_dump_has_every_token_and_a_sound_file_is_called_sound() {
    let folder = tempfile::tempdir().unwrap();
    let (file, restored) = (folder.path().join("runs.db"), folder.path().join("restored.db"));
    let store = Sqlite::open(&file, Options::default()).unwrap();
    let whole =
        NewToken { name: "whole".to_owned(), scopes: vec![Scope::Read], projects: None, expires_in: None };
    store.create_token(&caller(), TokenId::new(), &whole, "hash").await.unwrap();
    let anything = WorkerInfo {
        id: "worker".parse().unwrap(),
        kinds: None,
        host: "here".to_owned(),
        pid: 1,
        version: "1".to_owned(),
        concurrency: 1,
        zone_data: None,
    };
    store.see_worker(&caller(), &anything).await.unwrap();
    drop(store);
    let sqlite3 = |file: &Path, sql: &str| {
        // The store is still about to close the file.
        let waiting = ["-cmd", ".timeout 60000"];
        let done = std::process::Command::new("sqlite3").args(waiting).arg(file).arg(sql).output().unwrap();
        assert!(done.status.success() && done.stderr.is_empty(), "{done:?}");
        String::from_utf8(done.stdout).unwrap()
    };
    let dump = sqlite3(&file, ".dump");
    assert_eq!(sqlite3(&file, "PRAGMA integrity_check").trim(), "ok");
    sqlite3(&restored, &dump);
    assert_eq!(
        sqlite3(&restored, "SELECT (SELECT count(*) FROM api_tokens), (SELECT count(*) FROM workers)").trim(),
        "1|1"
    );
    // A dump has no marks that tell whose the file is; what it says of its own schema does.
    let store = Sqlite::open(&restored, Options::default()).unwrap();
    assert_eq!(store.tokens(&caller()).await.unwrap().len(), 1);
    drop(store);
    assert_eq!(pending(&restored).unwrap(), []);
    // Not where another program's table has the name, nor of a schema that is none of ours.
    for theirs in [
        "DROP TABLE schema_migrations; CREATE TABLE schema_migrations (number, name)",
        "DELETE FROM schema_migrations WHERE number = 4",
        "UPDATE schema_migrations SET checksum = 'ab' WHERE number = 1",
    ] {
        let other = folder.path().join("other.db");
        sqlite3(&other, &format!("{dump}; {theirs}"));
        assert_eq!(refused(&other, Options::default()).code(), ErrorCode::SchemaMismatch, "{theirs}");
        std::fs::remove_file(&other).unwrap();
    }
}

/// Whatever is done to a file under a process that has it open, nothing is acknowledged that nobody finds.
#[tokio::test]
async fn a_file_that_was_deleted_moved_replaced_or_emptied_takes_no_run() {
    type Deed = fn(&Path);
    let deeds: [(&str, Deed); 10] = [
        ("the file deleted", |file| std::fs::remove_file(file).unwrap()),
        ("the file moved", |file| std::fs::rename(file, file.with_file_name("other.db")).unwrap()),
        ("its folder moved", |file| {
            let folder = file.parent().unwrap();
            std::fs::rename(folder, folder.with_file_name("other")).unwrap();
        }),
        ("the log deleted", |file| std::fs::remove_file(file.with_file_name("runs.db-wal")).unwrap()),
        ("the log's index deleted", |file| std::fs::remove_file(file.with_file_name("runs.db-shm")).unwrap()),
        ("a link put in its place", |file| {
            let moved = file.with_file_name("moved.db");
            std::fs::rename(file, &moved).unwrap();
            std::os::unix::fs::symlink(&moved, file).unwrap();
        }),
        ("the file emptied", |file| drop(std::fs::File::create(file).unwrap())),
        ("the log emptied", |file| drop(std::fs::File::create(file.with_file_name("runs.db-wal")).unwrap())),
        ("the log written over", |file| {
            std::fs::write(file.with_file_name("runs.db-wal"), b"another program's").unwrap();
        }),
        ("a copy put in its place", |file| {
            std::fs::copy(file, file.with_file_name("copy.db")).unwrap();
            std::fs::rename(file.with_file_name("copy.db"), file).unwrap();
        }),
    ];
    for (what, deed) in deeds {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("at/runs.db");
        let store = Arc::new(Sqlite::open(&file, Options::default()).unwrap());
        let runs = RunsService::new(Arc::clone(&store) as Arc<dyn Store>).for_caller(caller());
        let work = || NewRun::new("work", Json::empty_object());
        let made = runs.enqueue_one(work()).await.unwrap().run;
        deed(&file);
        let refusals = [
            runs.enqueue_one(work()).await.map(drop),
            runs.claim_next(&"worker".parse().unwrap(), 1).await.map(drop),
            runs.cancel(made.id).await.map(drop),
            runs.get(made.id).await.map(drop),
        ];
        for refused in refusals {
            let error = refused.unwrap_err();
            assert_eq!(error.code(), ErrorCode::Unavailable, "{what}");
            assert!(
                error.message().contains("database file was deleted or moved")
                    || error.message().contains("database file was replaced")
                    || error.message().contains("database file was emptied"),
                "{what}: {error}"
            );
        }
        let problems = store.health(false).await.unwrap().problems;
        assert_eq!(problems.iter().map(|fault| fault.what).collect::<Vec<_>>(), ["file"], "{what}");
    }
}

#[tokio::test]
async fn a_file_that_comes_back_is_worked_with_again() {
    let folder = tempfile::tempdir().unwrap();
    let (here, there) = (folder.path().join("here"), folder.path().join("there"));
    let runs = opened(&here.join("runs.db"));
    let work = || NewRun::new("work", Json::empty_object());
    runs.enqueue_one(work()).await.unwrap();
    std::fs::rename(&here, &there).unwrap();
    runs.enqueue_one(work()).await.unwrap_err();
    std::fs::rename(&there, &here).unwrap();
    let run = runs.enqueue_one(work()).await.unwrap().run;
    assert_eq!(opened(&here.join("runs.db")).get(run.id).await.unwrap().id, run.id, "others find it");
}

#[tokio::test]
async fn a_link_that_is_turned_to_another_file_is_another_file() {
    let folder = tempfile::tempdir().unwrap();
    let [one, two, link] = ["one.db", "two.db", "runs.db"].map(|name| folder.path().join(name));
    migrate(&one).unwrap();
    migrate(&two).unwrap();
    std::os::unix::fs::symlink(&one, &link).unwrap();
    let runs = opened(&link);
    let work = || NewRun::new("work", Json::empty_object());
    runs.enqueue_one(work()).await.unwrap();
    std::fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink(&two, &link).unwrap();
    assert_eq!(runs.enqueue_one(work()).await.unwrap_err().code(), ErrorCode::Unavailable);
}

/// How long the writer may take to notice that nothing comes any more.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

#[tokio::test]
async fn the_log_is_cut_down_when_nothing_is_written_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("runs.db");
    let runs = opened(&file);
    let many = (0..500).map(|_| NewRun::new("work", Json::empty_object())).collect();
    runs.enqueue(many, Batch::AllOrNothing).await.unwrap();
    let log = folder.path().join("runs.db-wal");
    assert!(log.metadata().unwrap().len() > 100_000, "the burst went into the log");
    let until = tokio::time::Instant::now() + PATIENCE;
    while log.metadata().unwrap().len() > 0 {
        assert!(tokio::time::Instant::now() < until, "the log keeps {} bytes", log.metadata().unwrap().len());
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    runs.enqueue_one(NewRun::new("work", Json::empty_object())).await.unwrap();
    assert!(log.metadata().unwrap().len() > 0);
}

#[tokio::test]
async fn a_reader_that_holds_the_log_back_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("runs.db");
    let store = Arc::new(Sqlite::open(&file, Options::default()).unwrap());
    let runs = RunsService::new(store.clone()).for_caller(caller());
    let reader = Connection::open(&file).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM runs").unwrap();
    let input = Json::from_value(serde_json::Value::String("x".repeat(900_000)));
    for _ in 0..24 {
        runs.enqueue_one(NewRun::new("work", input.clone())).await.unwrap();
    }
    let named = |health: sprongus_core::store::Health| {
        health
            .problems
            .into_iter()
            .filter(|fault| fault.what == "log")
            .map(|fault| fault.text)
            .collect::<Vec<_>>()
    };
    let held = named(store.health(true).await.unwrap());
    assert!(held.len() == 1 && held[0].contains("a long-running reader is holding back"), "{held:?}");
    reader.execute_batch("COMMIT").unwrap();
    assert_eq!(named(store.health(true).await.unwrap()), Vec::<String>::new());
}
