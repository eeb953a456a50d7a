//! `doctor` on schedules and zone data, and what `workers list` tells of the latter.

use std::time::{Duration, Instant};

use sprongus::core::calendar::zone::ZoneData;
use sprongus::core::workspace::directory::WorkerInfo;
use sprongus_throwaway::Server;

use crate::backing::{Backing, sessions};
use crate::doctor::names;
use crate::sandbox::{Done, Sandbox, block_on, finished};

/// The doctor where `TZDIR` names a folder that says which release it has; the zones themselves are the bundled ones.
fn doctor_by(sandbox: &Sandbox, release: &str) -> Done {
    let folder = sandbox.path().join("zones");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("tzdata.zi"), format!("# version {release}\n")).unwrap();
    let mut command = sandbox.command(&["--json", "doctor"]);
    command.env("TZDIR", folder);
    finished(command.spawn().unwrap())
}

/// Newer than any copy inside the program.
fn doctor(sandbox: &Sandbox) -> Done {
    doctor_by(sandbox, "9999a")
}

/// A live worker that serves a kind, and tells this zone data.
fn be_seen(sandbox: &Sandbox, id: &str, kind: &str, zone_data: Option<(&str, &str)>) {
    let text = str::to_owned;
    let info = WorkerInfo {
        id: id.parse().unwrap(),
        kinds: Some(vec![kind.parse().unwrap()]),
        host: text("host"),
        pid: 7,
        version: text("1"),
        concurrency: 1,
        zone_data: zone_data
            .map(|(version, source)| ZoneData { version: text(version), source: text(source) }),
    };
    block_on(async { sandbox.runs().await.see_worker(&info).await.unwrap() });
}

/// Sets columns of the one schedule, which nobody is to move meanwhile.
fn set(sandbox: &Sandbox, on_file: &str, on_postgres: &str) {
    match sandbox.database() {
        Some(database) => {
            let sql = format!("UPDATE sprongus.settings SET {on_postgres}");
            Server::shared().execute(database, &sql).unwrap();
        }
        None => {
            let file = rusqlite::Connection::open(sandbox.file()).unwrap();
            let set = format!(
                "BEGIN IMMEDIATE;
                 UPDATE settings SET {on_file};
                 CREATE TRIGGER still BEFORE INSERT ON settings BEGIN SELECT raise(FAIL, 'nobody moves it'); END;
                 COMMIT;"
            );
            file.execute_batch(&set).unwrap();
        }
    }
}

fn create(sandbox: &Sandbox, id: &str) {
    let words =
        ["schedules", "create", id, "--kind", "report", "--cron", "30 2 1 1 *", "--tz", "Europe/Berlin"];
    sandbox.run(&words).exits(0);
}

fn schedules_that_are_well_are_counted_and_the_next_is_named(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    // The server of these tests forces nothing to the disk, which is a fault of its own.
    let exit = if backing == Backing::Postgres { 1 } else { 0 };
    sandbox.enqueue("a");
    let has = |what: &str, text: &str| {
        let findings = doctor(&sandbox).exits(exit).json();
        let found = findings["findings"].as_array().unwrap().iter().any(|finding| {
            finding["what"] == what
                && finding["ok"] == true
                && finding["found"].as_str().unwrap().contains(text)
        });
        assert!(found, "{what}: {text}: {findings:#}");
    };
    has("schedules", "none");
    be_seen(&sandbox, "w1", "report", None);
    create(&sandbox, "yearly");
    sandbox.line("schedules create often --kind report --every 1h").exits(0);
    has("schedules", "2, next often in ");
    has("zone data", "9999a");
}

fn a_schedule_whose_kind_has_no_worker(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    create(&sandbox, "yearly");
    names(
        doctor(&sandbox),
        "schedules",
        "no live worker serves report, the kind of yearly",
        "sprongus worker",
    );
    sandbox.line("schedules pause yearly").exits(0);
    assert!(!doctor(&sandbox).json().to_string().contains("serves report"), "a paused one needs none");
}

fn a_schedule_that_nobody_moves(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    create(&sandbox, "yearly");
    let hour_ago = "due_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-1 hour')";
    set(&sandbox, hour_ago, "due_at = pg_catalog.now() - interval '1 hour'");
    names(doctor(&sandbox), "schedules", "yearly is late: it was due 1h ago", "sprongus serve");
}

