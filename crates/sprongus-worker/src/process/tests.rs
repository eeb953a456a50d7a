//! Real processes, all from a bare Debian.

mod ending_groups;
mod output;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

use super::*;

fn argv(elements: &[&str]) -> Vec<String> {
    elements.iter().map(|element| (*element).to_owned()).collect()
}

fn command(elements: &[&str]) -> CommandSpec {
    CommandSpec::new(argv(elements), std::env::temp_dir())
}

fn shell(script: &str) -> CommandSpec {
    command(&["sh", "-c", script])
}

/// Runs to the end with nobody stopping it, and gives back the lines too.
async fn to_the_end(spec: CommandSpec) -> (Ending, Vec<OutputLine>) {
    let (_stop, stopped) = watch::channel(None);
    stopped_by(spec, stopped).await
}

async fn stopped_by(
    spec: CommandSpec,
    stop: watch::Receiver<Option<StopReason>>,
) -> (Ending, Vec<OutputLine>) {
    let (sender, mut receiver) = mpsc::channel(16);
    let collect = async {
        let mut lines = Vec::new();
        while let Some(line) = receiver.recv().await {
            lines.push(line);
        }
        lines
    };
    tokio::join!(run(spec, sender, stop), collect)
}

fn texts(lines: &[OutputLine]) -> Vec<&str> {
    lines.iter().map(|line| line.text.as_str()).collect()
}

#[tokio::test]
async fn reports_how_it_ended() {
    let (ending, lines) = to_the_end(shell("echo out; echo err >&2; exit 3")).await;
    assert_eq!(ending.status, Status::Exited(3));
    assert_eq!((ending.lines, ending.bytes), (2, 8));
    assert!(lines.iter().any(|line| line.stream == Stream::Stdout && line.text == "out"));
    assert!(lines.iter().any(|line| line.stream == Stream::Stderr && line.text == "err"));
    assert_eq!(ending.output.text, "out");
    assert!(ending.gone_at.is_some() && !ending.status.is_permanent());

    assert_eq!(to_the_end(shell("kill -SEGV $$")).await.0.status, Status::Signaled(11));
    assert!(to_the_end(shell("exit 78")).await.0.status.is_permanent());
    assert!(to_the_end(shell("exit 0")).await.0.status.is_success());
}

#[tokio::test]
async fn an_element_stays_one_argument() {
    let nasty = ["a b", "x\ny", "'q\"", "$(id)", "`id`", "; rm -rf /", "-n", "", "*", "é\u{1F600}"];
    let mut elements = vec!["sh", "-c", "printf '<%s>' \"$@\"", "sh"];
    elements.extend(nasty);
    let (ending, _) = to_the_end(command(&elements)).await;
    let expected: String = nasty.iter().map(|element| format!("<{element}>")).collect();
    assert_eq!(ending.output.text, expected);
}

#[tokio::test]
async fn the_workers_own_variables_do_not_reach_it() {
    // cargo gives this to every test, as a service file gives a token to a worker.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    let mut spec = command(&["env"]);
    spec.env = vec![("SPRONGUS_RUN_ID".to_owned(), "01K".to_owned())];
    let (ending, _) = to_the_end(spec).await;
    assert!(ending.output.text.contains("SPRONGUS_RUN_ID=01K"), "{}", ending.output.text);
    assert!(!ending.output.text.contains("CARGO"), "{}", ending.output.text);
    let own = std::env::current_exe().unwrap();
    let path = format!("PATH={}:", own.parent().unwrap().display());
    assert!(ending.output.text.lines().any(|line| line.starts_with(&path)), "{}", ending.output.text);
}

#[tokio::test]
async fn says_why_it_could_not_start() {
    async fn fault(spec: CommandSpec) -> StartFault {
        let (ending, lines) = to_the_end(spec).await;
        assert!(lines.is_empty());
        match ending.status {
            Status::CouldNotStart(fault) => fault,
            other @ (Status::Exited(_) | Status::Signaled(_) | Status::TimedOut | Status::Stopped(_)) => {
                panic!("{other}")
            }
        }
    }
    let unknown = fault(command(&["no-such-program-5"])).await;
    assert!(unknown.message.contains("\"no-such-program-5\": no such program in /"), "{unknown}");
    assert!(!unknown.retryable);
    let missing = fault(command(&["./no-such.sh"])).await;
    assert!(
        missing.message.contains("no such file: ") && missing.message.contains("project_dir"),
        "{missing}"
    );
    let mut nowhere = command(&["true"]);
    nowhere.cwd = PathBuf::from("/no/such/folder");
    assert!(fault(nowhere).await.message.contains("working directory /no/such/folder does not exist"));
    assert!(fault(command(&["/"])).await.message.contains("chmod +x"));
    assert!(fault(command(&["echo", "a\0b"])).await.message.contains("NUL"));
    let long = "x".repeat(crate::template::LARGEST_ELEMENT + 1);
    assert!(fault(command(&["true", &long])).await.message.contains("too long"));
    let longest = "x".repeat(crate::template::LARGEST_ELEMENT);
    assert!(to_the_end(command(&["true", &longest])).await.0.status.is_success());
    assert!(!fault(command(&[])).await.retryable);

    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("script");
    std::fs::write(&script, "#!/no/such/interpreter\n").unwrap();
    assert!(fault(command(&[script.to_str().unwrap()])).await.message.contains("chmod +x"));
    let made = std::process::Command::new("chmod").arg("+x").arg(&script).status().unwrap();
    assert!(made.success());
    assert!(fault(command(&[script.to_str().unwrap()])).await.message.contains("interpreter"));
    std::fs::write(&script, "echo hello\n").unwrap();
    assert!(fault(command(&[script.to_str().unwrap()])).await.message.contains("#!/bin/sh"));
}

#[tokio::test]
async fn stdin_is_read_by_who_wants_it() {
    let megabyte = vec![b'x'; 1024 * 1024];
    for (script, expected) in [
        ("wc -c", "1048576"),
        ("sleep 0.2; echo unread", "unread"),
        ("exec <&-; sleep 0.2; echo closed", "closed"),
        ("head -c 10 >/dev/null; echo some", "some"),
    ] {
        let mut spec = shell(script);
        spec.stdin = Some(megabyte.clone());
        let (ending, _) = to_the_end(spec).await;
        assert!(ending.status.is_success(), "{script}: {}", ending.status);
        assert_eq!(ending.output.text, expected);
    }
}

#[tokio::test]
async fn a_command_stopped_before_it_starts_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    let (_stop, stopped) = watch::channel(Some(StopReason::Shutdown));
    let (ending, _) = stopped_by(command(&["touch", trace.to_str().unwrap()]), stopped).await;
    assert_eq!(ending.status, Status::Stopped(StopReason::Shutdown));
    assert!(!trace.exists());
}

#[tokio::test]
async fn nobody_left_to_stop_it_is_no_reason_to_stop() {
    let (stop, stopped) = watch::channel(None);
    drop(stop);
    let started = Instant::now();
    assert!(stopped_by(shell("sleep 0.2"), stopped).await.0.status.is_success());
    assert!(started.elapsed() >= Duration::from_millis(200));
}

#[test]
fn a_worker_can_spawn_it() {
    fn sendable<T: Send>(_: &T) {}
    let (sender, _lines) = mpsc::channel(1);
    let (_stop, stopped) = watch::channel(None);
    sendable(&run(command(&["true"]), sender, stopped));
    fn shareable<T: Send + Sync>() {}
    shareable::<crate::declaration::Declaration>();
}
