//! Signals, restarts, what commands leave behind, and runs that ask for others.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::backing::{Backing, Served, sessions};
use crate::sandbox::{Sandbox, finished};

#[track_caller]
fn eventually(what: &str, mut there: impl FnMut() -> bool) {
    let began = Instant::now();
    while !there() {
        assert!(began.elapsed() < Duration::from_secs(40), "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

fn lives(pid: &str) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid.trim()));
    status.is_ok_and(|status| !status.lines().any(|line| line.starts_with("State:") && line.contains('Z')))
}

/// A command that hears a hang-up, also where the tests themselves were started so that they do not (`nohup`).
fn hearing_hang_ups(sandbox: &Sandbox, words: &[&str]) -> Command {
    let plain = sandbox.command(words);
    let mut command = Command::new("/usr/bin/env");
    command.arg("--default-signal=HUP").arg(plain.get_program()).args(plain.get_args());
    command.current_dir(sandbox.path()).env_clear();
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// `sleep` that says where it is.
fn slow(sandbox: &Sandbox) -> std::path::PathBuf {
    let pid = sandbox.path().join("pid");
    sandbox.write(
        "sprongus.toml",
        format!("[kinds.slow]\ncommand = [\"sh\", \"-c\", 'echo $$ > {}; exec sleep 600']\n", pid.display()),
    );
    pid
}

fn read(path: &std::path::Path) -> String {
    let mut text = String::new();
    eventually("it says where it is", || {
        text = std::fs::read_to_string(path).unwrap_or_default();
        text.ends_with('\n')
    });
    text
}

#[test]
fn a_hang_up_stops_a_worker_in_order_and_is_named() {
    for words in [&["worker", "--grace", "1s"][..], &["runs", "enqueue", "slow", "--work"]] {
        let sandbox = Sandbox::new();
        let pid = slow(&sandbox);
        let id = if words[0] == "worker" { sandbox.enqueue("slow") } else { String::new() };
        let child = hearing_hang_ups(&sandbox, words).spawn().unwrap();
        let process = read(&pid);
        signal(&child, Signal::HUP);
        let done = finished(child);
        let id = if id.is_empty() { sandbox.line("-q runs list").out.trim().to_owned() } else { id };
        if words[0] == "worker" {
            assert!(done.exits(0).err.contains("stopped by SIGHUP"));
        } else {
            done.exits(130);
        }
        assert!(!lives(&process), "its command has ended with it");
        let run = sandbox.run(&["--json", "runs", "status", &id]).exits(0).json();
        assert_eq!(
            (&run["state"], &run["attempt"], &run["crashes"]),
            (&"queued".into(), &0.into(), &0.into())
        );
    }
}

#[test]
fn a_server_says_what_stopped_it() {
    for (stop, name) in [(Signal::HUP, "SIGHUP"), (Signal::TERM, "SIGTERM"), (Signal::QUIT, "SIGQUIT")] {
        let sandbox = Sandbox::new();
        let file = sandbox.file().display().to_string();
        let words = ["serve", "--listen", "127.0.0.1:0", "--db", &file];
        let mut child = hearing_hang_ups(&sandbox, &words).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        assert!(line.contains(" serves "), "{line}");
        signal(&child, stop);
        let done = finished(child).exits(0);
        assert!(done.err.contains(&format!("stopped by {name}")), "{}", done.err);
    }
}

#[test]
fn a_hang_up_that_was_ignored_stays_ignored() {
    let sandbox = Sandbox::new();
    sandbox.write("sprongus.toml", "[kinds.quick]\ncommand = ['true']\n");
    let plain = sandbox.command(&["worker"]);
    let mut command = Command::new("sh");
    command
        .args(["-c", "trap '' HUP; exec \"$0\" worker"])
        .arg(plain.get_program())
        .current_dir(sandbox.path());
    command.env_clear().envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    eventually("it is seen", || sandbox.line("-q workers list").out.lines().count() == 1);
    signal(&child, Signal::HUP);
    // What came after the hang-up is done: it did not stop for it.
    let id = sandbox.enqueue("quick");
    eventually("it works on", || {
        sandbox.run(&["--json", "runs", "status", &id]).exits(0).json()["state"] == "succeeded"
    });
    assert!(child.try_wait().unwrap().is_none());
    signal(&child, Signal::TERM);
    finished(child).exits(0);
}

fn serve(sandbox: &Sandbox, at: &str) -> Served {
    let file = sandbox.file().display().to_string();
    let mut command = sandbox.command(&["-q", "serve", "--listen", at, "--db", &file]);
    Served::start(command.stderr(Stdio::null()))
}

#[test]
fn followers_outlive_a_restart_of_the_server() {
    let sandbox = Sandbox::new();
    let mut served = serve(&sandbox, "127.0.0.1:0");
    let token = std::fs::read_to_string(sandbox.path().join("data/sprongus/runs.db.token")).unwrap();
    let (remote, address) = (format!("--remote={}", served.url), served.url["http://".len()..].to_owned());
    let id = sandbox.run(&[&remote, "-q", "runs", "enqueue", "k"]).exits(0).out.trim().to_owned();
    let start = |name: &str, words: &[&str]| {
        let err = std::fs::File::create(sandbox.path().join(name)).unwrap();
        let mut command = sandbox.command(&[&[remote.as_str()], words].concat());
        command.stderr(err).spawn().unwrap()
    };
    let err = |name: &str| std::fs::read_to_string(sandbox.path().join(name)).unwrap();
    let patient = start("patient", &["runs", "tail", &id, "--patience", "2m"]);
    let waiting = start("waiting", &["runs", "enqueue", "other", "--wait"]);
    let logs = start("logs", &["runs", "logs", &id, "--follow"]);
    let hasty = start("hasty", &["runs", "tail", &id, "--patience", "1s"]);
    // Each has its first answer, and waits for the next.
    eventually("all of them follow", || {
        served.metric(&token, "sprongus_http_request_seconds_count", "/news\"") >= 4.0
    });
    served.stop();
    finished(hasty).exits(8);
    assert_eq!(err("hasty").matches("retrying for up to 1.0s").count(), 1, "{}", err("hasty"));
    for name in ["patient", "waiting", "logs"] {
        eventually("it has noticed", || err(name).contains("retrying for up to"));
    }
    let _again = serve(&sandbox, &address);
    let other = sandbox.line("-q runs list --kind other").exits(0).out.trim().to_owned();
    for id in [&id, &other] {
        sandbox.run(&["runs", "cancel", id, "--yes"]).exits(0);
    }
    for (name, follower) in [("patient", patient), ("waiting", waiting)] {
        let (done, err) = (finished(follower).exits(11), err(name));
        assert_eq!(err.matches("retrying for up to").count(), 1, "{err}");
        assert!(err.contains("reconnected"), "{err}");
        assert_eq!(done.out.matches("enqueued").count(), 1, "nothing is told twice: {}", done.out);
    }
    finished(logs).exits(0);
    assert_eq!(err("logs").matches("retrying for up to").count(), 1, "{}", err("logs"));
}

fn a_command_hands_a_run_to_its_worker(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    sandbox.write(
        "sprongus.toml",
        r#"
[kinds.hello]
max_attempts = 7
command = ["true"]

[kinds.parent]
command = ["sh", "-c", "sprongus --json runs enqueue hello --child --input '{\"name\": \"child\"}' --priority 9"]

[kinds.stray]
max_attempts = 1
command = ["sh", "-c", "cd $SPRONGUS_PROJECT_DIR; sprongus runs enqueue hello"]

[kinds.waits]
max_attempts = 1
command = ["sh", "-c", "sprongus runs enqueue hello --child --wait"]
"#,
    );
    let parent = sandbox.line("--json runs enqueue parent --work").exits(0).json();
    let steps = sandbox.run(&["--json", "runs", "steps", parent["id"].as_str().unwrap()]).exits(0).json();
    let run: serde_json::Value = serde_json::from_str(steps["data"][0]["output"].as_str().unwrap()).unwrap();
    let child = sandbox.run(&["--json", "runs", "status", run["id"].as_str().unwrap()]).exits(0).json();
    assert_eq!((&child["kind"], &child["priority"]), (&"hello".into(), &9.into()));
    assert_eq!((&child["input"]["name"], &child["maxAttempts"]), (&"child".into(), &7.into()));

    for kind in ["stray", "waits"] {
        let failed = sandbox.run(&["--json", "runs", "enqueue", kind, "--work"]).exits(10).json();
        let error = failed["error"].as_str().unwrap();
        assert!(error.contains("exited with 2"), "{error}");
        if kind == "stray" {
            assert!(error.contains("--child") && error.contains("--db"), "{error}");
        }
    }
    let hellos = sandbox.line("-q runs list --kind hello").exits(0).out;
    assert_eq!(hellos.lines().count(), 1, "no other one came anywhere");
    // From afar that is the server's own.
    assert_eq!(sandbox.file().exists(), backing == Backing::Remote, "nothing is in the user's own file");
    let outside = sandbox.line("runs enqueue hello --child").exits(2);
    assert!(outside.error().contains("--child: not inside a run"), "{}", outside.err);
}

sessions! { a_command_hands_a_run_to_its_worker }

#[test]
fn as_the_first_process_of_a_container_a_worker_waits_for_orphans() {
    let sandbox = Sandbox::new();
    // Under a name that nothing else here has, and with an environment by which it is not found.
    let name = format!("orphan{}", std::process::id());
    std::os::unix::fs::symlink("/bin/sleep", sandbox.path().join(&name)).unwrap();
    let script = format!("for i in 1 2 3; do env -i setsid -f {}/{name} 0.2; done", sandbox.path().display());
    sandbox.write("sprongus.toml", format!("[kinds.k]\ncommand = [\"sh\", \"-c\", \"{script}\"]\n"));
    let plain = sandbox.command(&["worker"]);
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--mount-proc", "--kill-child"]).arg(plain.get_program()).arg("worker");
    command.current_dir(sandbox.path()).env_clear();
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let probe = Command::new("unshare").args(["--pid", "--fork", "--mount-proc", "true"]).output();
    if !probe.is_ok_and(|probe| probe.status.success()) {
        eprintln!("no namespaces here: not tried");
        return;
    }
    let worker = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let ids: Vec<String> = (0..5).map(|_| sandbox.enqueue("k")).collect();
    for id in &ids {
        eventually("it has ended", || {
            sandbox.run(&["--json", "runs", "status", id]).exits(0).json()["state"] == "succeeded"
        });
    }
    let count = || {
        let processes = Command::new("ps").args(["-eo", "stat=,comm="]).output().unwrap();
        let listed = String::from_utf8_lossy(&processes.stdout).into_owned();
        listed.lines().filter(|line| line.contains(&name[..name.len().min(15)])).count()
    };
    eventually("no zombie is left", || count() == 0);
    // The worker is the child of `unshare`, which passes no signals on.
    kill_process(Pid::from_child(&worker), Signal::KILL).unwrap();
    finished(worker);
}

#[test]
fn what_hides_its_environment_is_found_where_it_works() {
    let sandbox = Sandbox::new();
    let script = "for hide in '-i' '-u SPRONGUS_INPUT' '-u SPRONGUS_WORKDIR'; do env $hide setsid -f sleep 600; done; \
                  echo $SPRONGUS_WORKDIR > result; echo result=$(cat result | wc -l) >> $SPRONGUS_OUTPUT";
    sandbox.write("sprongus.toml", format!("[kinds.k]\ncommand = [\"sh\", \"-c\", \"{script}\"]\n"));
    let id = sandbox.run(&["-q", "runs", "enqueue", "k", "--work"]).exits(0).out;
    let log = sandbox.run(&["runs", "logs", id.trim()]).exits(0).out;
    let ended: Vec<_> = log.lines().filter(|line| line.contains("[killed sleep (process ")).collect();
    assert_eq!(ended.len(), 3, "{log}");
    for line in ended {
        let pid = line.split_once("(process ").and_then(|(_, rest)| rest.split_once(')')).unwrap().0;
        assert!(!std::path::Path::new("/proc").join(pid).exists(), "{line}");
    }
}