fn a_schedule_whose_zone_is_unknown(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    create(&sandbox, "yearly");
    let error = "no time zone Mars/Olympus";
    let on_file = format!("progress = json_set(progress, '$.broken', '{error}')");
    let on_postgres =
        format!("progress = jsonb_set(progress::jsonb, '{{broken}}', to_jsonb('{error}'::text))::text");
    set(&sandbox, &on_file, &on_postgres);
    names(
        doctor(&sandbox),
        "schedules",
        &format!("yearly is broken: {error}"),
        "correct time_zone of yearly",
    );
}

fn a_schedule_that_was_changed_after_its_file_was_applied(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    sandbox.write(
        "sprongus.toml",
        "[kinds.report]\ncommand = [\"true\"]\n[schedules.yearly]\nkind = \"report\"\ncron = \"30 2 1 1 *\"\n",
    );
    sandbox.line("apply").exits(0);
    sandbox.line("schedules update yearly --overlap allow").exits(0);
    names(
        doctor(&sandbox),
        "schedules",
        "yearly was changed after sprongus.toml was applied",
        "sprongus apply",
    );
    sandbox.line("apply").exits(0);
    assert!(!doctor(&sandbox).json().to_string().contains("was changed after"));
}

fn workers_with_different_zone_data(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    sandbox.enqueue("a");
    be_seen(&sandbox, "w1", "report", Some(("2025b", "/usr/share/zoneinfo")));
    be_seen(&sandbox, "w2", "report", Some(("2025b", "/opt/zones")));
    be_seen(&sandbox, "w3", "report", None);
    let list = sandbox.line("workers list").exits(0).out;
    assert!(!list.contains("ZONE DATA"), "all have one release: {list}");
    assert!(!doctor(&sandbox).json().to_string().contains("different zone data"));
    be_seen(&sandbox, "w2", "report", Some(("2026f", "bundled")));
    let list = sandbox.line("workers list").exits(0).out;
    assert!(list.contains("ZONE DATA") && list.contains("2026f (bundled)"), "{list}");
    let json = sandbox.line("--json workers list").exits(0).json();
    assert_eq!(json["data"][1]["zoneData"], serde_json::json!({"version": "2026f", "source": "bundled"}));
    assert_eq!(json["data"][2]["zoneData"], serde_json::Value::Null);
    let text = "w1 has 2025b (/usr/share/zoneinfo), w2 has 2026f (bundled)";
    names(doctor(&sandbox), "zone data", text, "same tzdata");
}

sessions!(
    schedules_that_are_well_are_counted_and_the_next_is_named,
    a_schedule_whose_kind_has_no_worker,
    a_schedule_that_nobody_moves,
    a_schedule_whose_zone_is_unknown,
    a_schedule_that_was_changed_after_its_file_was_applied,
    workers_with_different_zone_data,
);

#[test]
fn zone_data_older_than_the_copy_in_the_program_where_a_schedule_is_read_by_it() {
    let sandbox = Sandbox::new();
    sandbox.line("schedules create often --kind report --every 1h").exits(0);
    be_seen(&sandbox, "w1", "report", None);
    let told = doctor_by(&sandbox, "2020a").exits(0).json().to_string();
    assert!(told.contains("2020a") && told.contains("older than the copy in sprongus"), "{told}");
    create(&sandbox, "yearly");
    names(doctor_by(&sandbox, "2020a"), "zone data", "2020a", "TZDIR");
}

#[test]
fn a_worker_tells_the_zone_data_that_it_reads_schedules_by() {
    for backing in [Backing::File, Backing::Remote] {
        let sandbox = Sandbox::on(backing);
        sandbox.write("sprongus.toml", "[kinds.report]\ncommand = [\"true\"]\n");
        let mut command = sandbox.command(&["-q", "worker"]);
        let zones = sandbox.path().join("zones");
        std::fs::create_dir_all(&zones).unwrap();
        std::fs::write(zones.join("tzdata.zi"), "# version 2026e\n").unwrap();
        let mut worker = command.env("TZDIR", zones).spawn().unwrap();
        let mut told = serde_json::Value::Null;
        let began = Instant::now();
        while !told.is_object() {
            assert!(began.elapsed() < Duration::from_secs(30), "it is not seen");
            told = sandbox.line("--json workers list").json()["data"][0].clone();
        }
        worker.kill().unwrap();
        worker.wait().unwrap();
        match backing {
            Backing::Remote => assert_eq!(told["zoneData"], serde_json::Value::Null, "the server reads them"),
            Backing::File | Backing::Postgres => assert_eq!(told["zoneData"]["version"], "2026e", "{told}"),
        }
    }
}
