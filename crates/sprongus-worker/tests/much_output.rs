//! A process that prints without end costs disk, and no memory. Alone in its process, whose memory is looked at.
#![expect(clippy::unwrap_used, reason = "a test panics when a promise is broken")]

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::StreamExt as _;
use sprongus_conformance::Model;
use sprongus_core::error::{Error, ErrorCode, Result};
use sprongus_core::json::Json;
use sprongus_core::run::NewRun;
use sprongus_core::run::artifact::{Blobs, ByteStream, MAX_ARTIFACT_BYTES};
use sprongus_core::run::state::State;
use sprongus_core::runs::{Caller, RunsExt as _};
use sprongus_core::service::RunsService;
use sprongus_core::values::names::WorkspaceId;
use sprongus_core::values::time::SystemClock;
use sprongus_worker::{Declaration, Shutdown, Worker, WorkerOptions};

const PRINTED: u64 = 200 << 20;

/// A place that counts, and forgets.
#[derive(Default)]
struct Counted(AtomicU64);

#[async_trait]
impl Blobs for Counted {
    async fn put(&self, _: &str, mut body: ByteStream) -> Result<()> {
        while let Some(bytes) = body.next().await {
            let bytes = bytes.map_err(|_| Error::new(ErrorCode::Unavailable, "cut"))?;
            self.0.fetch_add(bytes.len() as u64, Ordering::SeqCst);
        }
        Ok(())
    }

    async fn get(&self, _: &str, _: Range<u64>) -> Result<ByteStream> {
        Err(Error::new(ErrorCode::NotFound, "forgotten"))
    }

    async fn delete(&self, _: &str) -> Result<()> {
        Ok(())
    }

    fn place(&self) -> String {
        "nowhere".to_owned()
    }
}

fn most_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn much_output_is_kept_in_little_memory() {
    let (folder, blobs) = (tempfile::tempdir().unwrap(), Arc::new(Counted::default()));
    let service = RunsService::new(Arc::new(Model::new(Arc::new(SystemClock))));
    let service = service.with_blobs(Arc::clone(&blobs) as Arc<dyn Blobs>, MAX_ARTIFACT_BYTES);
    let runs = service.for_caller(Caller::new(WorkspaceId::local(), "test"));
    let toml = format!(
        "[kinds.k]\ncommand = [\"sh\", \"-c\", \"yes 'a line of the kind that programs print, without anything odd in it' | \
         head -c {PRINTED}\"]\n"
    );
    let declaration = Declaration::parse(&toml, &folder.path().join("sprongus.toml")).unwrap();
    let options = WorkerOptions { scratch: folder.path().join("scratch"), ..WorkerOptions::default() };
    let shutdown = Shutdown::new();
    let worker = Worker::new(Arc::clone(&runs), options).declared(declaration);
    let worker = tokio::spawn(worker.run(shutdown.clone()));
    let started = Instant::now();
    let id = runs.enqueue_one(NewRun::new("k", Json::default())).await.unwrap().run.id;
    while runs.get(id).await.unwrap().state != State::Succeeded {
        assert!(started.elapsed() < Duration::from_secs(300), "too slow");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let peak = most_memory();
    println!("{PRINTED} bytes in {:?}, at most {} MiB", started.elapsed(), peak >> 20);
    let kept = blobs.0.load(Ordering::SeqCst);
    assert!((PRINTED - (11 << 20)..PRINTED).contains(&kept), "{kept} bytes are kept beside the log");
    // With the model's copy of the log, and without optimisation.
    assert!(peak < 100 << 20, "{} MiB", peak >> 20);
    shutdown.drain();
    worker.await.unwrap().unwrap();
}
