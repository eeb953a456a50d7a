//! A real server for tools from outside.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

/// A server in a folder of its own, at a port of its own.
pub struct Scene {
    /// Where it and the tools work.
    pub folder: TempDir,
    server: Child,
    /// Where it answers.
    pub url: String,
}

impl Scene {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        // The tools ask more than a person would be let.
        std::fs::write(folder.path().join("sprongus.toml"), "[server]\nrate_limit = \"off\"\n")
            .expect("a file");
        let mut command = sprongus(folder.path());
        command.args(["-q", "serve", "--listen", "127.0.0.1:0"]);
        let mut server = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("a process");
        let mut url = String::new();
        BufReader::new(server.stdout.take().expect("a pipe")).read_line(&mut url).expect("a line");
        Self { folder, server, url: url.trim().to_owned() }
    }

    pub fn token(&self) -> String {
        let file = self.folder.path().join(".sprongus/runs.db.token");
        std::fs::read_to_string(file).expect("the first token").trim().to_owned()
    }

    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command.current_dir(self.folder.path()).env("HOME", self.folder.path());
        command.env("SPRONGUS_API_URL", &self.url).env("SPRONGUS_TOKEN", self.token());
        command
    }

    pub fn sprongus(&self, line: &str) -> String {
        let mut command = sprongus(self.folder.path());
        command.args(line.split(' ')).env("SPRONGUS_API_URL", &self.url).env("SPRONGUS_TOKEN", self.token());
        printed(command.output().expect("a process"))
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn sprongus(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sprongus"));
    command
        .current_dir(folder)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", folder)
        .env("USER", "ada");
    command
}

/// What a command prints that must succeed.
#[track_caller]
pub fn printed(output: Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// Where `./test` installs programs.
pub fn tools() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools")
}

/// A program that `./test` has installed.
pub fn tool(name: &str) -> PathBuf {
    let path = tools().join("python/bin").join(name);
    assert!(path.is_file(), "{} is missing: ./test installs it", path.display());
    path
}
