//! What operators did: the audit of tokens, workspaces, kinds, workers, retention and schedules; and what schedules did on their own.
//!
//! Each act writes one event in the transaction of the act itself, and a store's database refuses to change or delete it: it goes with
//! its workspace alone. What concerns a workspace as a whole is written into [`WorkspaceId::local`], which is never deleted. An act that
//! changes nothing (a pause of what is paused) writes nothing.
//!
//! A new kind of act is a variant of [`OperatorEventType`] and a constructor of [`OperatorAct`]; stores know neither.

mod event_type;

use std::fmt;

use serde::Serialize;
use serde_json::{Value, json};

use crate::error::Result;
use crate::json::Json;
use crate::run::list::{Page, check_limit};
use crate::run::retention::{Pruned, Retention};
use crate::values::cursor;
use crate::values::ids::{OperatorEventId, TokenId};
use crate::values::names::{Kind, ScheduleId, WorkerId, WorkspaceId};
use crate::values::time::Timestamp;
use crate::workspace::caller::Caller;
use crate::workspace::directory::{KindSetting, Project, Workspace};
use crate::workspace::token::Token;

pub use event_type::OperatorEventType;

/// One immutable line of the audit.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OperatorEvent {
    /// A ULID: 26 characters.
    pub id: OperatorEventId,
    /// The workspace whose audit it belongs to.
    pub workspace_id: WorkspaceId,
    /// What was done, such as `token.created`.
    #[serde(rename = "type")]
    pub kind: OperatorEventType,
    /// When, by the store's clock.
    pub at: Timestamp,
    /// Who did it: a token's name, a local user, or `system`.
    pub actor: String,
    /// The token it was done with; none where it was done without a server.
    pub token_id: Option<TokenId>,
    /// What it was done to: the token's, workspace's or project's id, the kind, or the worker; none where it concerns all of a workspace.
    pub subject: Option<String>,
    /// How it was before; none for what was not there.
    pub before: Option<Json>,
    /// How it was afterwards; none for what is gone.
    pub after: Option<Json>,
}

impl OperatorEvent {
    /// Takes out what a caller without `runs:read` may not see: the input that a schedule gives its runs.
    pub fn drop_content(&mut self) {
        for state in [&mut self.before, &mut self.after].into_iter().flatten() {
            let mut value = state.to_value();
            if value.as_object_mut().is_some_and(|facts| facts.remove("input").is_some()) {
                *state = Json::from_value(value);
            }
        }
    }
}

/// An act, before it is known by whom and when. It never holds a token or its hash.
#[derive(Clone, Debug, PartialEq)]
pub struct OperatorAct {
    kind: OperatorEventType,
    subject: Option<String>,
    before: Option<Json>,
    after: Option<Json>,
}

impl OperatorAct {
    fn new(
        kind: OperatorEventType,
        subject: impl fmt::Display,
        before: Option<Value>,
        after: Option<Value>,
    ) -> Self {
        let subject = Some(subject.to_string());
        Self { kind, subject, before: before.map(Json::from_value), after: after.map(Json::from_value) }
    }

    /// `token` was created.
    pub fn token_created(token: &Token) -> Self {
        Self::new(OperatorEventType::TokenCreated, token.id, None, Some(token_facts(token)))
    }

    /// `token` was revoked; nothing where it was revoked before.
    pub fn token_revoked(before: &Token, after: &Token) -> Option<Self> {
        let kind = OperatorEventType::TokenRevoked;
        before
            .revoked_at
            .is_none()
            .then(|| Self::new(kind, after.id, Some(token_facts(before)), Some(token_facts(after))))
    }

    /// `workspace` was created.
    pub fn workspace_created(workspace: &Workspace) -> Self {
        let after = json!({"createdAt": workspace.created_at});
        Self::new(OperatorEventType::WorkspaceCreated, &workspace.id, None, Some(after))
    }

    /// `workspace` was deleted.
    pub fn workspace_deleted(workspace: &Workspace) -> Self {
        let before = json!({"createdAt": workspace.created_at});
        Self::new(OperatorEventType::WorkspaceDeleted, &workspace.id, Some(before), None)
    }

    /// `project` was created.
    pub fn project_created(project: &Project) -> Self {
        let after = json!({"createdAt": project.created_at});
        Self::new(OperatorEventType::ProjectCreated, &project.id, None, Some(after))
    }

    /// A kind was paused or resumed; nothing where it was so before. A kind that nobody paused is not paused.
    pub fn kind_set(kind: &Kind, before: Option<&KindSetting>, paused: bool) -> Option<Self> {
        let was_paused = before.is_some_and(|setting| setting.paused);
        let done = if paused { OperatorEventType::KindPaused } else { OperatorEventType::KindResumed };
        let state = |paused: bool| Some(json!({"paused": paused}));
        (was_paused != paused).then(|| Self::new(done, kind, state(was_paused), state(paused)))
    }

