//! What the commands themselves wrote down: who executed what, when, and under which epoch. Nothing of the database is in it.

use std::collections::HashMap;
use std::path::Path;

use sprongus::core::values::ids::RunId;

/// What every script of a drill begins with. The clock is read without a process, and a line is one write.
pub const TELL: &str = r#"
journal=$1
tell() {
    read -r now _ < /proc/uptime
    printf '%s %s %s %s %s %s\n' "$SPRONGUS_RUN_ID" "$SPRONGUS_EPOCH" "$PPID" "$$" "$1" "$now" >> "$journal"
}
"#;

/// One line.
#[derive(Clone, Debug)]
pub struct Line {
    pub run: RunId,
    pub epoch: u32,
    /// The worker's process.
    pub worker: i32,
    /// The command's process.
    pub pid: i32,
    pub word: String,
    /// Seconds since boot.
    pub at: f64,
}

/// All lines, in order.
#[derive(Debug)]
pub struct Journal(pub Vec<Line>);

impl Journal {
    pub fn read(file: &Path) -> Self {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let line = |line: &str| {
            let [run, epoch, worker, pid, word, at] =
                line.split(' ').collect::<Vec<_>>().try_into().unwrap_or_else(|_| panic!("torn: {line}"));
            Line {
                run: run.parse().unwrap(),
                epoch: epoch.parse().unwrap(),
                worker: worker.parse().unwrap(),
                pid: pid.parse().unwrap(),
                word: word.to_owned(),
                at: at.parse().unwrap(),
            }
        };
        Self(text.lines().map(line).collect())
    }

    /// The lines of one word.
    pub fn said(&self, word: &str) -> impl Iterator<Item = &Line> {
        self.0.iter().filter(move |line| line.word == word)
    }

    /// The line of an execution, if it was written.
    pub fn find(&self, run: RunId, epoch: u32, word: &str) -> Option<&Line> {
        self.said(word).find(|line| line.run == run && line.epoch == epoch)
    }

    /// Each of these runs was begun once and ended once, and nothing else was.
    #[track_caller]
    pub fn holds_exactly_once(&self, runs: &[RunId]) {
        for word in ["start", "end"] {
            let mut times: HashMap<RunId, u32> = runs.iter().map(|&run| (run, 0)).collect();
            for line in self.said(word) {
                *times.get_mut(&line.run).unwrap_or_else(|| panic!("nobody enqueued {}", line.run)) += 1;
            }
            let wrong: Vec<_> = times.iter().filter(|&(_, &times)| times != 1).collect();
            assert!(wrong.is_empty(), "{word} not exactly once: {wrong:?}");
        }
    }
}

/// Whether the process is there, not counting one that only waits to be reaped.
pub fn lives(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}
