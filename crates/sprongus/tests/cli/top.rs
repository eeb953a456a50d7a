//! `top`: one frame, objects, and the live view on a terminal.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use sprongus::RunsExt as _;
use sprongus::core::workspace::directory::WorkerInfo;

use crate::backing::{Backing, sessions};
use crate::sandbox::{Done, Sandbox, block_on, finished, terminal, worker};

/// A worker that is alive and holds one run of `pull`, at 40 %; one run more is due, of a kind that it does not serve, and one is
/// paused.
async fn busy(sandbox: &Sandbox, host: &str) -> String {
    let runs = sandbox.runs().await;
    let info = WorkerInfo {
        id: worker(),
        kinds: Some(vec!["pull".parse().unwrap()]),
        host: host.to_owned(),
        pid: 4_711,
        version: "0".to_owned(),
        concurrency: 4,
        zone_data: None,
    };
    runs.see_worker(&info).await.unwrap();
    let claimed = runs.claim_next(&worker(), 1).await.unwrap().remove(0);
    let hold = claimed.hold();
    runs.progress(&hold, 40, None).await.unwrap();
    claimed.run.id.to_string()
}

fn scene(backing: Backing) -> (Sandbox, String) {
    let sandbox = Sandbox::on(backing);
    sandbox.enqueue("pull");
    let id = block_on(busy(&sandbox, "a-host\u{1b}[2J"));
    sandbox.enqueue("lonely");
    sandbox.enqueue("held");
    sandbox.line("kinds pause held").exits(0);
    (sandbox, id)
}

fn a_frame_tells_depth_workers_and_what_runs(backing: Backing) {
    let (sandbox, id) = scene(backing);
    for line in ["top", "top --once", "top --every 200ms"] {
        let out = sandbox.line(line).exits(0).out;
        let has = |words: &[&str]| {
            let found = out.lines().any(|line| words.iter().all(|word| line.contains(word)));
            assert!(found, "{words:?} in {out}");
        };
        has(&["2 due", "1 running", "1 worker "]);
        has(&["lonely", "1", "no worker"]);
        has(&["held", "1", "paused"]);
        has(&["test-worker", "claiming", "4711", &id]);
        has(&[&id, "pull", "████░░░░░░  40%", "1/3", "test-worker"]);
        assert!(!out.contains('\u{1b}'), "a host's name drives the terminal: {out:?}");
    }
    let frame = sandbox.line("--json top").exits(0).json();
    assert_eq!(frame["stats"]["kinds"]["lonely"]["due"], 1);
    assert_eq!(frame["paused"], serde_json::json!(["held"]));
    assert_eq!(
        (&frame["workers"][0]["pid"], &frame["workers"][0]["holds"][0]),
        (&4_711.into(), &id.clone().into())
    );
    let run = &frame["running"][0];
    assert_eq!(
        (&run["id"], &run["progress"], &run["claimedBy"]),
        (&id.clone().into(), &40.into(), &"test-worker".into())
    );
    assert!(run["elapsedMs"].is_u64() && run.get("input").is_none(), "{run}");
    assert_eq!(frame["moreRunning"], false);
    assert_eq!(sandbox.line("-q top").exits(0).out, format!("{id}\n"));
}

fn objects_follow_one_another_until_the_reader_leaves(backing: Backing) {
    let (sandbox, _) = scene(backing);
    let mut child = sandbox.command(&["--json", "top", "--every", "100ms"]).spawn().unwrap();
    let mut out = child.stdout.take().unwrap();
    let mut text = String::new();
    while text.matches('\n').count() < 3 {
        let mut bytes = [0; 4_096];
        let read = out.read(&mut bytes).unwrap();
        assert!(read > 0, "it ended: {text}");
        text.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
    }
    let frames: Vec<serde_json::Value> =
        text.lines().take(3).map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(frames[0]["at"].as_str() < frames[2]["at"].as_str(), "{text}");
    drop(out);
    finished(child).exits(0);
}

