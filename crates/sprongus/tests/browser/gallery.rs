//! A site with a run in every state that a screen has to show; shared by tests that only look.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use serde_json::json;
use sprongus::Runs as _;
use sprongus::core::json::Json;
use sprongus::core::run::state::State;
use sprongus::core::run::{Answer, Due, NewRun};
use sprongus::core::values::ids::RunId;

use crate::site::{Site, block_on, input};

pub struct Gallery {
    pub site: Site,
    pub succeeded: RunId,
    pub failed: RunId,
    pub running: RunId,
    /// No worker takes its kind.
    pub queued: RunId,
    pub delayed: RunId,
    pub canceled: RunId,
    /// At a gate.
    pub waiting: RunId,
    /// Through a gate, with tokens and an artifact.
    pub approved: RunId,
}

impl Gallery {
    /// The one that the tests of this process share for as long as one of them looks.
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Gallery>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let opened = Arc::new(Self::open());
            *shared = Arc::downgrade(&opened);
            opened
        })
    }

    fn open() -> Self {
        let site = Site::open();
        // More than a page of them.
        site.enqueue_many("script.pull", 52);
        let of_film = |kind: &str, value: serde_json::Value| NewRun {
            project_id: Some("spring-film".to_owned()),
            ..NewRun::new(kind, input(&value))
        };
        let review = || NewRun {
            agent_task_id: Some("storyboard-14".to_owned()),
            tags: BTreeMap::from([("team".to_owned(), "story".to_owned())]),
            ..of_film("agent.review", json!({"storyboard": 14, "cut": {"from": "00:03:10", "strict": true}}))
        };
        let approved = site.enqueue(review());
        let failed = site.enqueue(of_film("sync.props", json!({"since": "2026-11-25", "changes": 14})));
        let succeeded = site.enqueue(NewRun {
            idempotency_key: Some("pull-spring-film-2026-11-26".to_owned()),
            priority: Some(20),
            ..of_film("script.pull", json!({"path": "scripts/spring.fdx", "scene": 14}))
        });
        let gated = site.until(approved, |run| run.waiting_for.is_some());
        let gate = gated.waiting_for.map(|gate| gate.step_id);
        let comment = Some("good to go".to_owned());
        block_on(site.runs.answer(approved, gate, Answer::Approved, comment)).unwrap();
        site.until(approved, |run| run.state == State::Succeeded);
        site.until(failed, |run| run.state == State::Failed);
        site.until(succeeded, |run| run.state == State::Succeeded);
        let canceled = site.enqueue(NewRun {
            due: Due::After(Duration::from_secs(3_600)),
            ..of_film("script.pull", json!({"scene": 3}))
        });
        block_on(site.runs.cancel(canceled)).unwrap();
        let delayed = site.enqueue(NewRun {
            due: Due::After(Duration::from_secs(8 * 3_600)),
            ..NewRun::new("report.nightly", Json::empty_object())
        });
        block_on(site.runs.pause_kind(&"report.nightly".parse().unwrap(), true)).unwrap();
        let queued = site.enqueue(NewRun::new("mail.digest", input(&json!({"to": "the crew"}))));
        let waiting = site.enqueue(review());
        let running = site.enqueue(of_film("render.preview", json!({"frames": 4000})));
        site.until(waiting, |run| run.waiting_for.is_some());
        site.until(running, |run| run.progress > 12);
        Self { site, succeeded, failed, running, queued, delayed, canceled, waiting, approved }
    }
}
