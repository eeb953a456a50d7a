//! Whether what a folder holds may be believed. A command that finds a `sprongus.toml` above the folder it was started in does what the
//! file says, so a file that another user put there would act with this user's rights: the problem that git's `safe.directory` solves.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sprongus_core::{Error, ErrorCode, Result};
use sprongus_worker::declaration::find_upward;

use crate::env::Environment;

/// Where the database of a project lies.
pub const PROJECT_DATA: &str = ".sprongus";

const STICKY: u32 = 0o1000;

/// Why something is not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    path: PathBuf,
    reason: Reason,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    Owner(u32),
    Writable { by_all: bool },
}

impl Doubt {
    /// What is wrong, in a line.
    pub fn text(&self) -> String {
        let path = self.path.display();
        match self.reason {
            Reason::Owner(uid) => format!("{path} belongs to another user (uid {uid})"),
            Reason::Writable { .. } => format!("{path} is writable by other users"),
        }
    }

    /// What to do about it.
    pub fn remedy(&self) -> String {
        let path = self.path.display();
        match self.reason {
            Reason::Owner(_) => format!(
                "run the command as that user, take ownership of it, or set SPRONGUS_TRUST to the folder of sprongus.toml if you trust {path}"
            ),
            Reason::Writable { by_all: true } => format!("chmod go-w {path}"),
            Reason::Writable { by_all: false } => format!("chmod g-w {path}"),
        }
    }
}

/// The nearest `sprongus.toml`, if there is one, and if it may be believed.
///
/// # Errors
/// `forbidden`, with what to do, when another user could have written it, its folder or the project's data.
pub fn project(around: &Environment) -> Result<Option<PathBuf>> {
    find_upward(&around.folder).map(|path| believed(path, around)).transpose()
}

/// A `sprongus.toml`, if it may be believed.
///
/// # Errors
/// As [`project`].
pub fn believed(path: PathBuf, around: &Environment) -> Result<PathBuf> {
    match doubt(&path, around) {
        None => Ok(path),
        Some(doubt) => {
            let message = format!("{} is not used: {}", path.display(), doubt.text());
            Err(Error::new(ErrorCode::Forbidden, message).with_hint(doubt.remedy()))
        }
    }
}

/// What is to be said against a `sprongus.toml`, its folder, and the project's data.
pub fn doubt(path: &Path, around: &Environment) -> Option<Doubt> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if around.trusted.as_deref().is_some_and(|trusted| is_same(trusted, folder)) {
        return None;
    }
    let user = rustix::process::geteuid().as_raw();
    [folder, path, &folder.join(PROJECT_DATA)].into_iter().find_map(|path| doubt_of(path, user))
}

/// Whether two paths are one folder; a trusted one that is not there is none.
fn is_same(trusted: &Path, folder: &Path) -> bool {
    let whole = |path: &Path| -> io::Result<PathBuf> { fs::canonicalize(path) };
    whole(trusted).is_ok_and(|trusted| whole(folder).is_ok_and(|folder| folder == trusted))
}

/// What is to be said against one of them. A link is its owner's too, and so is what it leads to.
fn doubt_of(path: &Path, user: u32) -> Option<Doubt> {
    let found = [fs::symlink_metadata(path), fs::metadata(path)];
    found
        .into_iter()
        .flatten()
        .find_map(|found| judge(&found, user))
        .map(|reason| Doubt { path: path.to_owned(), reason })
}

fn judge(found: &Metadata, user: u32) -> Option<Reason> {
    judged(
        Facts {
            uid: found.uid(),
            gid: found.gid(),
            mode: found.mode(),
            is_folder: found.is_dir(),
            is_link: found.is_symlink(),
        },
        user,
    )
}

#[derive(Clone, Copy)]
struct Facts {
    uid: u32,
    gid: u32,
    mode: u32,
    is_folder: bool,
    is_link: bool,
}

fn judged(found: Facts, user: u32) -> Option<Reason> {
    if found.uid != user && found.uid != 0 {
        return Some(Reason::Owner(found.uid));
    }
    // Everybody may write a link's mode says, and nobody can; in a sticky folder others cannot touch what is not theirs.
    if found.is_link || (found.is_folder && found.mode & STICKY != 0) {
        return None;
    }
    // A group that has its user's number is that user's own, as Debian makes them.
    let is_own_group = found.gid == user || found.gid == 0;
    let (by_all, by_group) = (found.mode & 0o002 != 0, found.mode & 0o020 != 0 && !is_own_group);
    (by_all || by_group).then_some(Reason::Writable { by_all })
}

