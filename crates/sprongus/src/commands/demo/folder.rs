//! The folder the demo plays in: the storyboard project, laid out anew each time.

use std::borrow::Cow;
use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use sprongus_core::{Error, ErrorCode, Result};

use crate::render::screen::Screen;

/// What the program is called in the project's declaration.
const PROGRAM: &str = "sprongus";

/// The script of the demo.
const SCREENPLAY: &str = "screenplay.fountain";

/// A folder that is the demo's, and this demo's alone while this lives.
pub struct DemoFolder {
    pub folder: PathBuf,
    /// How the user named it.
    pub shown: String,
    /// The executable that runs.
    pub executable: Option<PathBuf>,
    // The lock is let go with the file.
    _lock: File,
}

/// A file that somebody had changed, and what it is called now.
pub struct Kept {
    /// What it was called.
    pub was: &'static str,
    /// What it is called now.
    pub is: String,
}

impl DemoFolder {
    /// Makes the folder, or takes the one of an earlier demo.
    ///
    /// # Errors
    /// `conflict`: it is somebody's own, or another demo plays in it; `unavailable`: it cannot be made.
    pub fn open(named: &Path, from: &Path) -> Result<Self> {
        let folder = from.join(named);
        let shown = named.display().to_string();
        let mark = folder.join(".sprongus/demo.lock");
        let made = fs::create_dir_all(&folder);
        let foreign = made.and_then(|()| Ok(!mark.exists() && !is_empty(&folder)?));
        if foreign.map_err(|error| cannot("make", &folder, &error))? {
            return Err(Error::new(ErrorCode::Conflict, format!("not a demo folder: {shown}"))
                .with_hint("choose another folder with `--in FOLDER`"));
        }
        let lock = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder.join(".sprongus"));
        let lock = lock.and_then(|()| File::create(&mark)).map_err(|error| cannot("make", &mark, &error))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => {
                Error::new(ErrorCode::Conflict, format!("another demo is running in {shown}"))
                    .with_hint("wait for it to end, or choose another folder with `--in FOLDER`")
            }
            TryLockError::Error(error) => cannot("lock", &mark, &error),
        })?;
        // Absolute, because the runs will name files in it long after this process is gone.
        let folder = folder.canonicalize().map_err(|error| cannot("find", &folder, &error))?;
        Ok(Self { folder, shown, executable: std::env::current_exe().ok(), _lock: lock })
    }

    /// Writes the project's files, the screenplay in its original text. What somebody has changed is kept beside it.
    ///
    /// # Errors
    /// `unavailable`.
    pub fn set(&self, screen: &Screen) -> Result<Vec<Kept>> {
        let mut kept = Vec::new();
        for (name, text) in storyboard::PROJECT {
            let path = self.path(name);
            let text = self.text_of(text);
            match fs::read_to_string(&path) {
                Ok(present) if is_ours(&present, &text) => {}
                Ok(_) => {
                    let is = format!("{name}.{}", screen.now().as_millis());
                    fs::rename(&path, self.path(&is)).map_err(|error| cannot("move", &path, &error))?;
                    kept.push(Kept { was: name, is });
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(cannot("read", &path, &error)),
            }
            let folder = path.parent().unwrap_or(&self.folder);
            let written = fs::create_dir_all(folder).and_then(|()| fs::write(&path, text.as_bytes()));
            written.map_err(|error| cannot("write", &path, &error))?;
        }
        Ok(kept)
    }

    /// The text as it has to stand here: a declaration names the running program by its path when that is not called
    /// `sprongus`, so that it works from here on as well.
    fn text_of(&self, text: &'static str) -> Cow<'static, str> {
        let executable = self.executable.as_deref().filter(|path| !path.ends_with(PROGRAM));
        match executable.and_then(Path::to_str).and_then(|path| serde_json::to_string(path).ok()) {
            // A JSON string is a TOML string too.
            Some(path) => Cow::Owned(text.replace(&format!("[\"{PROGRAM}\", "), &format!("[{path}, "))),
            None => Cow::Borrowed(text),
        }
    }

    /// A file of the project.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The same as the user would name it.
    pub fn shown(&self, name: &str) -> String {
        format!("{}/{name}", self.shown.trim_end_matches('/'))
    }

    /// Makes the script look open in an editor.
    ///
    /// # Errors
    /// `unavailable`.
    pub fn open_in_editor(&self) -> Result<EditorLock> {
        let path = storyboard::lock_path(&self.path(SCREENPLAY));
        File::create(&path).map_err(|error| cannot("make", &path, &error))?;
        Ok(EditorLock(path))
    }

    /// Makes the writer's overnight changes.
    ///
    /// # Errors
    /// `unavailable`.
    pub fn revise(&self) -> Result<()> {
        let path = self.path(SCREENPLAY);
        let revised = fs::read_to_string(&path).map(|text| storyboard::revised(&text));
        let written = revised.and_then(|text| fs::write(&path, text));
        written.map_err(|error| cannot("write", &path, &error))
    }

    /// The words that start this very program from any folder: its name where a shell finds it, or else its path.
    pub fn program(&self) -> String {
        let own = self.executable.as_deref().and_then(|path| path.canonicalize().ok());
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found =
            std::env::split_paths(&path).map(|folder| folder.join(PROGRAM)).find(|path| path.is_file());
        let found = found.and_then(|path| path.canonicalize().ok());
        match own {
            Some(own) if found.as_ref() != Some(&own) => own.display().to_string(),
            Some(_) | None => PROGRAM.to_owned(),
        }
    }
}

/// An editor's lock beside the script, until this is dropped.
pub struct EditorLock(PathBuf);

impl Drop for EditorLock {
    fn drop(&mut self) {
        // One that stays is named by the run that fails for it.
        let _ = fs::remove_file(&self.0);
    }
}

/// Our own folder in it is no content: another demo may have just made it.
fn is_empty(folder: &Path) -> io::Result<bool> {
    let mut entries = fs::read_dir(folder)?;
    Ok(entries.all(|entry| entry.is_ok_and(|entry| entry.file_name() == ".sprongus")))
}

/// Whether an earlier demo may have left the file so.
fn is_ours(present: &str, text: &str) -> bool {
    // Another demo's program may have had another name.
    let apart = |line: &&str| !line.starts_with("command = ");
    present == storyboard::revised(text) || present.lines().filter(apart).eq(text.lines().filter(apart))
}

fn cannot(verb: &str, path: &Path, error: &io::Error) -> Error {
    Error::new(ErrorCode::Unavailable, format!("cannot {verb} {}: {error}", path.display()))
        .with_hint("check the folder's permissions, or choose another with `--in FOLDER`")
}
