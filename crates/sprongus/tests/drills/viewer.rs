//! A browser is left open under load: the overview, the list of runs and a run whose log is followed. Neither its memory nor its pages
//! grow, and the pages are up to date to the end.

use std::time::{Duration, Instant};

use serde_json::json;
use sprongus::Runs as _;
use sprongus::core::json::Json;
use sprongus::core::run::NewRun;
use sprongus::core::store::Batch;

use crate::backing::Backing;
use crate::project_folder::ProjectFolder;
use crate::serve_process::{ServeProcess, free_port, token};
use crate::tab::Tab;
use crate::tempo::{block_on, form};

/// What a page may have more of at the end than at the beginning, once its lists are full: bars of the charts come with each minute of
/// the first hour. A fragment a second that is not let go of is far beyond.
const GROWTH: (Held, Held) = (
    Held { heap: 400_000, nodes: 500, listeners: 10 },
    Held { heap: 3_000_000, nodes: 4_000, listeners: 10 },
);

/// What a page's process holds after it was told to clean up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Held {
    /// Bytes of scripts' memory.
    heap: u64,
    /// Nodes of documents, those included that are in none any more.
    nodes: u64,
    listeners: u64,
}

impl Held {
    fn of(tab: &Tab) -> Self {
        tab.call("HeapProfiler.collectGarbage", json!({}));
        let metrics = tab.call("Performance.getMetrics", json!({}));
        let metric = |name: &str| {
            let found = metrics["metrics"].as_array().unwrap().iter().find(|it| it["name"] == name);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a count, sent as a float"
            )]
            let count = found.unwrap()["value"].as_f64().unwrap() as u64;
            count
        };
        Self { heap: metric("JSHeapUsedSize"), nodes: metric("Nodes"), listeners: metric("JSEventListeners") }
    }

    /// Each at its median.
    fn median(samples: &[Self]) -> Self {
        let middle = |what: fn(&Self) -> u64| {
            let mut sorted: Vec<u64> = samples.iter().map(what).collect();
            sorted.sort_unstable();
            sorted[sorted.len() / 2]
        };
        Self {
            heap: middle(|it| it.heap),
            nodes: middle(|it| it.nodes),
            listeners: middle(|it| it.listeners),
        }
    }

    fn has_grown_since(self, before: Self) -> bool {
        let most = form(GROWTH.0, GROWTH.1);
        self.heap > before.heap + most.heap
            || self.nodes > before.nodes + most.nodes
            || self.listeners > before.listeners + most.listeners
    }
}

#[test]
fn a_browser_that_is_left_open_does_not_grow() {
    let (time, pause) = form(
        (Duration::from_secs(18), Duration::from_millis(500)),
        (Duration::from_secs(3_600), Duration::from_secs(10)),
    );
    let project = ProjectFolder::new(Backing::File);
    project.declare(
        "[kinds.good]\ncommand = [\"echo\", \"done\"]\n[kinds.bad]\ncommand = [\"sh\", \"-c\", \"echo no >&2; exit 1\"]\nmax_attempts = 1\n\
         [kinds.talk]\ncommand = [\"sh\", \"-c\", \"until [ -e $SPRONGUS_PROJECT_DIR/go ]; do sleep 0.1; done; seq 2500; while sleep 0.1; do echo $(date +%s.%N) has been said; done\"]\n",
    );
    let token = token(&project);
    let served = ServeProcess::start(&project, free_port(), &token);
    let worker = project.worker(&["--concurrency", "4", "--grace", "1s"]);
    let load = || {
        let kinds = ["good", "good", "bad"];
        let runs = kinds.map(|kind| NewRun::new(kind, Json::empty_object())).into();
        block_on(served.client().enqueue(runs, Batch::AllOrNothing)).unwrap();
    };
    // Every list that a page shows is full before it is measured.
    (0..20).for_each(|_| load());
    let talk = project.enqueue("talk", 1, |run| run)[0];
    let home = format!("http://{}", served.address);
    let tabs = ["/".to_owned(), "/runs".to_owned(), format!("/runs/{talk}")].map(|path| {
        let tab = Tab::open();
        tab.goto(&format!("{home}/login"));
        tab.fill("#token", token.expose());
        tab.leaving(|| tab.key("Enter"));
        tab.goto(&format!("{home}{path}"));
        tab.until("document.getElementById('liveness').textContent === 'Live'");
        tab.eval("globalThis.isKept = true");
        tab.call("Performance.enable", json!({}));
        (path, tab)
    });
    let [(_, overview), (_, list), (_, run)] = &tabs;
    std::fs::write(project.path().join("go"), "").unwrap();
    run.until("document.getElementById('log').childElementCount === 2000");
    list.until("document.querySelectorAll('tbody tr').length === 50");
    overview.until("document.querySelectorAll('section[aria-labelledby=h-failed] tbody tr').length >= 5");

    let mut samples = [(); 3].map(|()| Vec::new());
    let (began, mut measured) = (Instant::now(), None::<Instant>);
    while began.elapsed() < time {
        load();
        if measured.is_none_or(|at| at.elapsed() >= pause) {
            measured = Some(Instant::now());
            for (samples, (_, tab)) in samples.iter_mut().zip(&tabs) {
                samples.push(Held::of(tab));
            }
        }
        std::thread::sleep(Duration::from_millis(400));
    }
    for (samples, (path, tab)) in samples.iter().zip(&tabs) {
        let third = samples.len() / 3;
        assert!(third >= 3, "{path}: only {} samples", samples.len());
        let (first, last) =
            (Held::median(&samples[..third]), Held::median(&samples[samples.len() - third..]));
        println!("viewer: {path} for {time:?}, {} samples: {first:?}, then {last:?}", samples.len());
        assert!(!last.has_grown_since(first), "{path} grew: {first:?}, then {last:?}");
        assert_eq!(tab.eval("globalThis.isKept"), true, "{path} was loaded again");
        assert_eq!(tab.complaints(&home), [""; 0], "{path}");
    }
    is_up_to_date(&served, list, run);
    a_leak_would_be_seen(list);
    drop(tabs);
    worker.stops();
}

/// What is shown is what is so now.
fn is_up_to_date(served: &ServeProcess, list: &Tab, run: &Tab) {
    let newest = NewRun::new("good", Json::empty_object());
    let newest = block_on(sprongus::RunsExt::enqueue_one(&served.client(), newest)).unwrap().run.id;
    list.until(&format!("document.querySelector('tbody tr a.id').textContent === '{newest}'"));
    let last = "document.querySelector('#log li:last-child .text').textContent";
    let seen = run.eval(last);
    run.until(&format!("{last} !== {seen}"));
    assert_eq!(run.eval("document.getElementById('log').childElementCount"), 2_000);
    // Text between lines that are gone is seen by no one and grows all the same.
    assert_eq!(run.eval("document.getElementById('log').childNodes.length <= 6000"), true);
}

/// A page that keeps what it should let go of grows, to the same eyes.
fn a_leak_would_be_seen(tab: &Tab) {
    let before = Held::of(tab);
    tab.eval(
        "globalThis.kept = []; new MutationObserver(() => kept.push(document.getElementById('main').cloneNode(true))) \
         .observe(document.getElementById('main'), {childList: true, subtree: true}); null",
    );
    for _ in 0..3 {
        // What a fragment that is swapped in does.
        tab.eval("document.querySelector('tbody').replaceChildren(...document.querySelector('tbody').cloneNode(true).children)");
    }
    tab.until("kept.length >= 3");
    let after = Held::of(tab);
    assert!(after.has_grown_since(before), "a leak is not seen: {before:?}, then {after:?}");
}
