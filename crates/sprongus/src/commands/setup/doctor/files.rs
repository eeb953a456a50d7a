//! What lies on disks: who may read the database, how much room there is, and whether artifacts can be kept.

use std::path::Path;
use std::time::Duration;

use rustix::fs::{Access, access};

use super::finding::{Finding, Findings};
use crate::app::App;
use crate::connect::{self, Target};
use crate::env::file::FileFacts;

/// Less than this is soon used up by history and the write-ahead log.
const LITTLE_SPACE: u64 = 100 << 20;

/// How long the place of artifacts may take to answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// Who may read and write the database's files.
pub fn permissions(facts: &FileFacts) -> Finding {
    match facts.open_to_others.as_slice() {
        [] => Finding::fine("permissions", "owner only"),
        [path, ..] => {
            let remedy = format!("chmod 600 {}", path.display());
            Finding::wrong("permissions", format!("other users can read or write {}", path.display()), remedy)
        }
    }
}

/// Whether this user may write the database's file, and those that SQLite keeps beside it. Nothing, when so.
pub fn shut(path: &Path, user: &str) -> Option<Finding> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let wanted = [(path, Access::READ_OK | Access::WRITE_OK), (folder, Access::WRITE_OK | Access::EXEC_OK)];
    let (shut, _) = wanted.into_iter().find(|(path, wanted)| access(*path, *wanted).is_err())?;
    let remedy =
        format!("run as the owner of the file, or let {user} write {} and its folder", path.display());
    Some(Finding::wrong("permissions", format!("{user} cannot write {}", shut.display()), remedy))
}

/// How much room there is where `path` lies.
pub fn disk(path: &Path, facts: &FileFacts, findings: &mut Findings) {
    findings.extend(facts.free.map(|free| room(path, free)));
}

fn room(path: &Path, free: u64) -> Finding {
    let text = format!("{} MiB free for {}", free >> 20, path.display());
    if free < LITTLE_SPACE {
        Finding::wrong("disk", text, "free some space, or run `sprongus runs prune`")
    } else {
        Finding::fine("disk", text)
    }
}

/// Where the bytes of artifacts lie, and whether they can.
pub async fn artifacts(app: &App, target: &Target, findings: &mut Findings) {
    let keeping = match connect::artifacts::choose(target, &app.around) {
        Ok(keeping) => keeping,
        Err(error) => return findings.add(Finding::of_error("artifacts", &error)),
    };
    if let sprongus_artifacts::Place::Folder(path) = &keeping.place {
        disk(path, &crate::env::file::inspect(path), findings);
    }
    let chosen = format!("{} ({})", sprongus_artifacts::open(&keeping.place).place(), keeping.why);
    let checked = tokio::time::timeout(PATIENCE, sprongus_artifacts::check(&keeping.place)).await;
    match checked {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            let text = format!("{chosen}: {}", error.message());
            return findings.add(Finding::wrong("artifacts", text, remedy(&keeping.place, &app.around.user)));
        }
        Err(_) => {
            let remedy =
                "check AWS_ENDPOINT and the network; without AWS_ACCESS_KEY_ID, the machine's role is used";
            return findings.add(Finding::wrong("artifacts", format!("{chosen}: timed out"), remedy));
        }
    }
    let alone =
        matches!((target, &keeping.place), (Target::Postgres(_), sprongus_artifacts::Place::Folder(_)));
    findings.add(Finding::fine("artifacts", if alone {
        format!("{chosen}; servers and workers on several machines must share it: set url in [artifacts] to a bucket or a shared folder")
    } else {
        chosen
    }));
}

fn remedy(place: &sprongus_artifacts::Place, user: &str) -> String {
    match place {
        sprongus_artifacts::Place::Folder(path) => {
            format!("let {user} write {}, or set url in [artifacts] to another place", path.display())
        }
        sprongus_artifacts::Place::Bucket { .. } => {
            "check AWS_ENDPOINT, AWS_REGION, and that the key allows GetObject, PutObject and DeleteObject"
                .to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_named_with_its_remedy() {
        let path = Path::new("/runs/runs.db");
        let full = room(path, LITTLE_SPACE - 1);
        assert_eq!(
            full.amiss(),
            Some(("disk", "99 MiB free for /runs/runs.db", "free some space, or run `sprongus runs prune`"))
        );
        assert_eq!(room(path, LITTLE_SPACE).amiss(), None);
    }
}
