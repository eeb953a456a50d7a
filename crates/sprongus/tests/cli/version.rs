//! `--version`, and the build script that reads the commit.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::sandbox::Sandbox;

#[test]
fn the_version_names_commit_and_schema() {
    let sandbox = Sandbox::new();
    sandbox.line("migrate").exits(0);
    let file = rusqlite::Connection::open(sandbox.file()).unwrap();
    let schema: u32 = file.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    // A migration may concern one of the stores alone.
    let schema = schema.max(sprongus::postgres::latest_schema());
    let version = sandbox.line("--version").exits(0).out;
    assert_eq!(sandbox.line("-V").exits(0).out, version);
    let rest = version.strip_prefix(concat!("sprongus ", env!("CARGO_PKG_VERSION"), " (")).unwrap();
    let commit = rest.strip_suffix(&format!(", schema {schema})\n")).unwrap_or_else(|| panic!("{version}"));
    let is_commit = commit.len() == 7 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert!(is_commit || commit == "unknown", "{version}");
}

/// The build script by itself, below `root`.
struct Script {
    program: PathBuf,
    root: PathBuf,
}

impl Script {
    fn new(folder: &Path) -> Self {
        let program = folder.join("build");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("build.rs");
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let mut compile = Command::new(rustc);
        compile.args(["--edition", "2024", "-o"]).arg(&program).arg(source);
        assert!(compile.status().unwrap().success());
        let root = folder.join("repository");
        std::fs::create_dir_all(root.join("crates/sprongus")).unwrap();
        Self { program, root }
    }

    /// The commit it names, and the files that it would be run again for.
    fn at(&self, root: &Path, given: &str) -> (String, Vec<PathBuf>) {
        let mut command = Command::new(&self.program);
        let output = command
            .env("CARGO_MANIFEST_DIR", root.join("crates/sprongus"))
            .env("SPRONGUS_COMMIT", given)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let values = |name: &str| {
            let lines = text.lines().filter_map(|line| line.strip_prefix(name));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        let files = values("cargo::rerun-if-changed=").into_iter().skip(1).map(PathBuf::from).collect();
        (values("cargo::rustc-env=SPRONGUS_COMMIT=").concat(), files)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.root.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

const FIRST: &str = "1111111222222222222222222222222222222222";
const SECOND: &str = "3333333444444444444444444444444444444444";

#[test]
fn the_commit_is_read_however_the_repository_keeps_it() {
    let folder = tempfile::tempdir().unwrap();
    let script = Script::new(folder.path());
    let root = script.root.clone();
    let commit = |root: &Path| {
        let (commit, files) = script.at(root, "");
        assert!(files.iter().all(|file| file.exists()), "cargo builds anew each time: {files:?}");
        commit
    };
    assert_eq!(commit(&root), "unknown");
    assert_eq!(script.at(&root, SECOND).0, "3333333", "a packager's word");
    assert_eq!(script.at(&root, "$(git rev-parse HEAD)").0, "unknown");

    script.write(".git/HEAD", "ref: refs/heads/main\n");
    assert_eq!(commit(&root), "unknown", "a repository without a commit");
    script.write(".git/packed-refs", &format!("# pack-refs with: peeled\n{FIRST} refs/heads/main\n"));
    assert_eq!(commit(&root), "1111111");
    script.write(".git/refs/heads/main", &format!("{SECOND}\n"));
    assert_eq!(commit(&root), "3333333", "the file goes before the pack");
    assert!(script.at(&root, "").1.contains(&root.join("crates/sprongus/../../.git/refs/heads/main")));

    script.write(".git/worktrees/other/HEAD", &format!("{FIRST}\n"));
    script.write("other/.git", "gitdir: ../.git/worktrees/other\n");
    std::fs::create_dir_all(root.join("other/crates/sprongus")).unwrap();
    assert_eq!(commit(&root.join("other")), "1111111", "a worktree with no branch");
    script.write(".git/worktrees/other/HEAD", "ref: refs/heads/main\n");
    script.write(".git/worktrees/other/commondir", "../..\n");
    assert_eq!(commit(&root.join("other")), "3333333", "a worktree on a branch");

    script.write("vendored/x/crates/sprongus/.keep", "");
    assert_eq!(commit(&root.join("vendored/x")), "unknown", "another project's repository");
    let packaged = format!("{{\n  \"git\": {{\n    \"sha1\": \"{FIRST}\"\n  }}\n}}");
    script.write("vendored/x/crates/sprongus/.cargo_vcs_info.json", &packaged);
    assert_eq!(commit(&root.join("vendored/x")), "1111111");
}
