//! Small disks of our own, which may fill up or lose their power. They need root; a drill that cannot have one says so.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::tempo::eventually;

/// A mounted file system in a temporary folder; unmounted when dropped.
pub struct Disk {
    folder: TempDir,
    source: Vec<String>,
}

impl Disk {
    /// An ext4 of so many bytes in a file. Nothing but an fsync makes it write: its own timer is set to ten minutes.
    pub fn ext4(bytes: u64) -> Result<Self, String> {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("image");
        File::create(&image).unwrap().set_len(bytes).unwrap();
        let image = image.to_string_lossy().into_owned();
        call("mkfs.ext4", &["-q", "-F", &image])?;
        let source = ["-o", "loop,commit=600", "-t", "ext4", &image].map(str::to_owned).into();
        Self::mounted(folder, source)
    }

    /// A file system in memory that holds so many bytes.
    pub fn small(bytes: u64) -> Result<Self, String> {
        let options = format!("size={bytes}");
        let source = ["-o", &options, "-t", "tmpfs", "tmpfs"].map(str::to_owned).into();
        Self::mounted(tempfile::tempdir().unwrap(), source)
    }

    fn mounted(folder: TempDir, source: Vec<String>) -> Result<Self, String> {
        let disk = Self { folder, source };
        // A server has an account of its own.
        fs::set_permissions(disk.folder.path(), Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(disk.path()).unwrap();
        disk.mount()?;
        Ok(disk)
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("disk")
    }

    fn mount(&self) -> Result<(), String> {
        let (source, path) = (self.source.iter().map(String::as_str), self.path());
        call("mount", &source.chain([path.to_str().unwrap()]).collect::<Vec<_>>())
    }

    /// As when a machine is switched off and on: what was not written is gone, and the journal is replayed.
    pub fn remount(&self) {
        let path = self.path();
        // A killed process may take a moment to let go of its files.
        eventually("the disk is unmounted", Duration::from_secs(20), || {
            call("umount", &[path.to_str().unwrap()]).is_ok()
        });
        self.mount().unwrap();
    }

    /// Cuts the power: from now on nothing reaches the disk, what its cache holds included.
    pub fn cut_power(&self) {
        cut_power(&self.path());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = call("umount", &["--lazy", self.path().to_str().unwrap()]);
    }
}

/// Why a disk cannot be had is reason enough to go without, save in CI as root, where nobody would ever notice.
pub fn or_not_run(drill: &str, disk: Result<Disk, String>) -> Option<Disk> {
    let why = match disk {
        Ok(disk) => return Some(disk),
        Err(why) => why,
    };
    let ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(!(ci && rustix::process::geteuid().is_root()), "{drill}: not run: {why}");
    println!("{drill}: NOT RUN, it needs root and a disk of its own: {why}");
    None
}

fn call(program: &str, arguments: &[&str]) -> Result<(), String> {
    let mut command = Command::new(program);
    command.args(arguments).env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin").env("LC_ALL", "C");
    let output = command.output().map_err(|error| format!("{program}: {error}"))?;
    let complaint = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(()) } else { Err(format!("{program}: {complaint}")) }
}

#[expect(unsafe_code, reason = "ext4's own ioctl is the only way to cut the power of a disk")]
fn cut_power(mount_point: &Path) {
    use rustix::ioctl::{Setter, ioctl, opcode};
    /// `EXT4_IOC_SHUTDOWN`, declared as a read although it takes its flags.
    const SHUTDOWN: rustix::ioctl::Opcode = opcode::read::<u32>(b'X', 125);
    /// `EXT4_GOING_FLAGS_NOLOGFLUSH`.
    const NO_LOG_FLUSH: u32 = 2;
    let root = File::open(mount_point).unwrap();
    // SAFETY: the ioctl reads one u32 by the pointer it is given, and this is an ext4 that the drill has made.
    unsafe { ioctl(&root, Setter::<SHUTDOWN, u32>::new(NO_LOG_FLUSH)) }.unwrap();
}
