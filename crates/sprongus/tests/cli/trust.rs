//! Whose files are believed: a `sprongus.toml` above, stored tokens, the database's own; and what a server says of its doors.

use std::fs::{Permissions, create_dir, set_permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::{Child, Stdio};

use crate::backing::Backing;
use crate::sandbox::{Sandbox, finished};

const HELLO: &str = "[kinds.hello]\ncommand = [\"sh\", \"-c\", \"echo done >&2; touch ../did-it\"]\n";

fn chmod(path: &Path, mode: u32) {
    set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// A sandbox with a project, in whose subfolder commands are started.
fn project() -> (Sandbox, std::path::PathBuf) {
    let sandbox = Sandbox::new();
    let toml = sandbox.write("sprongus.toml", HELLO);
    chmod(&toml, 0o644);
    create_dir(sandbox.path().join("below")).unwrap();
    (sandbox, toml)
}

/// Whatever a command is, it does nothing there, and says what to do.
fn is_refused(sandbox: &Sandbox, what: &str, hint: &str) {
    for line in
        ["runs enqueue hello --work", "runs list", "worker", "serve --listen 127.0.0.1:0", "kinds list"]
    {
        let words: Vec<&str> = line.split(' ').collect();
        let mut command = sandbox.command(&words);
        let done = finished(command.current_dir(sandbox.path().join("below")).spawn().unwrap()).exits(6);
        assert!(done.error().contains(what), "{line}: {}", done.err);
        assert!(done.err.contains(hint), "{line}: {}", done.err);
    }
    assert!(!sandbox.path().join(".sprongus/runs.db").exists());
}

#[test]
fn a_sprongus_toml_that_others_may_write_is_not_used() {
    let (sandbox, toml) = project();
    for (path, good) in [(toml.as_path(), 0o644), (sandbox.path(), 0o755)] {
        chmod(path, good | 0o022);
        is_refused(&sandbox, "is writable by other users", &format!("chmod go-w {}", path.display()));
        let done = sandbox.line("--json doctor").exits(1);
        assert!(done.out.contains("is writable by other users"), "{}", done.out);
        chmod(path, good);
    }
    sandbox.line("runs list").exits(0);
}

#[test]
fn a_sprongus_toml_of_another_user_is_not_used() {
    if !rustix::process::geteuid().is_root() {
        // Nobody else can give a file away; `trust.rs` has the rule itself.
        return;
    }
    let (sandbox, toml) = project();
    let nobody = Some(65_534);
    chown(&toml, nobody, None).unwrap();
    is_refused(&sandbox, "belongs to another user (uid 65534)", "SPRONGUS_TRUST");
    let mut trusting = sandbox.command(&["runs", "enqueue", "hello", "--work"]);
    let done = finished(trusting.env("SPRONGUS_TRUST", sandbox.path()).spawn().unwrap()).exits(0);
    assert!(done.err.contains("done") || done.out.contains("done"), "{done:?}");
    chown(&toml, Some(0), None).unwrap();
    sandbox.line("runs list").exits(0);

    // A database that somebody else put there is none of ours either.
    chown(sandbox.path().join(".sprongus"), nobody, None).unwrap();
    sandbox.line("runs list").exits(6);
    chown(sandbox.path().join(".sprongus"), Some(0), None).unwrap();
    // Nor is what lies in a folder of somebody else, sticky or not.
    chmod(sandbox.path(), 0o1777);
    sandbox.line("runs list").exits(0);
    chown(sandbox.path(), nobody, None).unwrap();
    sandbox.line("runs list").exits(6);
    chown(sandbox.path(), Some(0), None).unwrap();
}

#[test]
fn stored_tokens_that_others_may_read_are_not_used() {
    let sandbox = Sandbox::on(Backing::Remote);
    sandbox.line("runs list").exits(0);
    let credentials = sandbox.path().join("config/sprongus/credentials.json");
    chmod(&credentials, 0o644);
    let done = sandbox.line("runs list").exits(6);
    assert!(done.error().contains("credentials.json"), "{}", done.err);
    assert!(done.err.contains(&format!("chmod 600 {}", credentials.display())), "{}", done.err);
    chmod(&credentials, 0o600);
    sandbox.line("runs list").exits(0);
}

/// A server, and everything that it says until it serves.
fn started(sandbox: &Sandbox, words: &[&str]) -> (Child, String, String) {
    let mut all = vec!["serve", "--listen", "127.0.0.1:0"];
    all.extend_from_slice(words);
    let mut child = sandbox.command(&all).stderr(Stdio::piped()).spawn().unwrap();
    let mut url = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
    child.kill().unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    child.wait().unwrap();
    (child, url, said)
}

#[test]
fn a_server_says_what_makes_a_mistake_worse() {
    let sandbox = Sandbox::new();
    sandbox.enqueue("a");
    chmod(&sandbox.file(), 0o666);
    let (_, _, said) = started(&sandbox, &[]);
    assert!(said.contains("warning: other users can read or write") && said.contains("chmod 600"), "{said}");
    let is_root = rustix::process::geteuid().is_root();
    assert_eq!(said.contains("warning: running as root"), is_root, "{said}");
    chmod(&sandbox.file(), 0o600);
    let (_, _, said) = started(&sandbox, &["--public-url", "https://runs.example"]);
    assert!(!said.contains("other users can read"), "{said}");
    assert!(said.contains("dashboard https://runs.example/login"), "{said}");
    for bad in ["runs.example", "https://user:hunter2@runs.example", "https://runs.example/below"] {
        let done = sandbox.run(&["serve", "--listen", "127.0.0.1:0", "--public-url", bad]).exits(2);
        assert!(!done.err.contains("hunter2"), "{}", done.err);
    }
    for bad in ["nonsense", "127.0.0.1", "99999", ""] {
        sandbox.run(&["serve", "--listen", "127.0.0.1:0", "--metrics-listen", bad]).exits(2);
    }
}

#[test]
fn metrics_have_a_listener_of_their_own_on_loopback_unless_told_otherwise() {
    let sandbox = Sandbox::new();
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let port_alone = port.to_string();
    let words = ["serve", "--listen", "127.0.0.1:0", "--metrics-listen", &port_alone];
    let mut child = sandbox.command(&words).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let line = said.find(|line| line.contains("/metrics")).unwrap();
    assert!(line.contains(&format!("http://127.0.0.1:{port}/metrics")), "{line}");
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.0 200") && answer.contains("sprongus_"), "{answer}");
    child.kill().unwrap();
    child.wait().unwrap();
}
