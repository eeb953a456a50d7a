//! What callers of the server rely on, on real servers.
#![expect(clippy::unwrap_used, reason = "a test panics when a promise is broken")]

use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use sprongus_throwaway::{Durability, Server, Settings};
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::NoTls;

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// The first column of the only row, as text.
fn ask(url: &str, question: &str) -> String {
    runtime().block_on(async {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
        tokio::spawn(connection);
        client.query_one(question, &[]).await.unwrap().get(0)
    })
}

fn full() -> Settings {
    Settings { durability: Durability::Full, ..Settings::default() }
}

#[test]
fn it_answers_through_the_socket_and_over_tcp() {
    let server = Server::shared();
    assert!(server.is_running());
    server.create_database("answers", None).unwrap();
    let by_socket = server.url("answers", "sprongus_app");
    assert_eq!(ask(&by_socket, "SELECT current_user::text"), "sprongus_app");
    let by_tcp = server.tcp_url("answers", "sprongus_app", "app");
    assert_eq!(ask(&by_tcp, "SELECT current_database()::text"), "answers");
    assert_eq!(ask(&by_tcp, "SHOW fsync"), "off");
    let wrong = server.tcp_url("answers", "sprongus_app", "wrong");
    assert!(runtime().block_on(tokio_postgres::connect(&wrong, NoTls)).is_err(), "any password will do");
}

#[test]
fn none_of_the_roles_of_tests_passes_by_row_security() {
    let url = Server::shared().url("postgres", "postgres");
    let roles =
        "SELECT string_agg(concat_ws(' ', rolname, rolsuper, rolbypassrls, rolcreatedb, rolcanlogin), ', '
        ORDER BY rolname) FROM pg_roles WHERE rolname LIKE 'sprongus%'";
    assert_eq!(ask(&url, roles), "sprongus_app f f f t, sprongus_owner f f t t");
}

#[test]
fn it_may_be_asked_inside_of_a_runtime() {
    runtime().block_on(async {
        let server = Server::shared();
        server.create_database("inside", None).unwrap();
        server.drop_database("inside").unwrap();
    });
}

#[test]
fn databases_are_made_from_one_template_at_once() {
    let server = Server::shared();
    server.create_database("pattern", None).unwrap();
    server.execute("pattern", "CREATE TABLE here (word text); INSERT INTO here VALUES ('copied')").unwrap();
    scope(|scope| {
        for thread in 0..8 {
            scope.spawn(move || {
                for nth in 0..2 {
                    server.create_database(&format!("copy_{thread}_{nth}"), Some("pattern")).unwrap();
                }
            });
        }
    });
    let owner = "SELECT pg_get_userbyid(datdba)::text FROM pg_database WHERE datname = current_database()";
    for (thread, nth) in (0..8).flat_map(|thread| [(thread, 0), (thread, 1)]) {
        let name = format!("copy_{thread}_{nth}");
        assert_eq!(ask(&server.url(&name, "postgres"), "SELECT word FROM here"), "copied");
        assert_eq!(ask(&server.url(&name, "postgres"), owner), "sprongus_owner");
        server.drop_database(&name).unwrap();
    }
}

#[test]
fn a_killed_server_starts_again_with_what_was_committed() {
    let server = Server::start(full()).unwrap();
    let url = server.url("postgres", "postgres");
    assert_eq!(ask(&url, "SHOW fsync"), "on");
    server.execute("postgres", "CREATE TABLE kept (word text)").unwrap();
    for round in ["killed", "killed again"] {
        let first = server.process_id();
        assert_eq!(ask(&url, &format!("INSERT INTO kept VALUES ('{round}') RETURNING word")), round);
        server.kill().unwrap();
        assert!(!server.is_running());
        assert!(runtime().block_on(tokio_postgres::connect(&url, NoTls)).is_err());
        server.start_again().unwrap();
        assert_ne!(server.process_id(), first);
        assert_eq!(ask(&url, "SELECT word FROM kept ORDER BY length(word) DESC LIMIT 1"), round);
    }
    assert!(server.log().contains("was not properly shut down"), "{}", server.log());

    server.stop().unwrap();
    assert!(!server.is_running());
    server.stop().expect("to stop what is stopped is no failure");
    server.start_again().unwrap();
    assert_eq!(ask(&url, "SELECT count(*)::text FROM kept"), "2");
}