#[track_caller]
fn eventually(what: &str, mut there: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while !there() {
        assert!(Instant::now() < until, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// `top` on a terminal, and what it has drawn.
struct Watched {
    child: Option<Child>,
    keyboard: File,
    /// Keeps the terminal open, and tells how it is set.
    screen: OwnedFd,
    drawn: Arc<Mutex<Vec<u8>>>,
}

impl Watched {
    fn start(sandbox: &Sandbox, words: &[&str], rows: u16, columns: u16) -> Self {
        let (keyboard, screen) = terminal();
        tcsetwinsize(&screen, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let mut command = sandbox.command(words);
        let end = || Stdio::from(screen.try_clone().unwrap());
        let child = command.env("TERM", "xterm").stdin(end()).stdout(end()).spawn().unwrap();
        let drawn = Arc::new(Mutex::new(Vec::new()));
        let (mut reader, copy) = (keyboard.try_clone().unwrap(), Arc::clone(&drawn));
        // It ends with the last end of the terminal.
        std::thread::spawn(move || {
            let mut bytes = [0; 4_096];
            while let Ok(read) = reader.read(&mut bytes) {
                if read == 0 {
                    break;
                }
                copy.lock().unwrap().extend_from_slice(&bytes[..read]);
            }
        });
        Self { child: Some(child), keyboard, screen, drawn }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.drawn.lock().unwrap()).into_owned()
    }

    /// What stands on the screen after the last whole frame.
    fn frame(&self) -> Vec<String> {
        let text = self.text();
        let mut frames = text.rsplit("\u{1b}[H");
        let _still_drawn = frames.next();
        let line = |line: &str| {
            line.trim_end_matches('\r')
                .trim_start_matches("\u{1b}[K")
                .trim_start_matches("\u{1b}[J")
                .to_owned()
        };
        frames.next().expect("a frame").split('\n').map(line).collect()
    }

    #[track_caller]
    fn sees(&self, what: &str) {
        eventually(what, || self.text().contains(what));
    }

    fn types(&self) -> bool {
        tcgetattr(&self.screen)
            .unwrap()
            .local_modes
            .contains(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG)
    }

    fn id(&self) -> Pid {
        Pid::from_child(self.child.as_ref().unwrap())
    }

    /// It must end, and leave the terminal as it was.
    #[track_caller]
    fn ends(&mut self, code: i32) -> Done {
        let done = finished(self.child.take().unwrap()).exits(code);
        self.sees("\u{1b}[?25h\u{1b}[?1049l");
        assert!(self.text().ends_with("\u{1b}[?25h\u{1b}[?1049l"), "{:?}", self.text());
        assert!(self.types(), "the terminal does not echo any more");
        done
    }
}

fn it_is_live_on_a_terminal_and_leaves_it_clean(backing: Backing) {
    let (sandbox, id) = scene(backing);
    let words = ["top", "--every", "100ms"];
    let mut watched = Watched::start(&sandbox, &words, 40, 200);
    watched.sees(&id);
    assert!(watched.text().starts_with("\u{1b}[?1049h\u{1b}[?25l"), "a screen of its own");
    watched.sees("a-host\\u{1b}[2J");
    assert!(!watched.types(), "keys are read as they are pressed");
    sandbox.enqueue("later.on");
    watched.sees("later.on");
    watched.keyboard.write_all(b"xq").unwrap();
    watched.ends(0);

    let mut watched = Watched::start(&sandbox, &words, 40, 200);
    watched.sees(&id);
    watched.keyboard.write_all(&[3]).unwrap();
    watched.ends(130);
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 0)] {
        let mut watched = Watched::start(&sandbox, &words, 40, 200);
        watched.sees(&id);
        kill_process(watched.id(), signal).unwrap();
        watched.ends(code);
    }
}

#[test]
fn a_frame_fits_the_terminal_and_a_new_size_of_it() {
    let (sandbox, id) = scene(Backing::File);
    for kind in 0..40 {
        sandbox.enqueue(&format!("kind-{kind}"));
    }
    let mut watched = Watched::start(&sandbox, &["--color", "never", "top", "--every", "100ms"], 24, 60);
    watched.sees(&id);
    eventually("two frames", || watched.text().matches("\u{1b}[H").count() > 2);
    let frame = watched.frame();
    assert!(frame.concat().contains("more") && frame.concat().contains(&id), "{frame:#?}");
    assert!(frame.len() <= 24 && frame.iter().all(|line| line.chars().count() <= 60), "{frame:#?}");
    assert!(!frame.concat().contains('\u{1b}'), "a colour: {frame:?}");
    tcsetwinsize(&watched.screen, Winsize { ws_row: 12, ws_col: 30, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    // The terminal is not that of the process's session here, so nobody else tells it.
    kill_process(watched.id(), Signal::WINCH).unwrap();
    eventually("it fits", || {
        let frame = watched.frame();
        frame.len() <= 12 && frame.iter().all(|line| line.chars().count() <= 30)
    });
    watched.keyboard.write_all(b"q").unwrap();
    watched.ends(0);
}

#[test]
fn a_server_that_goes_away_is_said_below_what_was_seen_last() {
    let (mut sandbox, id) = scene(Backing::Remote);
    let mut watched = Watched::start(&sandbox, &["top", "--every", "100ms"], 40, 200);
    watched.sees(&id);
    sandbox.stop_serving();
    watched.sees("no server is listening at 127.0.0.1");
    assert!(watched.frame().concat().contains(&id), "what was seen last stays: {:#?}", watched.frame());
    watched.keyboard.write_all(b"q").unwrap();
    watched.ends(0);
}

#[test]
fn what_cannot_be_watched_is_an_error_before_the_terminal_is_taken() {
    let sandbox = Sandbox::new();
    assert!(sandbox.line("top --every 99ms").exits(2).error().contains("--every"));
    assert!(sandbox.line("--db missing.db top").exits(3).error().contains("missing.db"));
    let mut watched = Watched::start(&sandbox, &["--db", "missing.db", "top"], 40, 200);
    finished(watched.child.take().unwrap()).exits(3);
    assert_eq!(watched.text(), "");
}

sessions! {
    a_frame_tells_depth_workers_and_what_runs,
    objects_follow_one_another_until_the_reader_leaves,
    it_is_live_on_a_terminal_and_leaves_it_clean,
}
