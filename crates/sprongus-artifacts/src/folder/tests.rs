use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use sprongus_core::ErrorCode;
use sprongus_core::values::ids::RunId;
use tempfile::TempDir;

use super::*;
use crate::upload;

/// A folder that is not made yet, in one that is.
struct Scene {
    around: TempDir,
    folder: Folder,
}

impl Scene {
    fn new() -> Self {
        let around = tempfile::tempdir().unwrap();
        let folder = Folder::new(&around.path().join("deep/artifacts"));
        Self { around, folder }
    }

    fn file(&self, key: &str) -> PathBuf {
        self.folder.root.join(key)
    }

    /// Every file below the folder.
    fn files(&self) -> Vec<PathBuf> {
        fn collect(folder: &Path, into: &mut Vec<PathBuf>) {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() { collect(&path, into) } else { into.push(path) }
            }
        }
        let mut files = Vec::new();
        collect(self.around.path(), &mut files);
        files
    }
}

fn key() -> String {
    format!("default/{}/{}", RunId::new(), RunId::new())
}

fn body(pieces: Vec<io::Result<Bytes>>) -> ByteStream {
    Box::pin(stream::iter(pieces))
}

fn of(text: &'static str) -> ByteStream {
    body(vec![Ok(Bytes::from(text))])
}

async fn read_all(mut body: ByteStream) -> Vec<u8> {
    let mut read = Vec::new();
    while let Some(piece) = body.next().await {
        read.extend_from_slice(&piece.unwrap());
    }
    read
}

/// Waits for what is done behind a call that nobody waits for.
async fn soon(mut is_so: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + Duration::from_secs(10);
    while Instant::now() < until {
        if is_so() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    false
}

#[tokio::test]
async fn what_is_put_is_read_whole_and_in_parts() {
    let scene = Scene::new();
    let (kept, empty) = (key(), key());
    let pieces = vec![Ok(Bytes::from("hello ")), Ok(Bytes::new()), Ok(Bytes::from("world"))];
    scene.folder.put(&kept, body(pieces)).await.unwrap();
    scene.folder.put(&empty, body(Vec::new())).await.unwrap();
    for (range, text) in [(0..11, "hello world"), (6..11, "world"), (4..7, "o w"), (10..11, "d")] {
        assert_eq!(read_all(scene.folder.get(&kept, range).await.unwrap()).await, text.as_bytes());
    }
    assert_eq!(fs::read(scene.file(&empty)).unwrap(), b"");
    let error = scene.folder.get(&kept, 0..12).await.err().unwrap();
    assert_eq!(error.code(), ErrorCode::Unavailable, "a file that lost its end is not handed out");
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let scene = Scene::new();
    let code = |result: Result<ByteStream>| result.err().unwrap().code();
    assert_eq!(code(scene.folder.get(&key(), 0..1).await), ErrorCode::NotFound, "without a folder");
    let (here, other) = (key(), key());
    scene.folder.put(&here, of("a")).await.unwrap();
    assert_eq!(code(scene.folder.get(&other, 0..1).await), ErrorCode::NotFound);
    let outside = scene.folder.get("default/../../etc", 0..1).await;
    assert_eq!(code(outside), ErrorCode::Internal, "no key of ours");
}

/// Bytes that are made when they are asked for, and that look, each time, how many of them lie in the folder.
struct Watched {
    left: u64,
    given: u64,
    root: PathBuf,
    most_in_memory: Arc<AtomicU64>,
}

const CHUNK: u64 = 1 << 20;

impl futures_core::Stream for Watched {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut folder = self.root.clone();
        while let Some(entry) = fs::read_dir(&folder).ok().and_then(|mut entries| entries.next()) {
            folder = entry.unwrap().path();
        }
        let written = fs::metadata(&folder).map(|file| if file.is_file() { file.len() } else { 0 });
        self.most_in_memory.fetch_max(self.given - written.unwrap(), Ordering::Relaxed);
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= 1;
        self.given += CHUNK;
        Poll::Ready(Some(Ok(Bytes::from(vec![u8::try_from(self.left % 251).unwrap(); 1 << 20]))))
    }
}

#[tokio::test]
async fn a_large_artifact_is_never_whole_in_memory() {
    let scene = Scene::new();
    let key = key();
    let most = Arc::new(AtomicU64::new(0));
    fs::create_dir_all(&scene.folder.root).unwrap();
    let root = scene.folder.root.clone();
    let watched = Watched { left: 50, given: 0, root, most_in_memory: Arc::clone(&most) };
    scene.folder.put(&key, Box::pin(watched)).await.unwrap();
    assert!(most.load(Ordering::Relaxed) <= upload::PART as u64, "{most:?} bytes at once");
    let mut body = scene.folder.get(&key, 0..50 * CHUNK).await.unwrap();
    let mut at = 0;
    while let Some(piece) = body.next().await {
        let piece = piece.unwrap();
        assert!(piece.len() as u64 <= PIECE);
        for byte in &piece {
            assert_eq!(u64::from(*byte), (49 - at / CHUNK) % 251, "at {at}");
            at += 1;
        }
    }
    assert_eq!(at, 50 * CHUNK);
}

