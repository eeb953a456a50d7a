//! Who may see a secret, with real processes: what a run's command finds of its worker's credentials, how those come by file, and
//! what people are warned of.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, geteuid, kill_process};

use crate::backing::Backing;
use crate::sandbox::{Done, Sandbox, copy_program, finished};

/// Somebody without rights, on every system.
const NOBODY: u32 = 65_534;

/// Tries everything that a command of the worker's own user can: its parent's environment, memory and open files, and the file that
/// held the token. What it finds is spelt backwards, past every mask.
const THIEF: &str = r#"
[kinds.thief]
max_attempts = 1
env = { GIVEN = "secret://env/HANDED_OUT" }
command = ["sh", "-c", '''
    tr '\0' '\n' < /proc/$PPID/environ | rev
    cat /proc/$PPID/fd/0 /proc/$PPID/cmdline "$1" | rev
    for name in /proc/$PPID/fd/*; do cat "$name" | rev; done
    dd if=/proc/$PPID/mem bs=1 count=1 && echo memory
    env | rev
    tr '\0' '\n' < /proc/$$/environ | grep -c SPRONGUS_RUN_ID
''', "sh", "{{ input.file }}"]
"#;

fn backwards(text: &str) -> String {
    text.chars().rev().collect()
}

/// A project of its own, and a program in it that somebody without rights starts, where the test is root: root reads and writes
/// whatever it likes.
struct Unprivileged {
    project: tempfile::TempDir,
}

