//! What can happen in a history. Runs and holds are meant by a number, which the world turns into one there is.

use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use sprongus_core::run::step::StepStatus;

/// A run in a history's enqueue.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Use the id of a run made before.
    pub again: Option<u8>,
    /// One of a few kinds.
    pub kind: u8,
    /// One of a few inputs.
    pub input: u8,
    /// One of a few keys.
    pub key: Option<u8>,
    /// Priority.
    pub priority: u32,
    /// Attempts allowed.
    pub most: u32,
    /// Due so many seconds later.
    pub delay: Option<u16>,
    /// Expired so many seconds later.
    pub expire: Option<u16>,
    /// One of two projects, or one that does not exist.
    pub project: Option<u8>,
}

/// How an execution ends in a history.
#[derive(Clone, Debug)]
pub enum End {
    /// With one of a few results.
    Succeed(u8),
    /// With one of a few errors.
    Fail {
        /// Which error.
        error: u8,
        /// May it be retried.
        retryable: bool,
        /// After so many seconds.
        retry_in: Option<u16>,
    },
    /// Given back.
    Release,
}

/// What is done to a schedule in a history.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each is the change it is named after, with its arguments")]
pub enum Scheduling {
    Put { timing: u8, missed: u8, overlap: u8, input: u8 },
    Pause,
    Resume,
    Delete,
    Trigger,
    Backfill { minutes: u16 },
}

/// One thing that happens.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each is the verb it is named after, with its arguments")]
pub enum Operation {
    As { caller: u8 },
    Enqueue { runs: Vec<Asked>, whole: bool },
    Claim { worker: u8, kind: Option<u8>, limit: u32, lease: u16, named: bool },
    ClaimAgain,
    Heartbeat { holds: Vec<u8>, lease: Option<u16> },
    Finish { ends: Vec<(u8, End)>, draw: f64 },
    FinishAgain,
    Wait { hold: u8, ordinal: u32, timeout: Option<u16> },
    Answer { run: u8, approve: bool, named: bool },
    Cancel { run: u8 },
    Retry { run: u8, epoch: Option<u8> },
    Cleaned { hold: u8 },
    Progress { hold: u8, percent: u32, message: bool },
    Record { hold: u8, steps: Vec<(u32, StepStatus)>, lines: u8 },
    Put { hold: u8, file: u8, expected: bool },
    PutAgain,
    Drop { hold: u8, file: u8 },
    Sweep { limit: u32 },
    Turn { later: Duration },
    ExpireEarlier { earlier: Duration },
    Schedule { schedule: u8, what: Scheduling },
    Expire,
    Prune { minutes: u16, own: Option<(u8, Option<u16>, Option<u16>)> },
    Pause { kind: u8, paused: bool },
    Drain { worker: u8 },
    Block { run: u8, blocked: bool },
    List { oldest_first: bool, limit: u32 },
}

