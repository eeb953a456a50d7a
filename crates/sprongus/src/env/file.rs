//! What can be told of a database's file without opening it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Facts about the file.
#[derive(Clone, Debug)]
pub struct FileFacts {
    /// Whether it is there.
    pub exists: bool,
    /// Files of it that others than its owner may read or write.
    pub open_to_others: Vec<PathBuf>,
    /// Bytes free on its disk.
    pub free: Option<u64>,
}

/// Looks at the file and what lies beside it.
pub fn inspect(path: &Path) -> FileFacts {
    let beside = ["", "-wal", "-shm"].map(|suffix| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    });
    let is_open =
        |path: &PathBuf| fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o077 != 0);
    let nearest = path.ancestors().skip(1).find(|folder| folder.is_dir()).unwrap_or(Path::new("."));
    let disk = rustix::fs::statvfs(nearest).ok();
    FileFacts {
        exists: path.exists(),
        open_to_others: beside.into_iter().filter(is_open).collect(),
        free: disk.map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize)),
    }
}