#[tokio::test]
async fn zeros_take_no_room() {
    let scene = Scene::new();
    let key = key();
    let zeros = Bytes::from(vec![0; 1 << 20]);
    let pieces = [vec![zeros.clone(); 20], vec![Bytes::from("in the middle")], vec![zeros; 12]].concat();
    let whole = pieces.concat();
    scene.folder.put(&key, body(pieces.into_iter().map(Ok).collect())).await.unwrap();
    let metadata = fs::metadata(scene.file(&key)).unwrap();
    assert_eq!(metadata.len(), whole.len() as u64);
    assert!(metadata.blocks() * 512 <= 256 << 10, "{} blocks", metadata.blocks());
    assert!(read_all(scene.folder.get(&key, 0..metadata.len()).await.unwrap()).await == whole);
}

#[tokio::test]
async fn what_another_process_left_is_in_nobodys_way() {
    let scene = Scene::new();
    let key = key();
    scene.folder.put(&key, of("one")).await.unwrap();
    for number in 0..100 {
        fs::write(scene.file(&format!("{key}#{number}")), "half").unwrap();
    }
    scene.folder.put(&key, of("two")).await.unwrap();
    assert_eq!(fs::read(scene.file(&key)).unwrap(), b"two");
    scene.folder.delete(&key).await.unwrap();
    assert_eq!(scene.files(), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_body_that_breaks_off_leaves_nothing() {
    let scene = Scene::new();
    for before in [1, upload::PART + 1] {
        let broken = io::Error::from(ErrorKind::ConnectionReset);
        let key = key();
        let error = scene.folder.put(&key, body(vec![Ok(vec![0; before].into()), Err(broken)])).await;
        assert_eq!(error.unwrap_err().message(), "an artifact was cut off: connection reset");
        assert_eq!(scene.files(), Vec::<PathBuf>::new(), "after {before} bytes");
        scene.folder.delete(&key).await.unwrap();
    }
    assert_eq!(fs::read_dir(&scene.folder.root).unwrap().count(), 0, "nor a folder, once it is swept");
}

#[tokio::test]
async fn a_call_that_is_dropped_leaves_nothing() {
    let scene = Scene::new();
    let first = Bytes::from(vec![0; upload::PART + 1]);
    let body: ByteStream = Box::pin(stream::iter([Ok(first)]).chain(stream::pending()));
    let key = key();
    let mut put = scene.folder.put(&key, body);
    // Until the first part lies there.
    while scene.files().iter().all(|file| fs::metadata(file).unwrap().len() < upload::PART as u64) {
        let stuck = tokio::time::timeout(Duration::from_millis(20), &mut put).await;
        assert!(stuck.is_err(), "it ended: {stuck:?}");
    }
    drop(put);
    assert!(soon(|| scene.files().is_empty()).await, "{:?}", scene.files());
}

#[tokio::test]
async fn deleting_takes_everything_and_may_be_repeated() {
    let scene = Scene::new();
    let run = RunId::new();
    let [one, two] = [RunId::new(), RunId::new()].map(|file| format!("default/{run}/{file}"));
    scene.folder.delete(&one).await.unwrap();
    scene.folder.put(&one, of("1")).await.unwrap();
    scene.folder.put(&two, of("2")).await.unwrap();
    // What a process that was killed while it uploaded left.
    fs::write(scene.file(&format!("{one}#1")), "half").unwrap();
    scene.folder.delete(&one).await.unwrap();
    assert_eq!(scene.files(), [scene.file(&two)], "its neighbour stays");
    scene.folder.delete(&one).await.unwrap();
    scene.folder.delete(&two).await.unwrap();
    assert!(scene.folder.root.is_dir());
    assert_eq!(
        fs::read_dir(&scene.folder.root).unwrap().count(),
        0,
        "folders of runs go with their last file"
    );
}

#[tokio::test]
async fn nobody_else_may_read_it() {
    let scene = Scene::new();
    let key = key();
    scene.folder.put(&key, of("a")).await.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let file = scene.file(&key);
    assert_eq!(mode(&file), 0o600);
    for folder in file.ancestors().skip(1).take_while(|folder| *folder != scene.around.path()) {
        assert_eq!(mode(folder), 0o700, "{}", folder.display());
    }
}

#[tokio::test]
async fn the_folder_may_be_a_link_to_another_disk() {
    let scene = Scene::new();
    let elsewhere = scene.around.path().join("disk 2#1");
    fs::create_dir_all(&elsewhere).unwrap();
    fs::create_dir_all(scene.folder.root.parent().unwrap()).unwrap();
    symlink(&elsewhere, &scene.folder.root).unwrap();
    let key = key();
    scene.folder.put(&key, of("there")).await.unwrap();
    assert_eq!(fs::read(elsewhere.join(&key)).unwrap(), b"there");
    assert_eq!(read_all(scene.folder.get(&key, 0..5).await.unwrap()).await, b"there");
    scene.folder.delete(&key).await.unwrap();
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    assert!(scene.folder.root.is_symlink(), "the link itself stays");
}

#[tokio::test]
async fn a_folder_that_cannot_be_one_is_unavailable() {
    let scene = Scene::new();
    scene.folder.check().unwrap();
    fs::write(scene.around.path().join("deep"), "a file").unwrap();
    let error = scene.folder.put(&key(), of("a")).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::Unavailable);
    assert!(!error.message().contains("deep"), "a caller far away is shown no path: {error}");
    assert_eq!(scene.folder.check().unwrap_err().code(), ErrorCode::Unavailable);
}
