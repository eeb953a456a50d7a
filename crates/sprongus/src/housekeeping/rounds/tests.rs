use std::sync::{Arc, Mutex};

use super::*;

type Done = (Chore, String, Duration);

/// Chores that take as long, and have as much to do, as a test says.
#[derive(Clone)]
struct Scripted {
    workspaces: Vec<&'static str>,
    answer: fn(Chore, &str) -> (Duration, Result<bool>),
    began: Instant,
    done: Arc<Mutex<Vec<Done>>>,
    logged: Arc<Mutex<Vec<String>>>,
    rounds: Arc<Mutex<Vec<(Chore, bool)>>>,
}

impl Batches for Scripted {
    async fn workspaces(&self) -> Result<Vec<WorkspaceId>> {
        Ok(self.workspaces.iter().map(|name| name.parse().unwrap()).collect())
    }

    async fn batch(&self, chore: Chore, workspace: &WorkspaceId) -> Result<bool> {
        self.done.lock().unwrap().push((chore, workspace.to_string(), self.began.elapsed()));
        let (took, answer) = (self.answer)(chore, workspace.as_str());
        tokio::time::sleep(took).await;
        answer
    }

    fn round_over(&self, chore: Chore, well: bool) {
        self.rounds.lock().unwrap().push((chore, well));
    }
}

impl Scripted {
    fn new(workspaces: &[&'static str], answer: fn(Chore, &str) -> (Duration, Result<bool>)) -> Self {
        let workspaces = workspaces.to_vec();
        let (done, logged, rounds) = (Arc::default(), Arc::default(), Arc::default());
        Self { workspaces, answer, began: Instant::now(), done, logged, rounds }
    }

    /// Keeps house for so long; what was done, and when each began.
    async fn keep(&self, how_long: Duration) -> Vec<Done> {
        let logged = Arc::clone(&self.logged);
        let log = move |_: Chore, error: &Error| logged.lock().unwrap().push(error.message().to_owned());
        assert!(tokio::time::timeout(how_long, forever(self.clone(), log)).await.is_err(), "it never ends");
        self.done.lock().unwrap().clone()
    }
}

fn times(done: &[Done], wanted: Chore, workspace: &str) -> Vec<Duration> {
    let own = done.iter().filter(|(chore, of, _)| *chore == wanted && of == workspace);
    own.map(|(.., at)| *at).collect()
}

fn gaps(times: &[Duration]) -> Vec<Duration> {
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test(start_paused = true)]
async fn each_chore_comes_round_at_its_pace_in_every_workspace() {
    let done = Scripted::new(&["a", "b"], |_, _| (Duration::ZERO, Ok(false))).keep(HOUR).await;
    for workspace in ["a", "b"] {
        for (chore, at_least, at_most) in
            [(Chore::Timers, 2_900, 4_600), (Chore::Minutes, 590, 910), (Chore::Retention, 5, 8)]
        {
            let times = times(&done, chore, workspace);
            assert!((at_least..=at_most).contains(&times.len()), "{chore:?}: {}", times.len());
            assert!(times[0] <= FIRST + Duration::from_secs(1), "{chore:?} begins early: {times:?}");
            let gaps = gaps(&times);
            let around = |factor| chore.pause().mul_f64(factor);
            assert!(gaps.iter().all(|gap| *gap >= around(0.79) && *gap <= around(1.25)), "{gaps:?}");
            assert!(gaps.iter().any(|gap| gap.abs_diff(gaps[0]) > around(0.01)), "they are jittered");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn it_takes_a_fifth_of_the_time_at_most() {
    let took = Duration::from_millis(200);
    let done = Scripted::new(&["a"], |_, _| (Duration::from_millis(200), Ok(true))).keep(HOUR).await;
    let busy = took * u32::try_from(done.len()).unwrap();
    assert!(busy <= HOUR / 5 && busy > HOUR / 6, "{busy:?}");
}

#[tokio::test(start_paused = true)]
async fn a_rest_has_an_end() {
    let done = Scripted::new(&["a"], |chore, _| match chore {
        Chore::Timers => (Duration::from_secs(60), Ok(false)),
        Chore::Minutes | Chore::Retention => (Duration::ZERO, Ok(false)),
    });
    let gaps = gaps(&times(&done.keep(HOUR).await, Chore::Timers, "a"));
    assert!(gaps.iter().all(|gap| *gap < Duration::from_secs(60 + 30 + 10)), "{gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn much_to_do_for_one_chore_or_workspace_holds_no_other_up() {
    let done = Scripted::new(&["a", "b"], |chore, workspace| match (chore, workspace) {
        (Chore::Retention, _) | (_, "a") => (Duration::from_millis(20), Ok(true)),
        (Chore::Timers | Chore::Minutes, _) => (Duration::from_millis(1), Ok(false)),
    });
    let done = done.keep(HOUR / 60).await;
    assert!(times(&done, Chore::Timers, "a").len() > 150);
    assert!(times(&done, Chore::Timers, "b").len() == 1, "its round is not over");
    let done = Scripted::new(&["a"], |chore, _| (Duration::from_millis(20), Ok(chore == Chore::Retention)));
    let done = done.keep(HOUR / 60).await;
    assert!(times(&done, Chore::Retention, "a").len() > 200);
    let gaps = gaps(&times(&done, Chore::Timers, "a"));
    assert!(gaps.iter().all(|gap| *gap < Duration::from_secs(2)), "{gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn what_can_wait_waits_while_the_database_is_slow() {
    let done = Scripted::new(&["a", "b"], |_, _| (Duration::from_millis(1_100), Ok(true))).keep(HOUR).await;
    assert!(times(&done, Chore::Timers, "a").len() > 100, "timers go on");
    assert!(times(&done, Chore::Minutes, "a").len() > 100, "and hold nobody up");
    let done =
        Scripted::new(&["a", "b"], |chore, _| (Duration::from_millis(1_100), Ok(chore == Chore::Retention)));
    let done = done.keep(HOUR).await;
    let retention = [times(&done, Chore::Retention, "a"), times(&done, Chore::Retention, "b")].concat();
    assert!((5..=8).contains(&retention.len()), "one batch a round: {retention:?}");
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_told_once_and_the_other_workspaces_have_their_turn() {
    let scripted = Scripted::new(&["a", "gone", "z"], |chore, workspace| {
        let answer = match (chore, workspace) {
            (Chore::Timers, "a") => Err(Error::new(ErrorCode::Unavailable, "away")),
            (_, "gone") => Err(Error::not_found("workspace: gone")),
            (Chore::Timers | Chore::Minutes | Chore::Retention, _) => Ok(false),
        };
        (Duration::ZERO, answer)
    });
    let done = scripted.keep(HOUR / 60).await;
    assert_eq!(*scripted.logged.lock().unwrap(), ["away"]);
    let rounds = scripted.rounds.lock().unwrap().clone();
    assert!(rounds.len() > 50, "{}", rounds.len());
    assert!(rounds.iter().all(|(chore, well)| *well == (*chore != Chore::Timers)), "{rounds:?}");
    let (failing, well) = (times(&done, Chore::Timers, "a"), times(&done, Chore::Timers, "z"));
    assert!(failing.len() > 40 && failing.len().abs_diff(well.len()) <= 1);
}
