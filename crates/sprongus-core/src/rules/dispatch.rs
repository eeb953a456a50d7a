//! Which of the runs that could be claimed are. The store brings candidates, read under their locks; this chooses.

use super::claim::{claim as claim_one, is_claimable};
use super::order::Order;
use super::{Act, Transition, WriteSet};
use crate::run::lease::LeaseHash;
use crate::run::state::State;
use crate::run::{ClaimRequest, Run};
use crate::values::names::BlockedOn;
use crate::values::time::Timestamp;

/// What becomes of candidates. Those that are in neither list stay as they are.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection<'a> {
    /// To be given, in this order.
    pub taken: Vec<&'a Run>,
    /// To leave the queue, and why.
    pub blocked: Vec<(&'a Run, BlockedOn)>,
}

/// Chooses at most `most` of the candidates, in the order of [`Order`]. `blocked_on` says of each that its turn has come to what blocks it;
/// it is asked in that order, so it may count what it lets pass. Of what is behind the last one taken nothing is decided.
pub fn select<'a>(
    candidates: impl IntoIterator<Item = &'a Run>,
    most: u32,
    now: Timestamp,
    mut blocked_on: impl FnMut(&Run) -> Option<BlockedOn>,
) -> Selection<'a> {
    let mut candidates: Vec<&Run> = candidates.into_iter().filter(|run| is_claimable(run, now)).collect();
    candidates.sort_by_key(|run| Order::of(run));
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let mut selection =
        Selection { taken: Vec::with_capacity(candidates.len().min(most)), blocked: Vec::new() };
    for run in candidates {
        if selection.taken.len() >= most {
            break;
        }
        match blocked_on(run) {
            None => selection.taken.push(run),
            Some(on) if run.state == State::Queued => selection.blocked.push((run, on)),
            // An ended run whose CLEANUP has to wait stays where it is: only a queued run is ever blocked.
            Some(_) => {}
        }
    }
    selection
}

/// Gives the candidates to whoever asks, as [`select`] chooses; `hash` is that of the token they are told. Nothing blocks a run yet: limits
/// and whatever else does come in here.
pub fn claim<'a>(
    candidates: impl IntoIterator<Item = &'a Run>,
    request: &ClaimRequest,
    hash: LeaseHash,
    act: Act<'_>,
) -> WriteSet {
    claim_unless(candidates, request, hash, act, |_| None)
}

/// [`claim`], under a rule that blocks.
pub fn claim_unless<'a>(
    candidates: impl IntoIterator<Item = &'a Run>,
    request: &ClaimRequest,
    hash: LeaseHash,
    act: Act<'_>,
    blocked_on: impl FnMut(&Run) -> Option<BlockedOn>,
) -> WriteSet {
    let Selection { taken, blocked } = select(candidates, request.limit, act.now, blocked_on);
    let mut transitions = Vec::with_capacity(taken.len() + blocked.len());
    transitions.extend(taken.into_iter().filter_map(|run| claim_one(run, request, hash, act)));
    transitions.extend(blocked.into_iter().map(|(run, on)| block(run, Some(on))));
    WriteSet { transitions, ..WriteSet::default() }
}

/// Of what a claim wrote, the runs that it gave, in the order they were taken.
pub fn taken(set: &WriteSet) -> impl Iterator<Item = &Transition> {
    set.transitions.iter().filter(|transition| is_taken(transition))
}

/// Whether a claim gave the run of one of its transitions; the others it blocked.
pub fn is_taken(transition: &Transition) -> bool {
    transition.run.lease_expires_at.is_some()
}

/// Takes a queued run out of what can be claimed; without a reason, puts it back into its place. Neither is an event: what a run waits for
/// is no part of its history.
pub fn block(run: &Run, on: Option<BlockedOn>) -> Transition {
    let mut change = Transition::of(run);
    change.run.blocked_on = on;
    change
}
