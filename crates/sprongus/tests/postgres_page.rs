//! docs/postgres.md and docs/sql.md, held to what is true: its statements are executed by the role it names, its tables compared with the database.

#![expect(clippy::expect_used, reason = "a test that cannot set itself up has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use sprongus_throwaway::{Server, Settings};
use tempfile::TempDir;

const PAGE: &str = include_str!("../../../docs/postgres.md");
const SQL_PAGE: &str = include_str!("../../../docs/sql.md");
const CONNECTIONS: &str = include_str!("../../sprongus-postgres/src/schema/open.rs");

/// The database of the page, with one run in it.
struct Scene {
    server: Server,
    folder: TempDir,
}

impl Scene {
    fn new() -> Self {
        let server = Server::start(Settings::default()).expect("a server");
        let roles = "CREATE ROLE runs_owner LOGIN; CREATE ROLE runs_server LOGIN; CREATE ROLE watcher LOGIN IN ROLE pg_monitor";
        server.execute("postgres", roles).expect("roles");
        let scene = Self { server, folder: tempfile::tempdir().expect("a folder") };
        scene.shell("createdb -U postgres -O runs_owner runs");
        scene.sprongus("runs_owner", "runs", "migrate --role runs_server");
        scene.sprongus("runs_server", "runs", "runs enqueue hello");
        scene
    }

    fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        let path = format!("{}:/usr/bin:/bin", self.server.programs().display());
        command.current_dir(self.folder.path()).env_clear().env("PATH", path).env("HOME", self.folder.path());
        command.env("PGHOST", self.server.socket_folder()).env("PGPORT", self.server.port().to_string());
        command.env("SPRONGUS_POSTGRES_DURABILITY", "as_configured");
        command
    }

    fn shell(&self, script: &str) -> String {
        printed(self.command("/bin/sh").args(["-e", "-c", script]))
    }

    /// The rows, a line each, with bars between columns.
    fn psql(&self, role: &str, statements: &str) -> String {
        let program = self.server.programs().join("psql");
        let words = ["-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-U", role, "-d", "runs", "-c", statements];
        printed(self.command(program).args(words))
    }

    fn sprongus(&self, role: &str, database: &str, line: &str) -> String {
        let url = self.server.url(database, role);
        let mut command = self.command(env!("CARGO_BIN_EXE_sprongus"));
        printed(command.args(line.split(' ')).env("SPRONGUS_DATABASE_URL", url))
    }
}

