//! Folders of attempts whose worker is dead. A worker that lives keeps each of its folders locked; the lock goes with its process,
//! however that ends, and nothing else: a process that it started does not have it.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::remove::{open_folder, remove_all, remove_secrets};
use crate::orphans::kill_strays;

/// Makes a folder below `attempts` by `make` and locks it. Nobody who looks for abandoned ones finds it in between.
pub(super) fn locked<T>(
    attempts: &Path,
    make: impl FnOnce() -> io::Result<T>,
    path: impl FnOnce(&T) -> PathBuf,
) -> io::Result<(T, File)> {
    let door = File::open(attempts)?;
    door.lock_shared()?;
    let made = make()?;
    let lock = File::open(path(&made))?;
    lock.lock()?;
    Ok((made, lock))
}

/// Removes the folders that nobody has locked; answers how many there were. What cannot be removed is left, and is tried again by
/// the next worker that starts.
pub(crate) fn remove_abandoned(attempts: &Path) -> io::Result<usize> {
    let abandoned = abandoned(attempts)?;
    if abandoned.is_empty() {
        return Ok(0);
    }
    // What may hold a secret goes first, whatever becomes of the rest.
    for (path, folder) in &abandoned {
        if let Err(error) = remove_secrets(folder) {
            tracing::warn!(place = %path.display(), %error, "cannot remove the files of a dead worker");
        }
    }
    let folders: Vec<_> = abandoned.iter().map(|(path, _)| path.clone()).collect();
    let ended = kill_strays(&folders);
    if ended > 0 {
        tracing::warn!(place = %attempts.display(), processes = ended, "killed processes left by a dead worker");
    }
    let mut removed = 0;
    for (path, folder) in &abandoned {
        match remove_all(path, folder) {
            Ok(()) => removed += 1,
            Err(error) => {
                tracing::warn!(place = %path.display(), %error, "cannot remove the files of a dead worker")
            }
        }
    }
    Ok(removed)
}

/// Those folders, locked, so that no other worker is at them too. Whoever makes a folder waits for the listing, not for the removal.
fn abandoned(attempts: &Path) -> io::Result<Vec<(PathBuf, File)>> {
    let door = match open_folder(attempts) {
        Ok(door) => door,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    door.lock()?;
    let mut found = Vec::new();
    for entry in fs::read_dir(attempts)? {
        let entry = entry?;
        // A link would lead elsewhere; none of our own making is one.
        if !entry.file_type()?.is_dir() {
            continue;
        }
        let path = entry.path();
        let lock = match open_folder(&path) {
            Ok(lock) => lock,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            // One that cannot be looked into must not keep the others.
            Err(error) => {
                tracing::warn!(place = %path.display(), %error, "cannot remove the files of a dead worker");
                continue;
            }
        };
        match lock.try_lock() {
            Ok(()) => found.push((path, lock)),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(attempts: &Path, name: &str) -> io::Result<(PathBuf, File)> {
        let path = attempts.join(name);
        let make = || fs::create_dir_all(path.join("work")).map(|()| path.clone());
        locked(attempts, make, |made| made.clone())
    }

    /// Removes until so many have gone: a process that another test is starting at this instant has the lock too, until it is what it
    /// is to be.
    fn removes(attempts: &Path, wanted: usize) {
        let began = std::time::Instant::now();
        let mut removed = 0;
        while removed < wanted && began.elapsed() < std::time::Duration::from_secs(5) {
            removed += remove_abandoned(attempts).unwrap();
        }
        assert_eq!(removed, wanted);
    }

    #[test]
    fn only_what_nobody_has_locked_goes() {
        let scratch = tempfile::tempdir().unwrap();
        let attempts = scratch.path();
        let (living, lock) = folder(attempts, "living").unwrap();
        let (dead, dropped) = folder(attempts, "dead").unwrap();
        fs::write(dead.join("work/file"), "x").unwrap();
        drop(dropped);
        fs::write(attempts.join("a file"), "not ours").unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), attempts.join("link")).unwrap();
        removes(attempts, 1);
        assert!(
            living.exists()
                && !dead.exists()
                && elsewhere.path().exists()
                && attempts.join("a file").exists()
        );
        drop(lock);
        removes(attempts, 1);
        assert!(!living.exists());
        assert_eq!(remove_abandoned(&attempts.join("never made")).unwrap(), 0);
    }

    #[test]
    fn what_runs_in_an_abandoned_folder_is_ended() {
        let scratch = tempfile::tempdir().unwrap();
        let (living, lock) = folder(scratch.path(), "living").unwrap();
        let (dead, dropped) = folder(scratch.path(), "dead").unwrap();
        let start = |folder: &Path| {
            // It leaves its group, as a daemon does.
            let mut command = std::process::Command::new("setsid");
            command
                .args(["--wait", "sleep", "60"])
                .env("SPRONGUS_INPUT", folder.join("input.json"))
                .spawn()
                .unwrap()
        };
        let (mut stays, mut goes) = (start(&living), start(&dead));
        drop(dropped);
        removes(scratch.path(), 1);
        assert!(!goes.wait().unwrap().success());
        assert!(stays.try_wait().unwrap().is_none());
        drop(lock);
        assert!(kill_strays(&[living]) > 0);
        stays.wait().unwrap();
    }

    #[test]
    fn a_folder_that_is_being_made_is_not_taken_for_abandoned() {
        let scratch = tempfile::tempdir().unwrap();
        let attempts = scratch.path().to_owned();
        let removing = {
            let attempts = attempts.clone();
            std::thread::spawn(move || (0..200).map(|_| remove_abandoned(&attempts).unwrap()).sum::<usize>())
        };
        let kept: Vec<_> = (0..200).map(|number| folder(&attempts, &number.to_string()).unwrap()).collect();
        assert_eq!(removing.join().unwrap(), 0, "each was locked from its first instant on");
        assert!(kept.iter().all(|(path, _)| path.exists()));
    }
}