impl Unprivileged {
    fn new(declaration: &str) -> Self {
        let made = Self { project: tempfile::tempdir().unwrap() };
        fs::set_permissions(made.project.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(made.path("sprongus.toml"), declaration).unwrap();
        copy_program(&made.path("sprongus"));
        fs::set_permissions(made.path("sprongus"), fs::Permissions::from_mode(0o755)).unwrap();
        made.folder("home");
        made
    }

    fn path(&self, name: &str) -> PathBuf {
        self.project.path().join(name)
    }

    /// A folder, with those above it, that belongs to whom the program runs as.
    fn folder(&self, name: &str) -> PathBuf {
        let mut path = self.project.path().to_owned();
        for part in Path::new(name) {
            path.push(part);
            if !path.exists() {
                fs::create_dir(&path).unwrap();
                fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
                chown(&path, Some(user()), None).unwrap();
            }
        }
        path
    }

    fn command(&self, words: &[&str]) -> Command {
        let program = self.path("sprongus");
        let mut command = if geteuid().is_root() {
            let mut command = Command::new("setpriv");
            let (user, group) = (format!("--reuid={NOBODY}"), format!("--regid={NOBODY}"));
            command.args([user, group, "--clear-groups".to_owned()]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.args(words).current_dir(self.project.path()).env_clear();
        command.env("PATH", "/usr/bin:/bin").env("HOME", self.path("home")).env("TMPDIR", self.path("home"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

fn user() -> u32 {
    if geteuid().is_root() { NOBODY } else { geteuid().as_raw() }
}

/// The deployment of `packaging/`: somebody else (root, where the test is root) opens the file with the token, and the worker has it
/// on stdin; what the declaration hands out is in its environment.
#[test]
fn a_command_reads_no_credential_of_its_worker() {
    let sandbox = Sandbox::on(Backing::Remote);
    let token = fs::read_to_string(sandbox.path().join("data/sprongus/runs.db.token")).unwrap();
    let token = token.trim();
    let place = Unprivileged::new(THIEF);
    let file = place.path("worker.token");
    fs::write(&file, token).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let mut command = place.command(&["worker", "--grace", "5s"]);
    command.env("SPRONGUS_API_URL", sandbox.url()).env("SPRONGUS_TOKEN_FILE", "/dev/stdin");
    command.env("HANDED_OUT", "handed-out-to-this-kind").env("KEPT_BACK", "kept-back-from-commands");
    command.stdin(File::open(&file).unwrap()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut worker = command.spawn().unwrap();
    if !geteuid().is_root() {
        // Nobody else is there to own the file: it is gone once it is read.
        let began = Instant::now();
        while !sandbox.line("--json workers list").out.contains("\"thief\"") {
            assert!(began.elapsed() < Duration::from_secs(60), "the worker does not come");
            std::thread::sleep(Duration::from_millis(50));
        }
        fs::remove_file(&file).unwrap();
    }

    let input = format!("{{\"file\": \"{}\"}}", file.display());
    let id = sandbox.run(&["-q", "runs", "enqueue", "thief", "--input", &input]).exits(0).out;
    let id = id.trim();
    let followed = sandbox.run(&["runs", "tail", id, "--timeout", "60s"]);
    kill_process(Pid::from_child(&worker), Signal::TERM).unwrap();
    worker.wait().unwrap();
    let log = sandbox.run(&["runs", "logs", id]).exits(0).out;
    let given = backwards("handed-out-to-this-kind");
    assert!(log.contains(&given), "it is handed what it is given: {log} {}", followed.err);
    assert!(log.lines().any(|line| line.ends_with("| 1")), "its own environment it can read: {log}");
    assert!(log.contains("Permission denied"), "it did try: {log}");
    for kept in [token, "kept-back-from-commands"] {
        assert!(!log.contains(&backwards(kept)) && !log.contains(kept), "{log}");
    }
    assert!(!log.contains("memory"), "{log}");
}

/// Shut folders stop nobody who is root, so this is tried as somebody who is not.
#[test]
fn a_command_that_shuts_its_folders_leaves_no_secret_behind() {
    let shut = "grep -q resolved-value $SPRONGUS_INPUT && mkdir -p m/d && echo x > m/d/f && chmod 555 m/d m && chmod 000";
    let kind = |name: &str, folders: &str| {
        format!(
            "[kinds.{name}]\nmax_attempts = 1\nsecrets = ['env/HANDED_OUT']\ncommand = ['sh', '-c', '{shut} {folders}']\n"
        )
    };
    let place = Unprivileged::new(&(kind("inner", ".") + &kind("outer", ".. .")));
    let attempts = format!("home/sprongus-{}/attempts", user());
    let dead = format!("{attempts}/left-1-x");
    // What a worker that was killed left: shut, and with a secret.
    let left = place.folder(&format!("{dead}/work/m"));
    let (attempts, dead) = (place.path(&attempts), place.path(&dead));
    fs::write(left.join("f"), "x").unwrap();
    fs::write(dead.join("input.json"), "a-resolved-value").unwrap();
    fs::set_permissions(&left, fs::Permissions::from_mode(0o555)).unwrap();
    fs::set_permissions(&dead, fs::Permissions::from_mode(0o000)).unwrap();
    for kind in ["inner", "outer"] {
        let input = "{\"k\": \"secret://env/HANDED_OUT\"}";
        let mut command = place.command(&["runs", "enqueue", kind, "--work", "--input", input]);
        command.env("HANDED_OUT", "a-resolved-value");
        command.env("SPRONGUS_DATABASE_URL", place.path("home/runs.db"));
        // One that shuts the folder of its output has lost what it reported, which is a failure.
        finished(command.spawn().unwrap()).exits(if kind == "inner" { 0 } else { 10 });
        let names: Vec<_> =
            fs::read_dir(&attempts).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(names.is_empty(), "{kind}: {names:?}");
    }
}

#[test]
fn a_credential_comes_by_file_or_by_variable_and_not_by_both() {
    let sandbox = Sandbox::on(Backing::Remote);
    let file = sandbox.path().join("data/sprongus/runs.db.token");
    let listed = |set: &dyn Fn(&mut Command)| -> Done {
        let mut command = sandbox.command(&["-q", "token", "list"]);
        // The one that the first start stored would do.
        command.env("XDG_CONFIG_HOME", sandbox.path().join("nowhere"));
        set(&mut command);
        finished(command.spawn().unwrap())
    };
    listed(&|_| {}).exits(6);
    listed(&|command| {
        command.env("SPRONGUS_TOKEN_FILE", &file);
    })
    .exits(0);
    listed(&|command| {
        command.env("SPRONGUS_TOKEN_FILE", "/dev/stdin").stdin(File::open(&file).unwrap());
    })
    .exits(0);
    let folder = sandbox.path().join("credentials");
    fs::create_dir(&folder).unwrap();
    fs::copy(&file, folder.join("sprongus-token")).unwrap();
    listed(&|command| {
        command.env("CREDENTIALS_DIRECTORY", &folder);
    })
    .exits(0);
    let both = listed(&|command| {
        command.env("SPRONGUS_TOKEN_FILE", &file).env("SPRONGUS_TOKEN", "spr_hunter2");
    });
    let error = both.exits(2).error();
    assert!(error.contains("are both set") && !error.contains("hunter2"), "{error}");
    let missing = listed(&|command| {
        command.env("SPRONGUS_TOKEN_FILE", "/no/such/file");
    });
    assert!(missing.exits(2).error().contains("SPRONGUS_TOKEN_FILE: /no/such/file"));

    let local = Sandbox::new();
    local.write("url", format!("{}\n", local.path().join("named.db").display()));
    let mut command = local.command(&["-q", "runs", "enqueue", "hello"]);
    command.env("SPRONGUS_DATABASE_URL_FILE", local.path().join("url"));
    finished(command.spawn().unwrap()).exits(0);
    assert!(local.path().join("named.db").exists());
}

#[test]
fn a_template_in_a_script_is_warned_of_before_it_runs_and_by_doctor() {
    let sandbox = Sandbox::new();
    sandbox.write("sprongus.toml", "[kinds.k]\ncommand = ['sh', '-c', 'echo {{ input.x }}']\n");
    let done = sandbox.run(&["runs", "enqueue", "k", "--input", "{\"x\": 1}", "--work"]).exits(0);
    let warning = "sprongus.toml:2:24: kinds.k.command[2]: a template in a script";
    assert!(done.err.contains("warning: ") && done.err.contains(warning), "{}", done.err);
    let doctor = sandbox.line("doctor");
    assert!(doctor.out.contains(warning), "{}", doctor.out);
}

#[test]
fn a_mistyped_variable_of_a_bucket_ends_a_worker_and_a_server_at_once() {
    let sandbox = Sandbox::new();
    sandbox.write("sprongus.toml", "[kinds.k]\ncommand = ['true']\n");
    for name in ["AWS_ALLOW_HTTP", "AWS_ENDPOINT", "AWS_SECRET_ACCESS_KEY"] {
        for words in [&["worker"][..], &["serve", "--listen", "127.0.0.1:0"]] {
            let mut command = sandbox.command(words);
            command.env("SPRONGUS_ARTIFACTS", "s3://ours/runs").env(name, "hunter2");
            let error = finished(command.spawn().unwrap()).exits(2).error();
            assert!(error.starts_with("AWS_") && !error.contains("hunter2"), "{name}: {error}");
        }
    }
}