    /// A worker was told to stop claiming; nothing where it was told before.
    pub fn worker_drained(worker: &WorkerId, was_draining: bool) -> Option<Self> {
        let state = |draining: bool| Some(json!({"draining": draining}));
        let kind = OperatorEventType::WorkerDrained;
        (!was_draining).then(|| Self::new(kind, worker, state(false), state(true)))
    }

    /// Retention took `pruned`, a batch of its own transaction; nothing where it took nothing.
    pub fn pruned(pruned: &Pruned, retention: &Retention) -> Option<Self> {
        let kept = |length: std::time::Duration| u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        let kinds = retention.kinds.iter().map(|(kind, own)| {
            let own = json!({"succeededMs": own.succeeded.map(kept), "failedMs": own.failed.map(kept)});
            (kind.to_string(), own)
        });
        let after = json!({
            "runs": pruned.runs,
            "kinds": pruned.kinds,
            "retention": {
                "succeededMs": kept(retention.succeeded),
                "failedMs": kept(retention.failed),
                "kinds": kinds.collect::<serde_json::Map<_, _>>(),
            },
        });
        let (kind, after) = (OperatorEventType::Pruned, Some(Json::from_value(after)));
        (pruned.total() > 0).then_some(Self { kind, subject: None, before: None, after })
    }

    /// The figures over time were discarded, to be built again.
    pub fn figures_rebuilt() -> Self {
        let kind = OperatorEventType::FiguresRebuilt;
        Self { kind, subject: None, before: None, after: None }
    }

    /// Something was done to a schedule, or happened to it; `state` is how it was before and is afterwards.
    pub fn schedule(kind: OperatorEventType, id: &ScheduleId, state: (Option<Value>, Option<Value>)) -> Self {
        Self::new(kind, id, state.0, state.1)
    }

    /// The event, in the caller's workspace or where the act is written instead.
    pub fn by(self, caller: &Caller, now: Timestamp) -> OperatorEvent {
        let Self { kind, subject, before, after } = self;
        let workspace_id = match kind {
            OperatorEventType::WorkspaceCreated | OperatorEventType::WorkspaceDeleted => WorkspaceId::local(),
            OperatorEventType::TokenCreated
            | OperatorEventType::TokenRevoked
            | OperatorEventType::ProjectCreated
            | OperatorEventType::KindPaused
            | OperatorEventType::KindResumed
            | OperatorEventType::WorkerDrained
            | OperatorEventType::Pruned
            | OperatorEventType::FiguresRebuilt
            | OperatorEventType::ScheduleCreated
            | OperatorEventType::ScheduleUpdated
            | OperatorEventType::SchedulePaused
            | OperatorEventType::ScheduleResumed
            | OperatorEventType::ScheduleDeleted
            | OperatorEventType::ScheduleTriggered
            | OperatorEventType::ScheduleBackfilled
            | OperatorEventType::ScheduleSkipped
            | OperatorEventType::ScheduleBroken
            | OperatorEventType::ScheduleRecovered => caller.workspace.clone(),
        };
        let (actor, token_id) = (caller.actor.clone(), caller.token_id);
        let id = OperatorEventId::new();
        OperatorEvent { id, workspace_id, kind, at: now, actor, token_id, subject, before, after }
    }
}

/// What the audit says of a token.
fn token_facts(token: &Token) -> Value {
    json!({
        "name": token.name,
        "scopes": token.scopes,
        "projects": token.projects,
        "createdAt": token.created_at,
        "expiresAt": token.expires_at,
        "revokedAt": token.revoked_at,
    })
}

/// Which events to list, newest first.
#[derive(Clone, Debug, PartialEq)]
pub struct OperatorFilter {
    /// Of one of these types; empty for all.
    pub types: Vec<OperatorEventType>,
    /// Only events by this actor, exact match.
    pub actor: Option<String>,
    /// At this time or later.
    pub since: Option<Timestamp>,
    /// Before this time.
    pub before: Option<Timestamp>,
    /// So many on a page, 1 to 100.
    pub limit: u32,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

impl Default for OperatorFilter {
    fn default() -> Self {
        Self { types: Vec::new(), actor: None, since: None, before: None, limit: 50, cursor: None }
    }
}

/// 9999-01-01T00:00:00Z, after every event.
const END: i64 = 253_370_764_800_000;

/// The stretch of the audit that a page is of, as a store looks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// At this time or later.
    pub since: Timestamp,
    /// Before this place, in the order of time and id.
    pub before: (Timestamp, OperatorEventId),
}