/// Any operation, the usual ones more often.
pub(super) fn any() -> impl Strategy<Value = Operation> {
    prop_oneof![
        4 => (0..4_u8).prop_map(|caller| Operation::As { caller }),
        8 => (vec(asked(), 1..5), proptest::bool::weighted(0.2))
            .prop_map(|(runs, whole)| Operation::Enqueue { runs, whole }),
        10 => (0..3_u8, option::weighted(0.2, 0..3_u8), 1..4_u32, 1..90_u16, proptest::bool::weighted(0.3))
            .prop_map(|(worker, kind, limit, lease, named)| Operation::Claim { worker, kind, limit, lease, named }),
        2 => Just(Operation::ClaimAgain),
        4 => (vec(0..=255_u8, 1..4), option::weighted(0.3, 1..120_u16))
            .prop_map(|(holds, lease)| Operation::Heartbeat { holds, lease }),
        9 => (vec((0..=255_u8, end()), 1..4), 0.0..1.0_f64)
            .prop_map(|(ends, draw)| Operation::Finish { ends, draw }),
        2 => Just(Operation::FinishAgain),
        5 => (0..=255_u8, 0..3_u32, option::of(1..600_u16))
            .prop_map(|(hold, ordinal, timeout)| Operation::Wait { hold, ordinal, timeout }),
        5 => (0..=255_u8, proptest::bool::weighted(0.7), any_bool())
            .prop_map(|(run, approve, named)| Operation::Answer { run, approve, named }),
        4 => (0..=255_u8).prop_map(|run| Operation::Cancel { run }),
        4 => (0..=255_u8, option::of(0..2_u8)).prop_map(|(run, epoch)| Operation::Retry { run, epoch }),
        3 => (0..=255_u8).prop_map(|hold| Operation::Cleaned { hold }),
        3 => (0..=255_u8, 0..103_u32, any_bool())
            .prop_map(|(hold, percent, message)| Operation::Progress { hold, percent, message }),
        6 => (0..=255_u8, vec((0..3_u32, status()), 0..4), 0..4_u8)
            .prop_map(|(hold, steps, lines)| Operation::Record { hold, steps, lines }),
        4 => (0..=255_u8, 0..3_u8, proptest::bool::weighted(0.9))
            .prop_map(|(hold, file, expected)| Operation::Put { hold, file, expected }),
        1 => Just(Operation::PutAgain),
        1 => (0..=255_u8, 0..3_u8).prop_map(|(hold, file)| Operation::Drop { hold, file }),
        1 => (0..4_u32).prop_map(|limit| Operation::Sweep { limit }),
        5 => turn().prop_map(|later| Operation::Turn { later }),
        1 => (0..90_u64).prop_map(|seconds| Operation::ExpireEarlier { earlier: Duration::from_secs(seconds) }),
        6 => (0..3_u8, scheduling()).prop_map(|(schedule, what)| Operation::Schedule { schedule, what }),
        2 => Just(Operation::Expire),
        1 => (0..90_u16, option::of((0..3_u8, option::of(0..180_u16), option::of(0..180_u16))))
            .prop_map(|(minutes, own)| Operation::Prune { minutes, own }),
        1 => (0..3_u8, proptest::bool::weighted(0.3)).prop_map(|(kind, paused)| Operation::Pause { kind, paused }),
        1 => (0..3_u8).prop_map(|worker| Operation::Drain { worker }),
        3 => (0..=255_u8, any_bool()).prop_map(|(run, blocked)| Operation::Block { run, blocked }),
        2 => (any_bool(), 1..6_u32).prop_map(|(oldest_first, limit)| Operation::List { oldest_first, limit }),
    ]
}

fn any_bool() -> impl Strategy<Value = bool> {
    proptest::bool::ANY
}

fn asked() -> impl Strategy<Value = Asked> {
    let which = (option::weighted(0.1, 0..=255_u8), 0..3_u8, 0..3_u8, option::weighted(0.3, 0..4_u8));
    let how = (prop_oneof![Just(0), 0..=100_u32], 1..4_u32);
    let when = (option::weighted(0.25, 0..120_u16), option::weighted(0.15, 0..300_u16));
    (which, how, when, option::weighted(0.2, 0..3_u8)).prop_map(
        |((again, kind, input, key), (priority, most), (delay, expire), project)| Asked {
            again,
            kind,
            input,
            key,
            priority,
            most,
            delay,
            expire,
            project,
        },
    )
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        3 => (0..2_u8).prop_map(End::Succeed),
        4 => (0..2_u8, proptest::bool::weighted(0.8), option::weighted(0.7, 0..60_u16))
            .prop_map(|(error, retryable, retry_in)| End::Fail { error, retryable, retry_in }),
        2 => Just(End::Release),
    ]
}

fn scheduling() -> impl Strategy<Value = Scheduling> {
    prop_oneof![
        6 => (0..4_u8, 0..3_u8, 0..5_u8, 0..2_u8)
            .prop_map(|(timing, missed, overlap, input)| Scheduling::Put { timing, missed, overlap, input }),
        1 => Just(Scheduling::Pause),
        2 => Just(Scheduling::Resume),
        1 => Just(Scheduling::Delete),
        1 => Just(Scheduling::Trigger),
        1 => (1..30_u16).prop_map(|minutes| Scheduling::Backfill { minutes }),
    ]
}

fn status() -> impl Strategy<Value = StepStatus> {
    proptest::sample::select(StepStatus::ALL)
}

/// From nothing to long past every lease; often to the very end of one.
fn turn() -> impl Strategy<Value = Duration> {
    prop_oneof![
        3 => (0..5_000_u64).prop_map(Duration::from_millis),
        3 => (0..100_u64).prop_map(Duration::from_secs),
        1 => (0..1_500_u64).prop_map(Duration::from_secs),
    ]
}
