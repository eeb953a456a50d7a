//! The folder that is downloaded into. A run's artifacts are named by whoever ran it, so nothing is written, read or asked for
//! outside: below the folder every step is taken from the last one, and none through a link.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, mkdirat, openat, renameat, statat, unlinkat};
use rustix::io::Errno;
use sprongus_core::run::artifact::ArtifactName;
use sprongus_core::values::ids::RunId;
use sprongus_core::{Error, ErrorCode, Result};

/// What folders are made with, less what the user's own umask takes away; likewise files.
const FOLDER_MODE: u32 = 0o777;
const FILE_MODE: u32 = 0o666;

/// An open folder.
pub struct Folder {
    held: OwnedFd,
}

/// A place in it for one file.
pub struct Slot {
    folder: OwnedFd,
    name: String,
    shown: String,
}

/// A file under way, gone again unless it is finished.
pub struct Draft<'a> {
    slot: &'a Slot,
    /// What it is written to.
    pub file: File,
    name: Option<String>,
}

impl Folder {
    /// Opens the folder, and makes it where it is missing. It may be a link: the user named it.
    ///
    /// # Errors
    /// `unavailable`; `conflict` when something else is there.
    pub fn open(path: &Path) -> Result<Self> {
        let shown = path.display().to_string();
        std::fs::create_dir_all(path).map_err(|error| refused("make", &shown, &error))?;
        let held = openat(CWD, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        Ok(Self { held: held.map_err(|error| refused("open", &shown, &error.into()))? })
    }

    /// The place of an artifact, with the folders that lead there.
    ///
    /// # Errors
    /// `conflict` when something else than a folder stands in the way, a link to one included; `unavailable`.
    pub fn slot(&self, name: &ArtifactName) -> Result<Slot> {
        let shown = name.to_string();
        let fault = |error: Errno| refused("make", &shown, &error.into());
        let mut folder = self.held.try_clone().map_err(|error| refused("open", &shown, &error))?;
        let (folders, file) = shown.rsplit_once('/').map_or((None, shown.as_str()), |(a, b)| (Some(a), b));
        for part in folders.iter().flat_map(|folders| folders.split('/')) {
            match mkdirat(&folder, part, Mode::from_raw_mode(FOLDER_MODE)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(fault(error)),
            }
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            folder = openat(&folder, part, flags, Mode::empty()).map_err(fault)?;
        }
        let name = file.to_owned();
        Ok(Slot { folder, name, shown })
    }
}

impl Slot {
    /// The file that is there already.
    ///
    /// # Errors
    /// `conflict` when it is no file, but a folder, a link or a device; `unavailable`.
    pub fn present(&self) -> Result<Option<File>> {
        let found = match statat(&self.folder, &self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => found,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(refused("look at", &self.shown, &error.into())),
        };
        if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile {
            return Err(self.taken());
        }
        // What came in between may be a pipe that nobody writes to.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = openat(&self.folder, &self.name, flags, Mode::empty());
        opened.map(|file| Some(file.into())).map_err(|error| refused("read", &self.shown, &error.into()))
    }

    /// That the name is taken by something else than the artifact.
    pub fn taken(&self) -> Error {
        Error::new(ErrorCode::Conflict, format!("something else already exists there: {}", self.shown))
            .with_hint("move it away, or download to another folder")
    }

    /// A file to write.
    ///
    /// # Errors
    /// `unavailable`.
    pub fn draft(&self) -> Result<Draft<'_>> {
        // Short, since the name itself may be as long as a name may be.
        let name = format!(".sprongus-{}", RunId::new());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = openat(&self.folder, &name, flags, Mode::from_raw_mode(FILE_MODE));
        let file = made.map_err(|error| refused("write", &self.shown, &error.into()))?.into();
        Ok(Draft { slot: self, file, name: Some(name) })
    }

    /// The error when it cannot be written or read.
    pub fn fault(&self, verb: &str, error: &io::Error) -> Error {
        refused(verb, &self.shown, error)
    }
}