impl Stretch {
    /// Whether an event lies in it.
    pub fn holds(&self, event: &OperatorEvent) -> bool {
        event.at >= self.since && (event.at, event.id) < self.before
    }
}

impl OperatorFilter {
    /// Checks the filter and reads its cursor.
    ///
    /// # Errors
    /// `validation`: a limit outside 1 to 100, or a cursor of another list or workspace, or altered.
    pub fn stretch(&self, workspace: &WorkspaceId) -> Result<Stretch> {
        check_limit(self.limit)?;
        let cursor = self.cursor.as_ref().map(|cursor| {
            cursor::read::<OperatorEventId>(cursor, &self.name(workspace)).ok_or_else(cursor::refused)
        });
        let before = self.before.map(|before| (before, OperatorEventId::from_bits(0)));
        let ends = [cursor.transpose()?, before];
        let latest = (Timestamp::from_millis(END), OperatorEventId::from_bits(u128::MAX));
        Ok(Stretch {
            since: self.since.unwrap_or(Timestamp::from_millis(0)),
            before: ends.into_iter().flatten().min().unwrap_or(latest),
        })
    }

    /// Whether an event is of a type and by an actor that are wanted.
    pub fn wants(&self, event: &OperatorEvent) -> bool {
        (self.types.is_empty() || self.types.contains(&event.kind))
            && self.actor.as_ref().is_none_or(|actor| *actor == event.actor)
    }

    /// The page made of what was found: one more than its size, if there are more.
    pub fn page(&self, workspace: &WorkspaceId, mut found: Vec<OperatorEvent>) -> Page<OperatorEvent> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let is_cut = found.len() > limit;
        found.truncate(limit);
        let last = found.last().filter(|_| is_cut);
        let next_cursor = last.map(|last| cursor::behind(last.at, last.id, &self.name(workspace)));
        Page { data: found, next_cursor }
    }

    /// What a cursor is good for: this workspace and filter, whatever the page's size.
    fn name(&self, workspace: &WorkspaceId) -> String {
        let same = Self { limit: 0, cursor: None, ..self.clone() };
        format!("{workspace:?} {same:?}")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_type_has_a_name_of_its_own_and_is_read_back() {
        let names: HashSet<_> = OperatorEventType::ALL.map(OperatorEventType::as_str).into_iter().collect();
        assert_eq!(names.len(), OperatorEventType::ALL.len());
        for kind in OperatorEventType::ALL {
            assert_eq!(kind.as_str().parse::<OperatorEventType>().unwrap(), kind);
            assert!(["operator.", "schedule."].iter().any(|start| kind.as_str().starts_with(start)));
        }
        let of_runs = "run.canceled".parse::<OperatorEventType>().unwrap_err();
        assert!(of_runs.hint().contains("sprongus runs events"), "{}", of_runs.hint());
        let unknown = "operator.made_tea".parse::<OperatorEventType>().unwrap_err();
        assert!(unknown.hint().contains("operator.token_created"), "{}", unknown.hint());
    }

    #[test]
    fn what_changes_nothing_is_no_act() {
        let kind: Kind = "mail".parse().unwrap();
        let set = |paused| KindSetting { kind: kind.clone(), paused, changed_at: None, changed_by: None };
        assert!(OperatorAct::kind_set(&kind, None, false).is_none());
        assert!(OperatorAct::kind_set(&kind, Some(&set(true)), true).is_none());
        assert!(OperatorAct::kind_set(&kind, Some(&set(true)), false).is_some());
        assert!(OperatorAct::worker_drained(&WorkerId::fresh("h"), true).is_none());
        assert!(OperatorAct::pruned(&Pruned::default(), &Retention::default()).is_none());
    }

    #[test]
    fn a_cursor_leads_on_in_its_own_list_alone() {
        let workspace = WorkspaceId::local();
        let caller = Caller::new(workspace.clone(), "amy");
        let event = |millis| OperatorAct::figures_rebuilt().by(&caller, Timestamp::from_millis(millis));
        let filter = OperatorFilter { limit: 1, ..OperatorFilter::default() };
        let (newer, older) = (event(2), event(1));
        let page = filter.page(&workspace, vec![newer.clone(), older.clone()]);
        assert_eq!(page.data, std::slice::from_ref(&newer));
        let next = OperatorFilter { cursor: page.next_cursor, limit: 7, ..filter };
        let stretch = next.stretch(&workspace).unwrap();
        assert!(stretch.holds(&older) && !stretch.holds(&newer));
        assert!(next.stretch(&"other".parse().unwrap()).is_err());
        let other = OperatorFilter { types: vec![OperatorEventType::Pruned], ..next };
        assert!(other.stretch(&workspace).is_err());
        assert!(OperatorFilter { limit: 0, ..OperatorFilter::default() }.stretch(&workspace).is_err());
    }
}
