//! Names the commit this program is built from, as `SPRONGUS_COMMIT` of the compiler's environment. It reads the repository's own
//! files: neither git nor a package is needed. A packager who builds without the repository sets the variable.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

const VARIABLE: &str = "SPRONGUS_COMMIT";

fn main() {
    println!("cargo::rerun-if-env-changed={VARIABLE}");
    println!("cargo::rerun-if-changed=build.rs");
    let given = env::var(VARIABLE).ok().filter(|commit| !commit.is_empty());
    let crate_folder = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let commit =
        given.or_else(|| packaged(&crate_folder)).or_else(|| checked_out(&crate_folder.join("../..")));
    let commit =
        commit.filter(|commit| commit.len() >= 7 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let short = commit.as_deref().and_then(|commit| commit.get(..7)).unwrap_or("unknown");
    println!("cargo::rustc-env={VARIABLE}={short}");
}

/// What `cargo package` wrote down. A crate that was unpacked somewhere below another repository is not of that one.
fn packaged(folder: &Path) -> Option<String> {
    let text = fs::read_to_string(folder.join(".cargo_vcs_info.json")).ok()?;
    let (_, rest) = text.split_once("\"sha1\"")?;
    rest.split('"').nth(1).map(str::to_owned)
}

/// The commit that is checked out in the repository at `root` itself.
fn checked_out(root: &Path) -> Option<String> {
    let mut own = root.join(".git");
    if own.is_file() {
        // A worktree: the file tells where its part of the repository lies.
        let text = watched(&own)?;
        own = root.join(text.strip_prefix("gitdir:")?.trim());
    }
    let head = watched(&own.join("HEAD"))?;
    let Some(name) = head.strip_prefix("ref:").map(str::trim) else { return Some(head.trim().to_owned()) };
    let shared = match fs::read_to_string(own.join("commondir")) {
        Ok(shared) => own.join(shared.trim()),
        Err(_) => own,
    };
    if let Some(commit) = watched(&shared.join(name)) {
        return Some(commit.trim().to_owned());
    }
    // The next commit makes the branch a file of its own again.
    if let Some(folder) = shared.join(name).ancestors().skip(1).find(|folder| folder.is_dir()) {
        println!("cargo::rerun-if-changed={}", folder.display());
    }
    let packed = watched(&shared.join("packed-refs"))?;
    let commit = packed.lines().find_map(|line| line.strip_suffix(name)?.strip_suffix(' '));
    commit.map(str::to_owned)
}

/// The text of a file that has the script run again when it changes. One that is missing must not be named: cargo would take it
/// for changed at every build.
fn watched(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    println!("cargo::rerun-if-changed={}", path.display());
    Some(text)
}
