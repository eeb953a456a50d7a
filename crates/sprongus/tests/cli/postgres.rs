//! What only a server can do to a command: keep it out, be another one's, be away; and `migrate`, `doctor`, `bench` there.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use regex::Regex;
use rustix::process::{Pid, Signal, kill_process};
use sprongus_throwaway::{Database, Server};

use crate::backing::{Backing, migrated};
use crate::sandbox::{Done, Sandbox, finished};

/// Looks at a database with a command that expects runs there.
fn list(sandbox: &Sandbox, url: &str) -> Done {
    sandbox.run(&["--db", url, "runs", "list"])
}

/// Whether a condition holds, as the superuser sees it.
fn holds(database: &str, condition: &str) -> bool {
    let raise = format!("DO $$ BEGIN IF NOT ({condition}) THEN RAISE 'it does not hold'; END IF; END $$");
    Server::shared().execute(database, &raise).is_ok()
}

#[track_caller]
fn eventually(what: &str, mut there: impl FnMut() -> bool) {
    let began = Instant::now();
    while !there() {
        assert!(began.elapsed() < Duration::from_secs(60), "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn who_has_no_password_or_a_wrong_one_is_not_let_in() {
    let (sandbox, database) = (Sandbox::new(), migrated());
    let wrong = list(&sandbox, &database.tcp_url("sprongus_app", "hunter2")).exits(6);
    assert!(wrong.error().contains("rejected this user") && !wrong.err.contains("hunter2"));
    let none = list(&sandbox, &database.tcp_url("sprongus_app", "").replace(":@", "@")).exits(6);
    assert!(none.error().contains("requires a password"), "{}", none.err);
    list(&sandbox, &database.tcp_url("nobody_known", "hunter2")).exits(6);
    list(&sandbox, &database.tcp_url("sprongus_app", "app")).exits(0);
    let given = format!("{}?password=app", database.tcp_url("sprongus_app", "").replace(":@", "@"));
    list(&sandbox, &given).exits(0);
}

#[test]
fn a_server_that_is_away_or_silent_is_given_up_soon() {
    let sandbox = Sandbox::new();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let silent_url = format!("postgres://u@127.0.0.1:{port}/d");
    for url in ["postgres://u@127.0.0.1:1/d", "postgres://u@no.such.host.invalid/d", silent_url.as_str()] {
        for words in [["runs", "list"].as_slice(), &["migrate"], &["runs", "enqueue", "a"]] {
            let began = Instant::now();
            let done = sandbox.run(&[&["--db", url], words].concat()).exits(8);
            assert!(done.error().contains("cannot reach the database"), "{}", done.err);
            assert!(began.elapsed() < Duration::from_secs(30), "{url}: {words:?}: {:?}", began.elapsed());
        }
    }
    sandbox.run(&["--db", "postgres://u@127.0.0.1:1/d", "doctor"]).exits(1);
}

#[test]
fn a_database_that_is_missing_or_not_ours_is_left_alone() {
    let (sandbox, database) = (Sandbox::new(), Database::empty());
    let server = Server::shared();
    let missing = list(&sandbox, &server.url("no_such_database", "sprongus_owner")).exits(3);
    assert!(missing.error().contains("no_such_database"), "{}", missing.err);

    let url = database.url("sprongus_owner");
    for words in [["runs", "list"].as_slice(), &["runs", "enqueue", "a"], &["workers", "list"]] {
        let bare = sandbox.run(&[&["--db", url.as_str()], words].concat()).exits(9);
        assert!(bare.err.contains("hint: run `sprongus migrate` with the same --db"), "{}", bare.err);
    }
    assert!(holds(database.name(), "to_regnamespace('sprongus') IS NULL"), "looking makes nothing");

    server
        .execute(database.name(), "CREATE SCHEMA sprongus; CREATE TABLE sprongus.notes (text text)")
        .unwrap();
    for words in [["runs", "list"].as_slice(), &["migrate"], &["migrate", "--dry-run"]] {
        let theirs = sandbox.run(&[&["--db", &database.url("postgres")], words].concat()).exits(9);
        assert!(theirs.error().contains("another program"), "{}", theirs.err);
    }
}

#[test]
fn a_newer_schema_is_left_alone() {
    let (sandbox, database) = (Sandbox::on(Backing::File), migrated());
    let newer = "INSERT INTO sprongus.schema_migrations (number, name, checksum) VALUES (9999, 'x', 'x')";
    Server::shared().execute(database.name(), newer).unwrap();
    for words in [["runs", "list"].as_slice(), &["runs", "enqueue", "a"], &["migrate"]] {
        let done = sandbox.run(&[&["--db", &database.url("sprongus_owner")], words].concat()).exits(9);
        assert!(done.error().contains("schema 9999"), "{}", done.err);
    }
}

#[test]
fn a_role_without_rights_is_told_who_can_grant_them() {
    let (sandbox, database) = (Sandbox::new(), Database::empty());
    let (owner, app) = (database.url("sprongus_owner"), database.url("sprongus_app"));
    let refused = sandbox.run(&["--db", &app, "migrate"]).exits(6);
    assert!(refused.err.contains("owner"), "{}", refused.err);
    sandbox.run(&["--db", &owner, "migrate"]).exits(0);
    for words in [["runs", "list"].as_slice(), &["runs", "enqueue", "a"]] {
        let refused = sandbox.run(&[&["--db", app.as_str()], words].concat()).exits(6);
        assert!(refused.err.contains("sprongus migrate --role ROLE"), "{}", refused.err);
    }
    sandbox.run(&["--db", &owner, "migrate", "--role", "nobody_known"]).exits(3);
    sandbox.run(&["--db", &owner, "migrate", "--role", "postgres"]).exits(6);
    list(&sandbox, &app).exits(6);
    sandbox.run(&["--db", &owner, "migrate", "--role", "sprongus_app"]).exits(0);
    list(&sandbox, &app).exits(0);
    let refused = sandbox.run(&["--db", "x.db", "migrate", "--role", "sprongus_app"]).exits(2);
    assert!(refused.error().contains("--role") && !sandbox.path().join("x.db").exists(), "{}", refused.err);
}

#[test]
fn migrate_tells_before_it_does_and_twice_at_once_does_it_once() {
    let (sandbox, database) = (Sandbox::new(), Database::empty());
    let url = database.url("sprongus_owner");
    let dry = sandbox.run(&["--db", &url, "migrate", "--dry-run"]).exits(0).out;
    assert!(dry.contains("-- 0001 runs") && dry.contains("CREATE TABLE"), "{dry}");
    assert!(holds(database.name(), "to_regnamespace('sprongus') IS NULL"), "telling does nothing");
    let both = [(), ()].map(|()| sandbox.command(&["--db", &url, "migrate"]).spawn().unwrap());
    let applied = both.map(|child| finished(child).exits(0).out.contains("applied 0001 runs"));
    assert_eq!(applied.into_iter().filter(|applied| *applied).count(), 1);
    assert!(sandbox.run(&["--db", &url, "migrate"]).exits(0).err.contains("up to date"));
    let pending = sandbox.run(&["--db", &url, "--json", "migrate", "--dry-run"]).exits(0).json();
    assert_eq!(pending, serde_json::json!({"data": [], "nextCursor": null}));
}

/// A password is whatever stands there: here it has in it what a URL must write in another way.
const PASSWORD: &str = "hunter@2/x%y";
const ENCODED: &str = "hunter%402%2Fx%25y";

#[test]
fn a_password_is_never_shown() {
    let (sandbox, database) = (Sandbox::new(), migrated());
    sandbox.write("sprongus.toml", "[kinds.a]\ncommand = [\"true\"]\n");
    let server = Server::shared();
    let role = format!("CREATE ROLE talks LOGIN PASSWORD '{PASSWORD}' IN ROLE sprongus_app");
    server.execute("postgres", &role).unwrap();
    let name = database.name();
    let host = format!("127.0.0.1:{}", server.port());
    let urls = [
        (format!("postgres://talks:{ENCODED}@{host}/{name}"), 0),
        (format!("postgresql://talks@{host}/{name}?password={ENCODED}"), 0),
        (format!("postgres://talks:{ENCODED}x@{host}/{name}"), 6),
        (format!("postgres://talks:{ENCODED}@{host}/no_such_database"), 3),
        (format!("postgres://talks:{ENCODED}@127.0.0.1:1/{name}"), 8),
        (format!("postgres://talks:{PASSWORD}@{host}/{name}"), 2),
        (format!("postgres://talks@{host}/{name}?password={PASSWORD}"), 2),
        (format!("postgres://talks:{ENCODED}@{host}/{name}?sslmode=nonsense"), 2),
        (format!("postgres://talks:{ENCODED}@{host}x/{name}"), 2),
        (format!("host=127.0.0.1 user=talks password={ENCODED}"), 2),
        (format!("mysql://talks:{ENCODED}@{host}/{name}"), 2),
    ];
    let quiet = |done: &Done, what: &str| {
        let text = format!("{}{}", done.out, done.err);
        assert!(!text.contains("hunter"), "{what}: {text}");
    };
    for (url, code) in &urls {
        for words in [
            ["runs", "list"].as_slice(),
            &["-vv", "runs", "enqueue", "a", "--work"],
            &["--json", "-v", "runs", "list"],
        ] {
            let done = sandbox.run(&[&["--db", url.as_str()], words].concat()).exits(*code);
            quiet(&done, url);
        }
        for words in
            [["doctor"].as_slice(), &["--json", "doctor"], &["migrate"], &["-v", "runs", "status", url]]
        {
            quiet(&sandbox.run(&[&["--db", url.as_str()], words].concat()), url);
        }
        // Where no URL belongs.
        quiet(&sandbox.run(&["runs", "list", url]).exits(2), url);
        quiet(&sandbox.run(&["--json", "runs", "list", "--data-base", url]).exits(2), url);
        let mut worker = sandbox.command(&["-vv", "worker", "--grace", "1s"]);
        let child = worker.env("DATABASE_URL", url).spawn().unwrap();
        if *code == 0 {
            eventually("it is seen", || {
                sandbox.run(&["--db", url, "-q", "workers", "list"]).out.lines().count() == 1
            });
            kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        }
        let done = finished(child).exits(*code);
        quiet(&done, url);
        if *code == 0 {
            let place = format!("using postgres {host}/{name} (from DATABASE_URL)");
            assert!(done.err.contains(&place), "{}", done.err);
        }
    }
}

#[test]
fn a_server_that_could_lose_runs_is_refused_unless_it_is_said() {
    let sandbox = Sandbox::on(Backing::Postgres);
    let run = |said: Option<&str>| {
        let mut command = sandbox.command(&["runs", "list"]);
        command.env_remove("SPRONGUS_POSTGRES_DURABILITY");
        command.envs(said.map(|said| ("SPRONGUS_POSTGRES_DURABILITY", said)));
        finished(command.spawn().unwrap())
    };
    let refused = run(None).exits(8);
    assert!(
        refused.error().contains("power cut") && refused.err.contains("=as_configured"),
        "{}",
        refused.err
    );
    run(Some("power_cut")).exits(8);
    assert!(run(Some("whatever")).exits(2).error().contains("SPRONGUS_POSTGRES_DURABILITY"));
    run(Some("as_configured")).exits(0);
}

#[test]
fn doctor_looks_at_the_server_and_the_role() {
    let (sandbox, database) = (Sandbox::new(), migrated());
    let amiss = |role: &str| {
        let done = sandbox.run(&["--db", &database.url(role), "--json", "doctor"]).exits(1).json();
        let findings = done["findings"].as_array().unwrap().iter();
        let field = |finding: &serde_json::Value, name: &str| finding[name].as_str().unwrap().to_owned();
        findings
            .filter(|finding| finding["ok"] == false)
            .map(|finding| (field(finding, "what"), field(finding, "found"), field(finding, "remedy")))
            .collect::<Vec<_>>()
    };
    // The server of these tests forces nothing to the disk.
    let app = amiss("sprongus_app");
    assert_eq!(app.iter().map(|(what, _, _)| what.as_str()).collect::<Vec<_>>(), ["durability"], "{app:?}");
    for (role, fault) in [("sprongus_owner", "owns the tables"), ("postgres", "bypasses row-level security")]
    {
        let found = amiss(role);
        let tenants = found.iter().find(|(what, _, _)| what == "tenants").unwrap();
        assert!(tenants.1.contains(fault) && tenants.2.contains("--role"), "{tenants:?}");
    }
    let out = sandbox.run(&["--db", &database.url("sprongus_app"), "doctor"]).exits(1).out;
    let schema = format!("schema {}", sprongus::postgres::latest_schema());
    for expected in ["from --db", "PostgreSQL", &schema, "0 alive", "no runs are due"] {
        assert!(out.contains(expected), "{expected} is not in {out}");
    }
    assert!(!out.contains("permissions") && !out.contains("MiB free for postgres"), "{out}");
}

#[test]
fn a_worker_that_does_not_listen_finds_its_runs_too() {
    let sandbox = Sandbox::on(Backing::Postgres);
    sandbox.write("sprongus.toml", "[kinds.a]\ncommand = [\"true\"]\n");
    let listening = "EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND query = 'LISTEN sprongus')";
    let database = sandbox.database().unwrap();
    for (words, listens) in [(["worker"].as_slice(), true), (&["worker", "--no-listen"], false)] {
        let worker = sandbox.command(words).spawn().unwrap();
        eventually("it is seen", || sandbox.line("-q workers list").out.lines().count() == 1);
        // A tail would listen too.
        let id = sandbox.enqueue("a");
        eventually("it has ended", || sandbox.line("-q runs list --state succeeded").out.contains(&id));
        assert_eq!(holds(database, listening), listens, "{words:?}");
        kill_process(Pid::from_child(&worker), Signal::TERM).unwrap();
        finished(worker).exits(0);
    }
}

#[test]
fn bench_makes_a_database_and_drops_it() {
    let (sandbox, database) = (Sandbox::new(), Database::empty());
    let owner = database.url("sprongus_owner");
    let left = |child: Option<u32>| {
        let like =
            child.map_or_else(|| "sprongus\\_bench%".to_owned(), |id| format!("sprongus\\_bench\\_{id}\\_%"));
        !holds("postgres", &format!("NOT EXISTS (SELECT FROM pg_database WHERE datname LIKE '{like}')"))
    };

    let small = ["--db", &owner, "bench", "--only", "drain", "--runs", "1000", "--pairs", "1"];
    let done = sandbox.run(&small).exits(0);
    let measures: Vec<_> =
        done.lines().iter().map(|line| line["measure"].as_str().unwrap().to_owned()).collect();
    assert_eq!(measures, ["drain.plain", "drain.worker"]);
    assert!(
        done.err.contains("SPRONGUS_POSTGRES_DURABILITY") && !done.err.contains("row-level"),
        "{}",
        done.err
    );

    // Beside itself it is as fast as itself, on both stores.
    let program = env!("CARGO_BIN_EXE_sprongus");
    let beside = [&small[..6], &["1000", "--pairs", "2", "--against", program]].concat();
    let lines = sandbox.run(&beside).exits(0).lines();
    let keys: Vec<_> = lines.iter().map(|line| (line["store"].clone(), line["measure"].clone())).collect();
    let measures = ["postgres", "sqlite"].into_iter().flat_map(|store| {
        ["drain.plain", "drain.worker"]
            .map(|measure| (serde_json::Value::from(store), serde_json::Value::from(measure)))
    });
    assert_eq!(keys, measures.collect::<Vec<_>>());
    for line in &lines {
        let of = |name: &str| line[name].as_f64().unwrap();
        assert!(of("lowest") <= of("ratio") && of("ratio") <= of("highest") && of("ours") > 0.0, "{line}");
        assert_eq!((line["rounds"].as_u64(), line["figure"].as_str()), (Some(2), Some("perSecond")));
    }
    let other = sandbox.run(&["bench", "--against", "/bin/false"]).exits(2);
    assert!(other.err.contains("/bin/false bench failed"), "{}", other.err);

    let endless = ["--db", &owner, "bench", "--only", "drain", "--runs", "1000000"];
    let child = sandbox.command(&endless).spawn().unwrap();
    eventually("its database is there", || left(Some(child.id())));
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    finished(child).exits(130);

    let refused = sandbox.run(&["--db", &database.url("sprongus_app"), "bench", "--only", "drain"]).exits(6);
    assert!(refused.err.contains("CREATE DATABASE"), "{}", refused.err);
    sandbox.run(&["--db", &owner, "bench", "--in", "."]).exits(2);
    assert!(holds(database.name(), "to_regnamespace('sprongus') IS NULL"), "the named one is left alone");
    assert!(!left(None), "a database is left behind");
}

/// What is printed, with everything that differs from one execution to the next taken out.
fn played(backing: Backing) -> Vec<String> {
    let sandbox = Sandbox::on(backing);
    sandbox.write(
        "sprongus.toml",
        "[kinds.a]\ncommand = [\"sh\", \"-c\", \"echo hi; test $SPRONGUS_ATTEMPT -gt 1\"]\n\
        backoff = { base = \"1ms\" }\n",
    );
    let id = Regex::new(r"\b[0-9A-HJKMNP-TV-Z]{26}\b").unwrap();
    let shapes = [
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "<at>"),
        (r"\b\d\d:\d\d:\d\dZ", "<clock>"),
        (r"\b[\w.-]+-[0-9A-HJKMNP-TV-Z]{12}\b", "<worker>"),
        (r"\b(\d+(\.\d+)?(ms|s|m) ?)+( ?ago)?\b|\bnow\b", "<time>"),
        (r#"(Ms":)\d+"#, "$1<ms>"),
        (r#""nextCursor":"[^"]+"|--cursor \S+"#, "<cursor>"),
        (r"[ \t]+", " "),
    ]
    .map(|(shape, name)| (Regex::new(shape).unwrap(), name));
    let mut ids: Vec<String> = Vec::new();
    let mut texts = Vec::new();
    for line in SERIES.lines().map(str::trim).filter(|line| !line.is_empty()) {
        // The run of that number, in the order in which they were first seen.
        let words = line.split(' ').map(|word| match word.strip_prefix('#') {
            Some(number) => ids[number.parse::<usize>().unwrap()].clone(),
            None => word.to_owned(),
        });
        let words: Vec<String> = words.collect();
        let done = sandbox.run(&words.iter().map(String::as_str).collect::<Vec<_>>());
        let text = format!("$ {line}\n{}--\n{}-- {:?}", done.out, done.err, done.code);
        let mut text = text.replace(sandbox.path().to_str().unwrap(), "<folder>");
        for found in id.find_iter(&text).map(|found| found.as_str().to_owned()).collect::<Vec<_>>() {
            if !ids.contains(&found) {
                ids.push(found);
            }
        }
        for (number, id) in ids.iter().enumerate() {
            text = text.replace(id, &format!("#{number}"));
        }
        let text =
            shapes.iter().fold(text, |text, (shape, name)| shape.replace_all(&text, *name).into_owned());
        texts.push(text);
    }
    texts
}

const SERIES: &str = r#"
    projects create films
    agent-tasks create t1 --title cut
    runs enqueue a --project films --agent-task t1 --idempotency-key k --priority 7 --tag x=y --input {"b":1.0,"a":[1e3,"ü"]}
    runs enqueue a --project films --agent-task t1 --idempotency-key k --priority 7 --tag x=y --input {"b":1,"a":[1000,"ü"]}
    runs enqueue a --idempotency-key k
    runs enqueue a --project nowhere
    runs status #0
    --json runs status #0
    runs list
    --json runs list --project films --state queued
    --json runs list --tag x=y --kind a
    runs cancel #0 --yes
    runs cancel #0 --yes
    runs list --state canceled
    runs retry #0 --yes
    runs retry #0 --yes
    runs approve #0
    runs enqueue a --work
    --json runs events #1
    runs steps #1
    --json runs steps #1
    runs logs #1
    --json runs logs #1
    runs tail #1
    runs list --limit 1
    runs list --state succeeded
    --json runs list --state succeeded,failed
    runs events #0
    runs enqueue b --delay 1h
    runs status #3
    runs enqueue b --run-at 2000-01-01 --expire-at 2001-01-01
    runs enqueue b --max-attempts 1000
    runs cancel --kind b --dry-run
    runs cancel --kind b --yes
    --json runs stats
    runs stats
    runs prune --dry-run
    --json runs prune
    kinds pause a
    kinds list
    --json kinds list
    kinds resume a
    projects list
    --json agent-tasks list
    workers list
    workers drain nobody-1
    workspaces create lab
    --workspace lab runs enqueue a
    --workspace lab runs list
    --workspace lab runs status #0
    workspaces list
    workspaces delete lab --yes
    workspaces delete lab --yes
    --workspace lab runs list
    runs status 01KAMXXXXXXXXXXXXXXXXXXXXX
"#;

#[test]
fn the_same_commands_print_the_same() {
    let (file, server) = (played(Backing::File), played(Backing::Postgres));
    assert_eq!(file.len(), server.len());
    let differ = file.iter().zip(&server).filter(|(file, server)| file != server);
    let differ: Vec<_> = differ.map(|(file, server)| format!("{file}\n== on a server\n{server}")).collect();
    assert!(differ.is_empty(), "{}", differ.join("\n\n"));
}

/// SQL looks for secrets as they stand; what is wrapped once more, the worker finds before it starts anything.
#[test]
fn a_secret_that_sql_let_through_fails_its_run_for_good() {
    let sandbox = Sandbox::on(Backing::Postgres);
    sandbox.write("sprongus.toml", "[kinds.note]\ncommand = [\"touch\", \"{{ project_dir }}/started\"]\n");
    let hidden = r#"{"a": "Z2hwX2ExQjJhMUIyYTFCMmExQjJhMUIyYTFCMmExQjJhMUIyYTFCMg=="}"#;
    let enqueue = format!("SELECT * FROM sprongus.enqueue('note', '{hidden}')");
    Server::shared().execute(sandbox.database().unwrap(), &enqueue).unwrap();
    let mut worker = sandbox.command(&["-q", "worker"]).spawn().unwrap();
    let began = Instant::now();
    let run = loop {
        let listed = sandbox.run(&["--json", "runs", "list"]);
        let page: serde_json::Value = serde_json::from_str(&listed.out).unwrap();
        let run = page["data"][0].clone();
        if run["state"] == "failed" || began.elapsed() > Duration::from_secs(60) {
            break run;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    worker.kill().unwrap();
    worker.wait().unwrap();
    assert_eq!((&run["state"], &run["attempt"]), (&"failed".into(), &1.into()), "{run}");
    assert_eq!(run["error"], "the input holds a secret at /input/a");
    assert!(!sandbox.path().join("started").exists());
}
