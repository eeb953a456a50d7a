use std::time::Duration;

use sprongus_core::calendar::zone::SystemZones;
use sprongus_core::values::time::SystemClock;

use super::*;

/// A writer over one table, in a file as durable as any.
fn writer() -> (tempfile::TempDir, Writer, Connection) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t.db");
    let connection = crate::schema::open::open(&file, &crate::Options::default()).unwrap();
    connection.execute_batch("CREATE TABLE t (word TEXT NOT NULL UNIQUE)").unwrap();
    let guard = Arc::new(FileGuard::of(&file).unwrap());
    let writer = Writer::start(
        connection,
        guard,
        (Arc::new(SystemClock), Arc::new(SystemZones::bundled())),
        watch::channel(0).0,
    )
    .unwrap();
    let reader = crate::schema::open::connect(&file, crate::Durability::PowerCut).unwrap();
    (folder, writer, reader)
}

fn put(tx: &Tx<'_>, word: &str) -> Result<()> {
    tx.connection.execute("INSERT INTO t (word) VALUES (?1)", [word]).map_db_err()?;
    Ok(())
}

fn words(reader: &Connection) -> Vec<String> {
    let mut select = reader.prepare("SELECT word FROM t ORDER BY word").unwrap();
    select.query_map([], |row| row.get(0)).unwrap().map(rusqlite::Result::unwrap).collect()
}

#[tokio::test]
async fn a_job_that_fails_after_writing_leaves_nothing_and_its_neighbours_stay() {
    let (_folder, writer, reader) = writer();
    // The first holds the writer up, so that the others are waiting together when it is done.
    let slow = writer.write(|tx| {
        thread::sleep(Duration::from_millis(50));
        put(tx, "slow")
    });
    let before = writer.write(|tx| put(tx, "before"));
    let fails = writer.write(|tx| -> Result<()> {
        put(tx, "half")?;
        Err(Error::validation("no"))
    });
    let undoes = writer.write(|tx| {
        put(tx, "undone")?;
        tx.undo();
        Ok("answered all the same")
    });
    let after = writer.write(|tx| put(tx, "after"));
    let (slow, before, fails, undoes, after) = tokio::join!(slow, before, fails, undoes, after);
    slow.unwrap();
    before.unwrap();
    assert_eq!(fails.unwrap_err().message(), "no");
    assert_eq!(undoes.unwrap(), "answered all the same");
    after.unwrap();
    assert_eq!(words(&reader), ["after", "before", "slow"]);
}

#[tokio::test]
async fn a_look_that_has_the_answer_writes_nothing() {
    let (_folder, writer, reader) = writer();
    let answer = writer.read_then_write(|_| Ok(Some(7)), |tx| put(tx, "never").map(|()| 8)).await;
    assert_eq!(answer.unwrap(), 7);
    assert_eq!(words(&reader), [""; 0]);
}

#[tokio::test]
async fn a_failed_statement_is_its_own_callers_error_alone() {
    let (_folder, writer, reader) = writer();
    writer.write(|tx| put(tx, "twice")).await.unwrap();
    let (refused, made) =
        tokio::join!(writer.write(|tx| put(tx, "twice")), writer.write(|tx| put(tx, "once")));
    assert_eq!(refused.unwrap_err().code(), ErrorCode::Internal);
    made.unwrap();
    assert_eq!(words(&reader), ["once", "twice"]);
}

#[tokio::test]
async fn a_pending_job_starts_with_the_commit_that_gives_it_something() {
    let (_folder, writer, reader) = writer();
    let look = |connection: &Connection| {
        let there = connection
            .prepare_cached("SELECT 1 FROM t WHERE word = 'awaited'")
            .map_db_err()?
            .exists([])
            .map_db_err()?;
        Ok(if there { None } else { Some("nothing yet") })
    };
    let pending =
        writer.write_when_ready(look, |tx| put(tx, "taken").map(|()| "taken"), std::future::pending());
    let others = async {
        writer.write(|tx| put(tx, "something else")).await.unwrap();
        assert_eq!(words(&reader), ["something else"]);
        writer.write(|tx| put(tx, "awaited")).await.unwrap();
    };
    let (pending, ()) = tokio::join!(pending, others);
    assert_eq!(pending.unwrap(), Some("taken"));
    assert_eq!(words(&reader), ["awaited", "something else", "taken"]);
}

#[tokio::test]
async fn a_pending_job_whose_caller_waits_no_longer_is_never_carried_out() {
    let (_folder, writer, reader) = writer();
    let look = |connection: &Connection| {
        let there = connection.prepare_cached("SELECT 1 FROM t").map_db_err()?.exists([]).map_db_err()?;
        Ok(if there { None } else { Some(()) })
    };
    let given_up =
        writer.write_when_ready(look, |tx| put(tx, "late"), tokio::time::sleep(Duration::from_millis(20)));
    assert_eq!(given_up.await.unwrap(), None);
    let dropped = writer.write_when_ready(look, |tx| put(tx, "late"), std::future::pending());
    assert!(tokio::time::timeout(Duration::from_millis(20), dropped).await.is_err());
    writer.write(|tx| put(tx, "first")).await.unwrap();
    writer.write(|tx| put(tx, "second")).await.unwrap();
    assert_eq!(words(&reader), ["first", "second"]);
}

#[tokio::test]
async fn while_the_file_is_locked_so_much_waits_and_no_more() {
    struct Bytes(usize);
    impl Weigh for Bytes {
        fn weight(&self) -> usize {
            self.0
        }
    }
    let (_folder, writer, other) = writer();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let backlog = Arc::new(Backlog::of(100));
    let put = |bytes: usize| {
        let (writer, backlog) = (writer.clone(), Arc::clone(&backlog));
        async move {
            writer.write_all(&backlog, vec![Bytes(bytes)], move |tx, _| put(tx, &bytes.to_string())).await
        }
    };
    let (first, second) = (tokio::spawn(put(60)), tokio::spawn(put(40)));
    tokio::task::yield_now().await;
    assert_eq!(put(1).await.unwrap_err().code(), ErrorCode::Unavailable);
    // Whoever goes away takes nothing back: what it handed in still waits.
    second.abort();
    assert!(second.await.unwrap_err().is_cancelled());
    assert_eq!(put(1).await.unwrap_err().code(), ErrorCode::Unavailable);
    other.execute_batch("COMMIT").unwrap();
    first.await.unwrap().unwrap();
    // The second is done before what is handed in behind it.
    writer.write(|tx| self::put(tx, "after")).await.unwrap();
    put(61).await.unwrap();
    assert_eq!(words(&other), ["40", "60", "61", "after"]);
}
