//! Lists: what to list, a page of it, and the opaque cursor that leads to the next one.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::run::state::State;
use crate::run::waiting::reason::Reason;
use crate::values::cursor;
use crate::values::id_part::IdPart;
use crate::values::ids::RunId;
use crate::values::names::{AgentTaskId, Kind, ProjectId, ScheduleId, WorkspaceId};
use crate::values::time::Timestamp;

/// The most runs on a page.
pub const MAX_PAGE: u32 = 100;

/// Which runs to list. Everything given must hold; of several states or kinds, one.
#[derive(Clone, Debug, PartialEq)]
pub struct ListFilter {
    /// Of this project.
    pub project_id: Option<ProjectId>,
    /// In one of these states.
    pub states: Vec<State>,
    /// Of one of these kinds.
    pub kinds: Vec<Kind>,
    /// Only runs of this agent task.
    pub agent_task_id: Option<AgentTaskId>,
    /// Only runs that this schedule made, or that were triggered or backfilled of it.
    pub schedule_id: Option<ScheduleId>,
    /// With all of these tags.
    pub tags: BTreeMap<String, String>,
    /// Made at this time or later.
    pub since: Option<Timestamp>,
    /// Made before this time.
    pub before: Option<Timestamp>,
    /// Oldest first, instead of newest first.
    pub oldest_first: bool,
    /// Whose id begins or ends so.
    pub id: Option<IdPart>,
    /// Waiting for this ([`crate::run::waiting`]); only queued runs wait.
    pub waiting: Option<Reason>,
    /// So many on a page, 1 to 100.
    pub limit: u32,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

impl Default for ListFilter {
    fn default() -> Self {
        Self {
            project_id: None,
            states: Vec::new(),
            kinds: Vec::new(),
            agent_task_id: None,
            schedule_id: None,
            tags: BTreeMap::new(),
            since: None,
            before: None,
            oldest_first: false,
            id: None,
            waiting: None,
            limit: 50,
            cursor: None,
        }
    }
}

/// A page of a list. It may hold fewer than asked for; only a `next_cursor` of none ends the list.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Page<T> {
    /// Up to the limit, in the order of the list.
    pub data: Vec<T>,
    /// What leads to the next one.
    pub next_cursor: Option<String>,
}

/// A place in a list: the run it lies behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// When that run was made.
    pub created_at: Timestamp,
    /// The last run of the page before.
    pub id: RunId,
}

impl ListFilter {
    /// Checks the filter and reads its cursor.
    ///
    /// # Errors
    /// `validation`: a limit outside 1 to 100, or a cursor of another list or workspace, or altered.
    pub fn position(&self, workspace: &WorkspaceId) -> Result<Option<Position>> {
        check_limit(self.limit)?;
        if let Some(reason) = self.waiting
            && !self.states.is_empty()
            && self.states != [State::Queued]
        {
            return Err(Error::validation(format!("only queued runs can wait for {reason}"))
                .with_hint("remove the state filter"));
        }
        let Some(cursor) = &self.cursor else { return Ok(None) };
        let read = cursor::read(cursor, &self.name(workspace));
        read.map(|(created_at, id)| Some(Position { created_at, id })).ok_or_else(cursor::refused)
    }

    /// The cursor that leads on behind `position`.
    pub fn cursor_behind(&self, workspace: &WorkspaceId, position: Position) -> String {
        cursor::behind(position.created_at, position.id, &self.name(workspace))
    }

    /// What a cursor is good for: this workspace and filter, whatever the page's size.
    fn name(&self, workspace: &WorkspaceId) -> String {
        let same = Self { limit: 0, cursor: None, ..self.clone() };
        format!("{workspace:?} {same:?}")
    }
}

/// Refuses a page's size outside of 1 to [`MAX_PAGE`].
pub(crate) fn check_limit(limit: u32) -> Result<()> {
    if limit == 0 || limit > MAX_PAGE {
        return Err(Error::validation(format!("limit must be 1 to {MAX_PAGE}: {limit}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn workspace(name: &str) -> WorkspaceId {
        name.parse().unwrap()
    }

    #[test]
    fn a_cursor_leads_back_only_in_its_own_list() {
        let filter = ListFilter::default();
        let position = Position { created_at: Timestamp::from_millis(1_234), id: RunId::new() };
        let cursor = filter.cursor_behind(&workspace("default"), position);
        let next = ListFilter { cursor: Some(cursor), limit: 7, ..filter };
        assert_eq!(next.position(&workspace("default")).unwrap(), Some(position));
        assert!(next.position(&workspace("other")).is_err());
        let other = ListFilter { states: vec![State::Failed], ..next };
        assert!(other.position(&workspace("default")).is_err());
    }

    #[test]
    fn a_limit_is_refused_never_clamped() {
        for limit in [0, 101, u32::MAX] {
            assert!(ListFilter { limit, ..ListFilter::default() }.position(&workspace("default")).is_err());
        }
    }

    proptest! {
        #[test]
        fn no_cursor_panics(cursor in "\\PC{0,80}") {
            let filter = ListFilter { cursor: Some(cursor), ..ListFilter::default() };
            prop_assert!(filter.position(&workspace("default")).is_err());
        }
    }
}
