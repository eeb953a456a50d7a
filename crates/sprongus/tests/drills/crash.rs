//! kill -9 of the whole Postgres server, again and again, amid enqueueing and executing: nothing acknowledged is lost, nothing is
//! executed twice, and whoever uses it goes on by himself within ten seconds of its return.

use std::time::{Duration, Instant};

use sprongus::postgres::Durability;
use sprongus_throwaway::{Server, Settings};

use crate::backing::Place;
use crate::project_folder::ProjectFolder;
use crate::tempo::{chances, eventually, form};
use crate::worker::WorkerProcess;
use crate::writer::Writer;

/// From the moment the server takes connections again.
const RECOVERY: Duration = Duration::from_secs(10);
const WORKERS: usize = 2;

#[test]
fn a_killed_server_loses_and_doubles_nothing() {
    let kills = form(4, 30);
    let (mut chance, seed) = chances();
    let durability = sprongus_throwaway::Durability::Full;
    let server = Server::start(Settings { durability, ..Settings::default() }).unwrap();
    let project = ProjectFolder::with(Place::on(&server, Durability::PowerCut));
    project.kind("note", "tell start\nsleep 0.05\ntell end");
    let acks = project.path().join("acks");
    let mut crew: Vec<_> = (0..WORKERS).map(|_| project.worker(&["--concurrency", "4"])).collect();
    let mut acked = Vec::new();
    let mut longest = Duration::ZERO;
    for number in 0..kills {
        let mut writer = Writer::start(project.place(), &acks.with_extension(number.to_string()), None);
        let (enough, begun) = (chance.usize(10..60), project.journal().0.len());
        eventually("it is written and executed", RECOVERY, || {
            writer.acked().len() >= enough && project.journal().0.len() > begun
        });
        server.kill().unwrap();
        std::thread::sleep(Duration::from_millis(chance.u64(0..1_500)));
        let (written, executed) = (writer.acked().len(), project.journal().0.len());
        server.start_again().unwrap();
        let back = Instant::now();
        eventually("enqueues are acknowledged again", RECOVERY, || writer.acked().len() > written);
        eventually("runs are executed again", RECOVERY, || project.journal().0.len() > executed + 8);
        longest = longest.max(back.elapsed());
        writer.kill();
        let refusals = writer.refusals();
        assert!(refusals.iter().all(|refusal| refusal.starts_with("unavailable ")), "{refusals:?}");
        acked.extend(writer.acked());
    }
    project.until_all_ended(Duration::from_secs(120));
    for worker in &mut crew {
        assert!(!worker.has_ended(), "a worker gave up: {}", worker.stderr());
    }
    crew.into_iter().for_each(WorkerProcess::stops);

    let (journal, history) = (project.journal(), project.history());
    // A commit whose answer the kill took away may be there too; nobody was told of it, and it was executed like any other.
    let there: Vec<_> = history.ids().collect();
    let lost: Vec<_> = acked.iter().filter(|run| !there.contains(run)).collect();
    assert!(lost.is_empty(), "acknowledged, and gone: {lost:?}");
    history.agrees_with(&journal, &there);
    journal.holds_exactly_once(&there);
    history.is_sound();
    println!(
        "crash: seed {seed}: {kills} kills of the server amid {} runs, {} of them acknowledged: none lost, each executed once; \
         all went on by itself at most {longest:.1?} after its return",
        there.len(),
        acked.len()
    );
}
