//! Work directories on their way through a tar, honest ones and others.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use rustix::fs::{CWD, Mode, mkfifoat};
use sprongus_core::run::artifact::ByteStream;
use tar::{EntryType, Header};

use super::pack::{LeftOut, PackFault, pack};
use super::unpack::{UnpackFault, unpack};
use super::*;

/// Pieces as a stream, for the reader of a kept work directory.
struct Pieces(std::vec::IntoIter<io::Result<Bytes>>);

impl Stream for Pieces {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.next())
    }
}

fn stream(tar: &[u8]) -> ByteStream {
    let pieces: Vec<_> = tar.chunks(1_000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    Box::pin(Pieces(pieces.into_iter()))
}

async fn packed(work: &Path, state: &[u8]) -> Result<(Vec<u8>, LeftOut), PackFault> {
    let mut packing = pack(work.to_owned(), state.to_owned());
    let mut tar = Vec::new();
    let mut whole = true;
    while let Some(piece) = std::future::poll_fn(|context| packing.body.as_mut().poll_next(context)).await {
        match piece {
            Ok(piece) => tar.extend_from_slice(&piece),
            Err(_) => whole = false,
        }
    }
    let left_out = packing.task.await.unwrap();
    assert_eq!(whole, left_out.is_ok(), "a stream that is not whole ends with an error");
    left_out.map(|left_out| (tar, left_out))
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

#[tokio::test]
async fn what_is_packed_is_what_is_unpacked() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (from, to) = (from.path(), to.path());
    let write = |name: &str, text: &str, mode: u32| {
        let path = from.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let long = format!("{}/{}", "d".repeat(200), "f".repeat(255));
    write("run.sh", "#!/bin/sh\n", 0o4755);
    write(".hidden", "", 0o600);
    write("locked/read-only", "x", 0o444);
    write(&long, "long", 0o640);
    write("big", &"0123456789".repeat(50_000), 0o644);
    fs::create_dir(from.join("empty")).unwrap();
    fs::set_permissions(from.join("locked"), fs::Permissions::from_mode(0o555)).unwrap();
    let odd = OsStr::from_bytes(b"odd-\xff\n");
    fs::write(from.join(odd), "odd").unwrap();
    symlink("run.sh", from.join("link")).unwrap();
    symlink("../big", from.join("empty/up")).unwrap();
    symlink(&long, from.join("far")).unwrap();
    symlink("nowhere", from.join("dangling")).unwrap();
    fs::hard_link(from.join("big"), from.join("twin")).unwrap();
    let then = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    File::open(from.join("big")).unwrap().set_modified(then).unwrap();

    let (tar, left_out) = packed(from, b"{\"a\":1}").await.unwrap();
    assert_eq!(left_out.lines().collect::<Vec<_>>(), Vec::<String>::new());
    let state = unpack(stream(&tar), to.to_owned()).await.unwrap();
    assert_eq!(state, b"{\"a\":1}");

    // Set-user-id is not kept.
    assert_eq!((mode(&to.join("run.sh")), mode(&to.join("locked"))), (0o755, 0o555));
    assert_eq!((mode(&to.join(".hidden")), mode(&to.join("locked/read-only"))), (0o600, 0o444));
    assert_eq!(mode(&to.join(&long)), 0o640);
    assert_eq!(fs::read_to_string(to.join(&long)).unwrap(), "long");
    assert_eq!(fs::read(to.join("twin")).unwrap(), fs::read(from.join("big")).unwrap());
    assert_eq!(fs::symlink_metadata(to.join("big")).unwrap().modified().unwrap(), then);
    assert_eq!(fs::read_to_string(to.join(odd)).unwrap(), "odd");
    for (link, target) in
        [("link", "run.sh"), ("empty/up", "../big"), ("far", long.as_str()), ("dangling", "nowhere")]
    {
        assert_eq!(fs::read_link(to.join(link)).unwrap(), Path::new(target));
    }
    let count = |folder: &Path| fs::read_dir(folder).unwrap().count();
    assert_eq!(count(to), count(from));
}

#[tokio::test]
async fn holes_and_times_to_the_nanosecond_survive() {
    use std::os::unix::fs::FileExt as _;
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (from, to) = (from.path(), to.path());
    let size = 2_u64 << 30;
    fs::create_dir(from.join("vm")).unwrap();
    let disk = File::create(from.join("vm/disk.img")).unwrap();
    disk.set_len(size).unwrap();
    disk.write_all_at(b"begin", 0).unwrap();
    disk.write_all_at(b"middle", size / 2).unwrap();
    File::create(from.join("vm/hole")).unwrap().set_len(10 << 20).unwrap();
    let at = |nanos| std::time::SystemTime::UNIX_EPOCH + std::time::Duration::new(1_000_000_000, nanos);
    disk.set_modified(at(900_000_001)).unwrap();
    symlink("vm", from.join("link")).unwrap();
    File::open(from.join("vm")).unwrap().set_modified(at(123_456_789)).unwrap();

    let (tar, _) = packed(from, b"{}").await.unwrap();
    assert!(tar.len() < 1 << 20, "only what is written is kept: {}", tar.len());
    unpack(stream(&tar), to.to_owned()).await.unwrap();
    let modified = |path: &Path| fs::symlink_metadata(path).unwrap().modified().unwrap();
    assert_eq!(modified(&to.join("vm/disk.img")), at(900_000_001));
    assert_eq!(modified(&to.join("vm")), at(123_456_789), "though files were made in it");
    assert_eq!(modified(&to.join("link")), modified(&from.join("link")));
    let back = File::open(to.join("vm/disk.img")).unwrap();
    let metadata = back.metadata().unwrap();
    assert_eq!(metadata.len(), size);
    assert!(metadata.blocks() * 512 < 1 << 20, "{} blocks", metadata.blocks());
    let mut read = [0; 6];
    back.read_exact_at(&mut read, size / 2).unwrap();
    assert_eq!(&read, b"middle");
    assert_eq!(fs::metadata(to.join("vm/hole")).unwrap().len(), 10 << 20);
}

#[tokio::test]
async fn what_is_no_file_or_leads_out_is_left_out_and_named() {
    let (from, to, outside) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(outside.path().join("secret"), "hunter2-outside").unwrap();
    let from = from.path();
    mkfifoat(CWD, from.join("fifo"), Mode::RUSR).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(from.join("socket")).unwrap();
    symlink(outside.path(), from.join("folder")).unwrap();
    symlink(outside.path().join("secret"), from.join("file")).unwrap();
    symlink("../x", from.join("up")).unwrap();
    symlink("self/../..", from.join("sly")).unwrap();
    symlink(".", from.join("self")).unwrap();
    let mut deep = from.to_owned();
    for _ in 0..=bounds::DEEPEST {
        deep.push("d");
        fs::create_dir(&deep).unwrap();
    }
    fs::write(from.join("kept"), "kept").unwrap();

    let (tar, left_out) = packed(from, b"{}").await.unwrap();
    let mut lines: Vec<_> = left_out.lines().collect();
    lines.sort();
    let named: Vec<_> = lines.iter().map(|line| line.split(": ").nth(1).unwrap()).collect();
    let deep = format!("work{}", "/d".repeat(bounds::DEEPEST + 1));
    assert_eq!(
        named,
        [deep.as_str(), "work/fifo", "work/file", "work/folder", "work/sly", "work/socket", "work/up"]
    );
    assert!(!tar.windows(7).any(|bytes| bytes == b"hunter2"), "a link was followed");
    unpack(stream(&tar), to.path().to_owned()).await.unwrap();
    assert_eq!(fs::read_to_string(to.path().join("kept")).unwrap(), "kept");
    assert_eq!(fs::read_link(to.path().join("self")).unwrap(), Path::new("."));
    assert!(!to.path().join("fifo").exists());
}

#[tokio::test]
async fn many_that_are_left_out_are_counted() {
    let from = tempfile::tempdir().unwrap();
    for number in 0..25 {
        symlink("/", from.path().join(format!("link{number}"))).unwrap();
    }
    let lines: Vec<_> = packed(from.path(), b"").await.unwrap().1.lines().collect();
    assert_eq!((lines.len(), lines[20].as_str()), (21, "not kept over the gate: 5 more"));
}

#[tokio::test]
async fn more_than_a_gibibyte_is_refused_before_it_is_read() {
    let from = tempfile::tempdir().unwrap();
    // Too large for a file of which only what is written is kept.
    File::create(from.path().join("sparse")).unwrap().set_len((1 << 40) + 1).unwrap();
    let fault = packed(from.path(), b"").await.err().unwrap();
    assert!(matches!(fault, PackFault::TooLarge), "{fault}");
}

#[tokio::test]
async fn packing_ends_when_nobody_reads() {
    let from = tempfile::tempdir().unwrap();
    File::create(from.path().join("sparse")).unwrap().set_len(100 << 20).unwrap();
    let packing = pack(from.path().to_owned(), Vec::new());
    drop(packing.body);
    assert!(matches!(packing.task.await.unwrap(), Err(PackFault::NobodyReads)));
}

/// An entry as somebody may have written it who is not bound to our packer.
fn entry(kind: u8, name: &[u8], target: &[u8], content: &[u8]) -> Vec<u8> {
    sized(kind, name, target, content, content.len() as u64)
}

fn sized(kind: u8, name: &[u8], target: &[u8], content: &[u8], size: u64) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::new(kind));
    header.set_mode(0o644);
    header.set_size(size);
    header.set_mtime(0);
    let fields = header.as_old_mut();
    fields.name[..name.len()].copy_from_slice(name);
    fields.linkname[..target.len()].copy_from_slice(target);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

#[tokio::test]
async fn a_hostile_tar_is_refused_and_writes_nothing_outside() {
    let place = tempfile::tempdir().unwrap();
    let outside = place.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let there = outside.as_os_str().as_bytes();
    let file = |name: &[u8]| entry(b'0', name, b"", b"evil");
    let end = || entry(b'0', b"state.json", b"", b"{}");
    let long = |kind: u8, text: &[u8]| entry(kind, b"././@LongLink", b"", text);
    let through = |target: &[u8]| [entry(b'2', b"work/l", target, b""), file(b"work/l/x"), end()].concat();
    let above = b"/../../outside/x\0";
    for (what, tar) in [
        ("a step upward", [file(b"work/../../outside/x"), end()].concat()),
        ("an absolute path", [file(&[there, b"/x"].concat()), end()].concat()),
        ("beside work", [file(b"input.json"), end()].concat()),
        ("upward with holes", [file(b"sparse/../../outside/x"), end()].concat()),
        ("holes without a map", [file(b"sparse/x"), end()].concat()),
        ("a folder with holes", [entry(b'5', b"sparse/x", b"", b""), end()].concat()),
        ("a link with holes", [entry(b'2', b"sparse/x", b"y", b""), end()].concat()),
        ("work itself", [file(b"work"), end()].concat()),
        ("a dot", [file(b"work/./x"), end()].concat()),
        ("an empty part", [file(b"work//x"), end()].concat()),
        (
            "a long name upward",
            [long(b'L', &[b"work".as_slice(), above].concat()), file(b"y"), end()].concat(),
        ),
        ("a long name without end", [long(b'L', b"work/x"), file(b"y"), end()].concat()),
        (
            "a very long name",
            [long(b'L', &[b"work/".as_slice(), &[b'x'; 5_000], b"\0"].concat()), file(b"y")].concat(),
        ),
        ("a huge name", sized(b'L', b"x", b"", b"", 1 << 40)),
        ("an absolute link", [entry(b'2', b"work/l", there, b""), end()].concat()),
        ("a link upward", [entry(b'2', b"work/l", b"../outside", b""), end()].concat()),
        (
            "a long link upward",
            [long(b'K', b"../outside\0"), entry(b'2', b"work/l", b"x", b""), end()].concat(),
        ),
        ("through an absolute link", through(there)),
        ("through a link that stays inside", through(b".")),
        ("over a link", [entry(b'2', b"work/l", b"x", b""), file(b"work/l"), end()].concat()),
        (
            "a folder over a link",
            [entry(b'2', b"work/l", b".", b""), entry(b'5', b"work/l", b"", b""), end()].concat(),
        ),
        ("a file twice", [file(b"work/x"), file(b"work/x"), end()].concat()),
        ("below a file", [file(b"work/x"), file(b"work/x/y"), end()].concat()),
        ("a hard link", [entry(b'1', b"work/l", b"/etc/passwd", b""), end()].concat()),
        ("a device", [entry(b'3', b"work/null", b"", b""), end()].concat()),
        ("a block device", [entry(b'4', b"work/sda", b"", b""), end()].concat()),
        ("a FIFO", [entry(b'6', b"work/fifo", b"", b""), end()].concat()),
        ("a sparse file", [entry(b'S', b"work/x", b"", b""), end()].concat()),
        (
            "an extended header",
            [entry(b'x', b"x", b"", b"20 path=/etc/passwd\n"), file(b"work/x"), end()].concat(),
        ),
        ("a huge file", [sized(b'0', b"work/x", b"", b"evil", 1 << 40), end()].concat()),
        ("a size beyond all", sized(b'0', b"work/x", b"", b"", u64::MAX)),
        ("a huge state", sized(b'0', b"state.json", b"", b"{}", 100 << 20)),
        ("a file cut short", file(b"work/x")[..514].to_vec()),
        ("no state", file(b"work/x")),
        ("nothing", Vec::new()),
        ("no tar", b"x".repeat(2_000)),
        (
            "far too deep",
            [long(b'L', &[b"work".as_slice(), &b"/d".repeat(150), b"\0"].concat()), file(b"y"), end()]
                .concat(),
        ),
    ] {
        let root = place.path().join("root");
        let work = root.join("work");
        fs::create_dir_all(&work).unwrap();
        let fault = unpack(stream(&tar), work).await.err();
        assert!(matches!(fault, Some(UnpackFault::Foreign(_))), "{what}: {fault:?}");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "{what}");
        assert_eq!(fs::read_dir(&root).unwrap().count(), 1, "{what}");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 2, "{what}");
        fs::remove_dir_all(&root).unwrap();
    }
}

#[tokio::test]
async fn a_broken_stream_is_no_hostile_one() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(from.path().join("a"), "x".repeat(10_000)).unwrap();
    let (tar, _) = packed(from.path(), b"{}").await.unwrap();
    let pieces = vec![Ok(Bytes::copy_from_slice(&tar[..5_000])), Err(io::Error::other("cut"))];
    let fault = unpack(Box::pin(Pieces(pieces.into_iter())), to.path().to_owned()).await.err().unwrap();
    assert!(matches!(fault, UnpackFault::Interrupted(_)), "{fault}");
}
