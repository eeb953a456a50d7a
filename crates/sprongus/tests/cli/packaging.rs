//! What lies in `packaging/`: units that systemd takes, and a health check that tells a server that lives from one that does not.
//! An image cannot be built here; the lines of the Dockerfile that can be tried are.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::backing::Backing;
use crate::sandbox::Sandbox;

fn packaging() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging")
}

fn output(command: &mut Command) -> Option<Output> {
    match command.output() {
        Ok(output) => Some(output),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn systemd_takes_the_units() {
    let folder = tempfile::tempdir().unwrap();
    for (name, most) in [("sprongus-serve.service", 20), ("sprongus-worker.service", 30)] {
        let text = std::fs::read_to_string(packaging().join(name)).unwrap();
        // The program is looked for where it would be installed.
        let here = text.replace("/usr/local/bin/sprongus", env!("CARGO_BIN_EXE_sprongus"));
        assert_ne!(here, text, "{name} starts another program");
        let unit = folder.path().join(name);
        std::fs::write(&unit, here).unwrap();
        let Some(verified) = output(Command::new("systemd-analyze").arg("verify").arg(&unit)) else { return };
        let err = String::from_utf8_lossy(&verified.stderr).into_owned();
        assert!(verified.status.success() && err.is_empty(), "{name}: {err}");
        // Tenths: 0 is shut, 100 is open.
        let threshold = format!("--threshold={most}");
        let rated = output(
            Command::new("systemd-analyze").args(["security", "--offline=true", &threshold]).arg(&unit),
        );
        let rated = rated.unwrap();
        assert!(rated.status.success(), "{name}: {}", String::from_utf8_lossy(&rated.stdout));
    }
}

/// The value of a key in a unit.
fn setting(unit: &str, key: &str) -> String {
    let text = std::fs::read_to_string(packaging().join(unit)).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    line.unwrap_or_else(|| panic!("{unit} has no {key}")).to_owned()
}

#[test]
fn server_and_worker_share_no_user_and_no_folder_and_the_worker_reads_its_token_from_stdin() {
    let (server, worker) = ("sprongus-serve.service", "sprongus-worker.service");
    for key in ["User", "Group", "StateDirectory"] {
        assert_ne!(setting(server, key), setting(worker, key), "{key}");
    }
    assert_eq!(setting(worker, "StandardInput"), "file:/etc/sprongus/worker.token");
    let text = std::fs::read_to_string(packaging().join(worker)).unwrap();
    assert!(text.contains("\nEnvironment=SPRONGUS_TOKEN_FILE=/dev/stdin\n"));
    assert!(!text.contains("/var/lib/sprongus/") && !text.contains("SPRONGUS_DATABASE_URL"), "{text}");
}

#[test]
fn the_units_start_what_the_program_understands() {
    let sandbox = Sandbox::new();
    for name in ["sprongus-serve.service", "sprongus-worker.service"] {
        let text = std::fs::read_to_string(packaging().join(name)).unwrap();
        let line =
            text.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/local/bin/sprongus ")).unwrap();
        sandbox.line(&format!("{line} --help")).exits(0);
    }
}

#[test]
fn the_health_check_of_the_image_tells_whether_a_server_lives() {
    let file = std::fs::read_to_string(packaging().join("Dockerfile")).unwrap();
    let words = file.split("CMD [\"bash\"").nth(1).unwrap().lines().next().unwrap();
    let words: Vec<String> = serde_json::from_str(&format!("[\"bash\"{words}")).unwrap();
    let mut sandbox = Sandbox::on(Backing::Remote);
    let port = sandbox.url().rsplit(':').next().unwrap().to_owned();
    let check = || {
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).env("SPRONGUS_PORT", &port).output().unwrap()
    };
    let lives = check();
    assert!(lives.status.success(), "{}", String::from_utf8_lossy(&lives.stderr));
    sandbox.stop_serving();
    assert!(!check().status.success());
    assert!(file.contains("\nUSER 10001:10001\n"), "it must not run as root");
}