#[test]
fn a_killed_server_is_gone_only_when_its_busy_processes_are() {
    let server = Server::start(Settings::default()).unwrap();
    let url = server.url("postgres", "postgres");
    let runtime = runtime();
    let (client, connection) = runtime.block_on(tokio_postgres::connect(&url, NoTls)).unwrap();
    runtime.spawn(connection);
    // Two seconds in which the process looks at nothing but its own work.
    let busy = "DO $$ DECLARE until timestamptz := clock_timestamp() + '2 s';
        BEGIN WHILE clock_timestamp() < until LOOP END LOOP; END $$";
    let began = Instant::now();
    let working = runtime.spawn(async move { client.batch_execute(busy).await });
    runtime.block_on(async { tokio::time::timeout(Duration::from_millis(500), working).await.unwrap_err() });
    server.kill().unwrap();
    assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
    server.start_again().unwrap();
}

#[test]
fn a_synchronous_standby_takes_the_primarys_place() {
    let synchronous = vec![("synchronous_standby_names".to_owned(), "standby".to_owned())];
    let primary = Server::start(Settings { options: synchronous, ..full() }).unwrap();
    let standby = Server::standby_of(&primary, &[("work_mem", "5MB")]).unwrap();
    let (first, second) = (primary.url("postgres", "postgres"), standby.url("postgres", "postgres"));
    assert_eq!(ask(&second, "SHOW work_mem"), "5MB");
    assert_eq!(ask(&second, "SELECT pg_is_in_recovery()::text"), "true");
    runtime().block_on(async {
        let (client, connection) = tokio_postgres::connect(&first, NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute("CREATE TABLE kept (word text)").await.unwrap();
        client.batch_execute("INSERT INTO kept VALUES ('here too')").await.unwrap();
    });
    let state = "SELECT concat_ws(' ', application_name, sync_state) FROM pg_stat_replication";
    assert_eq!(ask(&first, state), "standby sync");

    primary.kill().unwrap();
    standby.promote().unwrap();
    assert_eq!(ask(&second, "SELECT word FROM kept"), "here too");
    assert_eq!(ask(&second, "INSERT INTO kept VALUES ('goes on') RETURNING word"), "goes on");
}

#[test]
fn an_option_that_is_reloaded_holds_at_once() {
    let server = Server::start(Settings::default()).unwrap();
    for value in ["7MB", "8MB"] {
        server.reload(&[("work_mem", value)]).unwrap();
        assert_eq!(ask(&server.url("postgres", "postgres"), "SHOW work_mem"), value);
    }
}

#[test]
fn a_dropped_server_leaves_nothing() {
    let parent = tempfile::tempdir_in("/tmp").unwrap();
    // As deep as no socket could be.
    let deep = parent.path().join("d".repeat(120));
    std::fs::create_dir(&deep).unwrap();
    for folder in [parent.path(), &deep] {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let server = Server::start(Settings { folder: Some(deep.clone()), ..Settings::default() }).unwrap();
    let sockets = server.socket_folder().to_owned();
    assert!(server.folder().starts_with(&deep) && sockets.exists());
    drop(server);
    assert_eq!(std::fs::read_dir(&deep).unwrap().count(), 0);
    assert!(!sockets.exists());
}

#[test]
#[ignore = "started and killed by the next"]
fn holds_a_server_until_it_is_killed() {
    let server = Server::shared();
    println!("\nheld {} {}", server.folder().display(), server.socket_folder().display());
    println!("{}", server.port());
    sleep(Duration::from_secs(600));
}

#[test]
fn nothing_is_left_of_a_process_that_was_killed() {
    let mut holder = Command::new(std::env::current_exe().unwrap());
    holder.args(["holds_a_server_until_it_is_killed", "--exact", "--ignored", "--nocapture"]);
    let mut holder = holder.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines().map(Result::unwrap);
    let held = lines.find(|line| line.starts_with("held ")).unwrap();
    let folders: Vec<&Path> = held.split(' ').skip(1).map(Path::new).collect();
    let port: u16 = lines.next().unwrap().parse().unwrap();
    let answers = || TcpStream::connect(("127.0.0.1", port)).is_ok();
    assert!(folders.iter().all(|folder| folder.exists()) && answers(), "{held}");

    holder.kill().unwrap();
    holder.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while folders.iter().any(|folder| folder.exists()) || answers() {
        assert!(Instant::now() < deadline, "still there: {held} {port}");
        sleep(Duration::from_millis(20));
    }
}
