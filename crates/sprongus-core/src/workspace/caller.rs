//! Who asks.

use crate::values::ids::TokenId;
use crate::values::names::{ProjectId, WorkspaceId};

/// Who asks. Every call has a caller; no method takes a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The workspace everything happens in.
    pub workspace: WorkspaceId,
    /// Who is written into events.
    pub actor: String,
    /// The token it came with; none where it came without a server. A token's name is free text, its id is not.
    pub token_id: Option<TokenId>,
    /// The projects it may touch; none means all, and runs without a project too.
    pub projects: Option<Vec<ProjectId>>,
    /// Whether a run that a call changes is answered with its `input`, `result`, `error` and `output_ref`; else they are left out. A
    /// claim is always answered whole.
    pub sees_content: bool,
    /// The trace the call belongs to (W3C `traceparent`).
    pub traceparent: Option<String>,
}

impl Caller {
    /// Somebody who may touch all of a workspace.
    pub fn new(workspace: WorkspaceId, actor: impl Into<String>) -> Self {
        let (token_id, projects, traceparent) = (None, None, None);
        Self { workspace, actor: actor.into(), token_id, projects, sees_content: true, traceparent }
    }

    /// Whether it may touch what belongs to `project`.
    pub fn may_touch(&self, project: Option<&ProjectId>) -> bool {
        match &self.projects {
            None => true,
            Some(projects) => project.is_some_and(|project| projects.contains(project)),
        }
    }
}