/// What is to be said against the folder of a database: whoever may write it may put another file in the database's place.
pub fn folder_of_database(path: &Path) -> Option<Doubt> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let owner = fs::metadata(path).map_or_else(|_| rustix::process::geteuid().as_raw(), |found| found.uid());
    doubt_of(folder, owner)
}

/// What `worker` and `serve` say at their start: what makes a mistake worse than it has to be.
pub fn warnings(database: Option<&Path>) -> Vec<String> {
    let mut all = Vec::new();
    if rustix::process::geteuid().is_root() {
        all.push(
            "running as root: every command it starts has full control of this machine; use a dedicated user"
                .to_owned(),
        );
    }
    if let Some(path) = database {
        let facts = crate::env::file::inspect(path);
        if let Some(doubt) = folder_of_database(path) {
            all.push(format!("{}; {}", doubt.text(), doubt.remedy()));
        }
        if let Some(open) = facts.open_to_others.first() {
            all.push(format!(
                "other users can read or write {}; chmod 600 {}",
                open.display(),
                open.display()
            ));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: u32 = 1000;

    fn file(uid: u32, gid: u32, mode: u32) -> Option<Reason> {
        judged(Facts { uid, gid, mode, is_folder: false, is_link: false }, ME)
    }

    fn folder(uid: u32, mode: u32) -> Option<Reason> {
        judged(Facts { uid, gid: ME, mode, is_folder: true, is_link: false }, ME)
    }

    #[test]
    fn only_what_others_cannot_have_written_is_believed() {
        assert_eq!(file(ME, ME, 0o664), None, "its user's own group");
        assert_eq!(file(0, 0, 0o644), None, "root's is as good as any");
        assert_eq!(file(1001, ME, 0o600), Some(Reason::Owner(1001)));
        assert_eq!(file(ME, ME, 0o646), Some(Reason::Writable { by_all: true }));
        assert_eq!(file(ME, 50, 0o664), Some(Reason::Writable { by_all: false }));
        assert_eq!(file(0, 0, 0o666), Some(Reason::Writable { by_all: true }));
        assert_eq!(folder(ME, 0o755), None);
        assert_eq!(folder(0, 0o1777), None, "/tmp");
        assert_eq!(folder(ME, 0o777), Some(Reason::Writable { by_all: true }));
        assert_eq!(folder(1001, 0o1777), Some(Reason::Owner(1001)), "who owns it may replace what is in it");
        let link = Facts { uid: ME, gid: ME, mode: 0o777, is_folder: false, is_link: true };
        assert_eq!(judged(link, ME), None);
        assert_eq!(judged(Facts { uid: 1001, ..link }, ME), Some(Reason::Owner(1001)));
    }

    #[test]
    fn a_project_that_all_may_write_is_refused_with_what_to_do() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sprongus.toml");
        fs::write(&path, "").unwrap();
        let chmod = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        chmod(&path, 0o644);
        let below = folder.path().join("below");
        fs::create_dir(&below).unwrap();
        let around = Environment { folder: below, ..Environment::default() };
        assert_eq!(project(&around).unwrap(), Some(path.clone()));
        for (what, good, bad) in [(path.as_path(), 0o644, 0o666), (folder.path(), 0o755, 0o777)] {
            chmod(what, bad);
            let error = project(&around).unwrap_err();
            assert_eq!(
                (error.code(), error.hint()),
                (ErrorCode::Forbidden, &*format!("chmod go-w {}", what.display()))
            );
            let trusted = Environment { trusted: Some(folder.path().to_owned()), ..around.clone() };
            assert_eq!(project(&trusted).unwrap(), Some(path.clone()));
            chmod(what, good);
        }
        let data = folder.path().join(PROJECT_DATA);
        fs::create_dir(&data).unwrap();
        chmod(&data, 0o777);
        assert!(project(&around).unwrap_err().message().contains(PROJECT_DATA));
    }
}
