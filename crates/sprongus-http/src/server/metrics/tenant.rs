//! The figures of a workspace, kind by kind. Kinds are any text that whoever enqueues makes up, and each is some forty series for whoever
//! keeps them: so a workspace has [`MOST_KINDS`] of its own, and what is beyond them is told together, as the kind [`OTHERS`].

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sprongus_core::figures::rollup::Totals;
use sprongus_core::redact::redact;
use sprongus_core::schedule::ScheduleFigures;
use sprongus_core::values::names::{Kind, WorkspaceId};
use sprongus_core::workspace::directory::{KindSetting, KindStats, Stats, Worker};

/// How many kinds of a workspace are told apart.
pub const MOST_KINDS: usize = 100;

/// What the rest of them is called; no kind begins with this character.
pub const OTHERS: &str = "_other";

/// The kinds of each workspace that are told apart. One that was so once stays: a sum that moved from one series to another would look
/// like things that happened.
#[derive(Debug, Default)]
pub struct Shown(HashMap<WorkspaceId, BTreeSet<String>>);

impl Shown {
    /// Forgets the workspaces that are gone.
    pub fn forget_all_but(&mut self, workspaces: &[WorkspaceId]) {
        self.0.retain(|workspace, _| workspaces.contains(workspace));
    }
}

/// What was asked of a workspace.
#[derive(Debug, Default)]
pub struct Found {
    pub stats: Stats,
    pub totals: BTreeMap<String, Totals>,
    pub workers: Vec<Worker>,
    pub settings: Vec<KindSetting>,
    pub schedules: ScheduleFigures,
}

/// The figures of one workspace.
#[derive(Debug)]
pub struct Tenant {
    pub workspace: WorkspaceId,
    pub kinds: BTreeMap<String, OfKind>,
    pub workers: u64,
    pub slots: u64,
    pub schedules: ScheduleFigures,
}

/// The figures of one kind: now, and since it was first seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OfKind {
    pub now: KindStats,
    pub ever: Totals,
    /// Workers that would claim a run of it.
    pub workers: u64,
    pub is_paused: bool,
}

impl Tenant {
    /// Sorts what was asked by kind.
    pub fn new(workspace: WorkspaceId, found: Found, shown: &mut Shown) -> Self {
        let Found { mut stats, mut totals, workers, settings, schedules } = found;
        let paused = settings.into_iter().filter(|setting| setting.paused).map(|setting| setting.kind);
        let paused: BTreeSet<String> = paused.map(|kind| kind.as_str().to_owned()).collect();
        let names: BTreeSet<String> = stats.kinds.keys().chain(totals.keys()).cloned().collect();
        let mut all: Vec<(String, OfKind)> = names
            .into_iter()
            .map(|name| {
                let of = OfKind {
                    now: stats.kinds.remove(&name).unwrap_or_default(),
                    ever: totals.remove(&name).unwrap_or_default(),
                    workers: serving(&workers, &name),
                    is_paused: paused.contains(&name),
                };
                (name, of)
            })
            .collect();
        // Where there is not room for all, what has most before it comes first.
        all.sort_by_key(|(_, of)| {
            std::cmp::Reverse((
                of.now.due + of.now.running + of.now.later + of.now.waiting,
                of.ever.counts.enqueued,
            ))
        });
        let named = shown.0.entry(workspace.clone()).or_default();
        let mut kinds: BTreeMap<String, OfKind> = BTreeMap::new();
        let mut others: Option<OfKind> = None;
        for (name, of) in all {
            if named.contains(&name) || named.len() < MOST_KINDS {
                named.insert(name.clone());
                // Somebody may have taken a secret for a kind.
                let name = redact(&name).into_owned();
                let of = match kinds.remove(&name) {
                    None => of,
                    Some(same) => same.with(of),
                };
                kinds.insert(name, of);
            } else {
                others = Some(match others {
                    None => of,
                    Some(others) => others.with(of),
                });
            }
        }
        kinds.extend(others.map(|others| (OTHERS.to_owned(), others)));
        let alive = workers.iter().filter(|worker| !worker.draining);
        let slots = alive.map(|worker| u64::from(worker.concurrency)).sum();
        Self { workspace, kinds, workers: stats.workers, slots, schedules }
    }
}

fn serving(workers: &[Worker], kind: &str) -> u64 {
    // What is in the database once passed this check.
    let Ok(kind) = kind.parse::<Kind>() else { return 0 };
    workers.iter().filter(|worker| worker.serves(&kind)).count() as u64
}

impl OfKind {
    /// Both together: depths and sums add up; of ages the oldest counts, and of workers those of the kind that has fewest.
    fn with(mut self, other: Self) -> Self {
        self.now.due += other.now.due;
        self.now.later += other.now.later;
        self.now.waiting += other.now.waiting;
        self.now.running += other.now.running;
        self.now.oldest_due_ms = self.now.oldest_due_ms.max(other.now.oldest_due_ms);
        self.ever.add(&other.ever);
        self.workers = self.workers.min(other.workers);
        self.is_paused &= other.is_paused;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(kinds: std::ops::Range<usize>) -> Found {
        let mut found = Found::default();
        for number in kinds {
            let stats = KindStats { due: 1, oldest_due_ms: Some(number as u64), ..KindStats::default() };
            found.stats.kinds.insert(format!("kind-{number:04}"), stats);
            let mut totals = Totals::default();
            totals.counts.enqueued = 2;
            found.totals.insert(format!("kind-{number:04}"), totals);
        }
        found
    }

    #[test]
    fn kinds_beyond_the_limit_share_one_series_and_stay_where_they_were() {
        let (workspace, mut shown) = (WorkspaceId::local(), Shown::default());
        let tenant = Tenant::new(workspace.clone(), found(500..1_500), &mut shown);
        assert_eq!(tenant.kinds.len(), MOST_KINDS + 1);
        let others = &tenant.kinds[OTHERS];
        assert_eq!((others.now.due, others.ever.counts.enqueued), (900, 1_800));
        assert_eq!(others.now.oldest_due_ms, Some(1_499));
        let before: Vec<String> = tenant.kinds.into_keys().collect();
        // Kinds with names before theirs push none of them out.
        let tenant = Tenant::new(workspace.clone(), found(0..1_500), &mut shown);
        assert_eq!(tenant.kinds.keys().cloned().collect::<Vec<_>>(), before);
        assert_eq!(tenant.kinds[OTHERS].now.due, 1_400);
        let mut secret = found(0..0);
        for letter in ["a", "b"] {
            secret
                .stats
                .kinds
                .insert(format!("ghp_{}", letter.repeat(36)), KindStats { due: 1, ..KindStats::default() });
        }
        let masked = Tenant::new("other".parse().unwrap(), secret, &mut shown);
        assert_eq!(
            masked.kinds.into_iter().map(|(kind, of)| (kind, of.now.due)).collect::<Vec<_>>(),
            [("[secret]".to_owned(), 2)]
        );
        shown.forget_all_but(&[]);
        assert_eq!(Tenant::new(workspace, found(0..3), &mut shown).kinds.len(), 3);
        assert!(OTHERS.parse::<Kind>().is_err(), "a kind may not be called so");
    }
}
