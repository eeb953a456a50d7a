//! A project and the engine's way of calling a command in it.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

/// An engine's view: a project's folder, and an attempt's work directory elsewhere.
pub(crate) struct Project {
    pub(crate) folder: TempDir,
    work: TempDir,
}

/// What a call came to.
pub(crate) struct Called {
    pub(crate) code: i32,
    stderr: String,
    /// The lines of `$SPRONGUS_OUTPUT`.
    outputs: Vec<String>,
}

impl Called {
    pub(crate) fn last(&self, key: &str) -> &str {
        self.outputs
            .iter()
            .rev()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
            .unwrap_or_default()
    }

    pub(crate) fn result(&self) -> Value {
        assert_eq!(self.code, 0, "{}", self.stderr);
        serde_json::from_str(self.last("result")).unwrap()
    }

    /// The one line on stderr, of a call that ended with this code and reported nothing.
    pub(crate) fn refused(&self, code: i32) -> &str {
        assert_eq!(self.code, code, "{}", self.stderr);
        assert_eq!((self.last("result"), self.last("output_ref")), ("", ""));
        assert_eq!(self.stderr.lines().count(), 1, "{}", self.stderr);
        self.stderr.trim_end()
    }
}

impl Project {
    pub(crate) fn new() -> Self {
        let project = Self { folder: TempDir::new().unwrap(), work: TempDir::new().unwrap() };
        for (path, text) in storyboard::PROJECT {
            let path = project.path(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        project
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub(crate) fn call(&self, command: &str, input: &Value) -> Called {
        let file = self.work.path().join("outputs");
        let _ = fs::remove_file(&file);
        let output = run(
            Command::new(env!("CARGO_BIN_EXE_storyboard"))
                .arg(command)
                .current_dir(self.work.path())
                .env("SPRONGUS_PROJECT_DIR", self.folder.path())
                .env("SPRONGUS_OUTPUT", &file),
            input.to_string().as_bytes(),
        );
        let outputs = fs::read_to_string(file).unwrap_or_default();
        Called {
            code: output.status.code().unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            outputs: outputs.lines().map(str::to_owned).collect(),
        }
    }

    pub(crate) fn pull(&self) -> Called {
        self.call("pull", &json!({ "path": "screenplay.fountain" }))
    }

    pub(crate) fn sync(&self) -> Called {
        self.call("sync", &json!({ "scenes": "scenes.json" }))
    }

    /// When each file was last written.
    pub(crate) fn written(&self) -> Vec<std::time::SystemTime> {
        ["scenes.json", "storyboard.csv", "storyboard.md"]
            .map(|name| fs::metadata(self.path(name)).unwrap().modified().unwrap())
            .to_vec()
    }
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command, input: &[u8]) -> Output {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A command that refuses its arguments may be gone before it is told anything.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}