/// What a command prints that must succeed.
#[track_caller]
fn printed(command: &mut Command) -> String {
    let output = command.output().expect("a process");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{command:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// The blocks of a language.
fn blocks(language: &str) -> Vec<&'static str> {
    blocks_of(PAGE, language)
}

fn blocks_of(page: &'static str, language: &str) -> Vec<&'static str> {
    let opening = format!("```{language}\n");
    page.split(opening.as_str()).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

#[test]
fn every_statement_can_be_executed_by_its_role() {
    let scene = Scene::new();
    let blocks = blocks("sql");
    let roles = ["runs_server", "runs_owner", "watcher"];
    assert_eq!(blocks.len(), roles.len(), "say here who executes a new block");
    for (role, block) in roles.into_iter().zip(blocks) {
        scene.psql(role, block);
    }
    let seen =
        scene.psql("runs_owner", "SELECT workspace_id, kind, count(*) FROM sprongus.run_queue GROUP BY 1, 2");
    assert_eq!(seen, "default|hello|1\n", "the owner looks across workspaces");
}

#[test]
fn a_role_with_the_settings_of_the_page_has_those_of_our_connections() {
    let scene = Scene::new();
    scene.psql("runs_server", blocks("sql").first().expect("the settings"));
    let table =
        CONNECTIONS.split("SETTINGS: [").nth(1).and_then(|rest| rest.split("];").next()).expect("a table");
    let ours = table
        .lines()
        .filter_map(|line| line.trim().strip_prefix("(\"")?.strip_suffix("\"),")?.split_once("\", \""));
    let ours: BTreeMap<&str, &str> = ours.collect();
    assert!(ours.len() == 10 && ours.contains_key("statement_timeout"), "{ours:?}");
    for (name, value) in ours {
        let ask = format!("SELECT setting FROM pg_settings WHERE name = '{name}'");
        assert_eq!(scene.psql("runs_server", &ask).trim(), value, "{name}");
    }
    assert_eq!(scene.psql("runs_server", "SHOW search_path").trim(), "sprongus, pg_catalog");
    // So a session that was sent none of them is as good as one that was.
    let url = scene.server.url("runs", "runs_server");
    let mut doctor = scene.command(env!("CARGO_BIN_EXE_sprongus"));
    // It finds fault with a server for tests, whatever its sessions are set to.
    let output = doctor.arg("doctor").env("SPRONGUS_DATABASE_URL", url).output().expect("a process");
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(out.contains("engine") && !out.contains("pooler"), "{out}");
}

#[test]
fn an_admin_who_is_no_superuser_sets_it_up_as_the_page_says() {
    let scene = Scene::new();
    scene.psql("postgres", "CREATE ROLE admin LOGIN CREATEROLE CREATEDB");
    let grant = PAGE.split('`').find(|text| text.starts_with("GRANT runs_owner TO ")).expect("a grant");
    for statement in [
        "CREATE ROLE other_owner LOGIN",
        &grant.replace("runs_owner", "other_owner"),
        "CREATE DATABASE others OWNER other_owner",
    ] {
        scene.psql("admin", statement);
    }
    scene.sprongus("other_owner", "others", "migrate");
}

#[test]
fn the_server_role_may_do_what_the_page_says_and_no_more() {
    let scene = Scene::new();
    let mut documented = BTreeSet::new();
    let table =
        PAGE.split("| on | grants |").nth(1).and_then(|rest| rest.split("\n\n").next()).expect("a table");
    for row in table.lines().filter(|row| row.starts_with("| `")) {
        let mut cells = row.trim_matches('|').split('|').map(str::trim);
        let (names, rights) = (cells.next().expect("names"), cells.next().expect("rights"));
        for name in names.split(", ") {
            documented.extend(rights.split(", ").map(|right| format!("{}|{right}", name.trim_matches('`'))));
        }
    }
    documented.insert("schema_migrations|SELECT".to_owned());
    let tables = "
        SELECT c.relname, r.name FROM pg_class c,
            unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS r (name)
        WHERE c.relnamespace = 'sprongus'::regnamespace AND c.relkind IN ('r', 'v')
            AND has_table_privilege('runs_server', c.oid, r.name)
        UNION SELECT c.relname, r.name || ' (' || a.attname || ')' FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid,
            unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'REFERENCES']) AS r (name)
        WHERE c.relnamespace = 'sprongus'::regnamespace AND c.relkind IN ('r', 'v') AND a.attnum > 0
            AND has_column_privilege('runs_server', c.oid, a.attnum, r.name)
            AND NOT has_table_privilege('runs_server', c.oid, r.name)
        UNION SELECT proname, 'EXECUTE' FROM pg_proc
        WHERE pronamespace = 'sprongus'::regnamespace AND has_function_privilege('runs_server', oid, 'EXECUTE')";
    let found = scene.psql("postgres", tables);
    let found: BTreeSet<String> = found.lines().map(str::to_owned).collect();
    assert_eq!(documented, found, "the page first, then the database");
}

#[test]
fn what_is_dumped_as_the_page_says_can_be_restored() {
    let scene = Scene::new();
    scene.shell(blocks("sh").first().expect("a backup"));
    let listed = |database| scene.sprongus("runs_server", database, "--json runs list");
    assert_eq!(listed("runs_again"), listed("runs"));
    scene.sprongus("runs_server", "runs_again", "runs enqueue hello");
    let refused =
        scene.command(scene.server.programs().join("pg_dump")).args(["-U", "runs_owner", "runs"]).output();
    assert!(!refused.expect("a process").status.success(), "the owner can dump it after all: say so");
}

#[test]
fn other_programs_enqueue_as_the_page_on_sql_says() {
    let scene = Scene::new();
    let only = |language| *blocks_of(SQL_PAGE, language).first().expect("a block");
    scene.psql("postgres", only("sql"));
    let out = scene.shell(only("sh"));
    assert!(out.contains("created") && out.contains("existing"), "{out}");
    // Debian 11 has the second version of the module alone, and Debian's modules are for Debian's Python.
    let example = only("python");
    let (python, module) = ["psycopg", "psycopg2"]
        .iter()
        .flat_map(|module| ["python3", "/usr/bin/python3"].map(|python| (python, *module)))
        .find(|(python, module)| {
            let found = scene.command(python).args(["-c", &format!("import {module}")]).output();
            found.is_ok_and(|found| found.status.success())
        })
        .expect("Python with psycopg, which ./test installs");
    let run = printed(scene.command(python).args(["-c", &example.replace("psycopg", module)]));
    let listed = scene.sprongus("runs_server", "runs", "runs list --kind mail.receipt");
    assert!(listed.contains(run.trim()), "{listed}");
    let rows = scene
        .psql("runs_owner", "SET sprongus.workspace_id = 'default'; SELECT status FROM sprongus.runner_jobs");
    assert_eq!(rows, "QUEUED\nQUEUED\nQUEUED\n", "the one of the scene, one of psql, one of Python");
    let mut psql = scene.command(scene.server.programs().join("psql"));
    let output = psql.args(["-X", "-U", "shop", "-d", "runs", "-c", "SELECT * FROM sprongus.runs"]).output();
    assert!(!output.expect("a process").status.success(), "the program's role sees runs");
}

#[test]
fn the_parameters_are_those_of_the_page() {
    let scene = Scene::new();
    let ask = "SELECT unnest(proargnames[1:pronargs]) FROM pg_proc WHERE proname = 'enqueue'";
    let found = scene.psql("postgres", ask);
    let table =
        SQL_PAGE.split("| parameter |").nth(1).and_then(|rest| rest.split("\n\n").next()).expect("a table");
    let documented = table.lines().filter_map(|row| row.strip_prefix("| ")?.split(" | ").next());
    let documented: Vec<&str> = documented.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    assert_eq!(documented, found.lines().collect::<Vec<_>>());
}