impl Draft<'_> {
    /// Gives it its name.
    ///
    /// # Errors
    /// `unavailable`.
    pub fn finish(mut self) -> Result<()> {
        let Some(name) = self.name.take() else { return Ok(()) };
        let folder = &self.slot.folder;
        renameat(folder, &name, folder, &self.slot.name).map_err(|error| {
            self.name = Some(name);
            self.slot.fault("write", &error.into())
        })
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            // Nobody could be told; it is called what it is.
            let _ = unlinkat(&self.slot.folder, name, AtFlags::empty());
        }
    }
}

fn refused(verb: &str, shown: &str, error: &io::Error) -> Error {
    let in_the_way = [Errno::NOTDIR, Errno::LOOP, Errno::EXIST]
        .iter()
        .any(|of| error.raw_os_error() == Some(of.raw_os_error()));
    let error = io::Error::from(error.kind());
    if in_the_way {
        return Error::new(ErrorCode::Conflict, format!("a file or link is in the way of {shown}"))
            .with_hint("move it away, or download to another folder");
    }
    Error::new(ErrorCode::Unavailable, format!("cannot {verb} {shown}: {error}"))
        .with_hint("check the folder's permissions and free disk space")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;
    use std::os::unix::fs::symlink;

    use super::*;

    fn name(text: &str) -> ArtifactName {
        text.parse().unwrap()
    }

    #[test]
    fn a_file_has_its_name_when_it_is_whole() {
        let around = tempfile::tempdir().unwrap();
        let folder = Folder::open(&around.path().join("new/folder")).unwrap();
        let slot = folder.slot(&name("a/b/report.md")).unwrap();
        let within = around.path().join("new/folder/a/b");
        let mut draft = slot.draft().unwrap();
        draft.file.write_all(b"half").unwrap();
        assert_eq!(fs::read_dir(&within).unwrap().count(), 1);
        assert!(slot.present().unwrap().is_none());
        drop(draft);
        assert_eq!(fs::read_dir(&within).unwrap().count(), 0, "nothing of it stays");
        let mut draft = slot.draft().unwrap();
        draft.file.write_all(b"whole").unwrap();
        draft.finish().unwrap();
        assert_eq!(fs::read(within.join("report.md")).unwrap(), b"whole");
        assert_eq!(fs::read_dir(&within).unwrap().count(), 1);
        assert!(slot.present().unwrap().is_some());
    }

    #[test]
    fn nothing_is_reached_through_a_link() {
        let around = tempfile::tempdir().unwrap();
        let (outside, inside) = (around.path().join("outside"), around.path().join("inside"));
        fs::create_dir_all(outside.join("deep")).unwrap();
        fs::create_dir_all(&inside).unwrap();
        fs::write(outside.join("secret"), "secret").unwrap();
        symlink(&outside, inside.join("out")).unwrap();
        symlink(outside.join("secret"), inside.join("file")).unwrap();
        fs::write(inside.join("plain"), "").unwrap();
        let folder = Folder::open(&inside).unwrap();
        for path in ["out/new", "out/deep/new", "plain/new"] {
            let refused = folder.slot(&name(path)).err().unwrap();
            assert_eq!(refused.code(), ErrorCode::Conflict, "{path}: {refused}");
        }
        let linked = folder.slot(&name("file")).unwrap().present().unwrap_err();
        assert_eq!(linked.code(), ErrorCode::Conflict, "a link is not read either: {linked}");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 2);
        assert_eq!(fs::read_dir(outside.join("deep")).unwrap().count(), 0);

        symlink(&inside, around.path().join("named")).unwrap();
        let folder = Folder::open(&around.path().join("named")).unwrap();
        folder.slot(&name("new")).unwrap().draft().unwrap().finish().unwrap();
        assert!(inside.join("new").is_file(), "the folder that the user named may be a link");
    }

    #[test]
    fn a_name_as_long_as_they_may_be_can_be_written() {
        let around = tempfile::tempdir().unwrap();
        let folder = Folder::open(around.path()).unwrap();
        let longest = "n".repeat(255);
        folder.slot(&name(&longest)).unwrap().draft().unwrap().finish().unwrap();
        assert!(around.path().join(longest).is_file());
    }
}
