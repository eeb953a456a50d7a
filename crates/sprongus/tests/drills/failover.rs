//! The primary dies and its synchronous standby is promoted: nothing acknowledged is lost, and whoever has both in his URL goes
//! on by himself.

use std::time::{Duration, Instant};

use sprongus::postgres::Durability;
use sprongus_throwaway::{Server, Settings};

use crate::backing::Place;
use crate::project_folder::ProjectFolder;
use crate::tempo::{chances, eventually, form};
use crate::writer::Writer;

const RECOVERY: Duration = Duration::from_secs(10);

#[test]
fn a_promoted_standby_has_all_that_was_acknowledged() {
    let rounds = form(1, 10);
    let (mut chance, seed) = chances();
    let (mut runs, mut longest) = (0, Duration::ZERO);
    for _ in 0..rounds {
        let (one, taken) = round(chance.usize(50..300));
        (runs, longest) = (runs + one, longest.max(taken));
    }
    println!(
        "failover: seed {seed}: {rounds} times the primary was killed and its synchronous standby promoted: none of {runs} \
         acknowledged runs lost, each executed; all went on by itself at most {longest:.1?} after the promotion"
    );
}

fn round(enough: usize) -> (usize, Duration) {
    let durability = sprongus_throwaway::Durability::Full;
    let primary = Server::start(Settings { durability, ..Settings::default() }).unwrap();
    let standby = Server::standby_of(&primary, &[]).unwrap();
    primary.reload(&[("synchronous_standby_names", "standby")]).unwrap();
    let project = ProjectFolder::with(Place::on(&primary, Durability::PowerCut).or_else(&standby));
    project.kind("note", "tell start\ntell end");
    let worker = project.worker(&["--concurrency", "2"]);
    let mut writer = Writer::start(project.place(), &project.path().join("acks"), None);
    eventually("enough is acknowledged", Duration::from_secs(60), || writer.acked().len() >= enough);

    primary.kill().unwrap();
    let (written, executed) = (writer.acked().len(), project.journal().0.len());
    standby.promote().unwrap();
    let promoted = Instant::now();
    eventually("enqueues are acknowledged again", RECOVERY, || writer.acked().len() > written);
    eventually("runs are executed again", RECOVERY, || project.journal().0.len() > executed + 8);
    let taken = promoted.elapsed();
    writer.kill();

    project.until_all_ended(Duration::from_secs(120));
    worker.stops();
    let (history, acked) = (project.history(), writer.acked());
    let there: Vec<_> = history.ids().collect();
    let lost: Vec<_> = acked.iter().filter(|run| !there.contains(run)).collect();
    assert!(lost.is_empty(), "acknowledged, and gone: {lost:?}");
    history.agrees_with(&project.journal(), &there);
    project.journal().holds_exactly_once(&there);
    (acked.len(), taken)
}
