//! The audit of what operators did.

use serde::Deserialize;
use serde_json::Value;
use sprongus_core::Result;
use sprongus_core::ids::{OperatorEventId, TokenId};
use sprongus_core::json::Json;
use sprongus_core::names::WorkspaceId;
use sprongus_core::operator::OperatorEvent;
use sprongus_core::time::Timestamp;

#[cfg(feature = "server")]
use super::words::OperatorEventName;

/// One immutable line of the audit.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = OperatorEvent))]
#[serde(rename_all = "camelCase")]
pub struct OperatorEventBody {
    /// Its id.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub id: OperatorEventId,
    /// The workspace whose audit it belongs to.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub workspace_id: WorkspaceId,
    /// What was done.
    #[serde(rename = "type")]
    #[cfg_attr(feature = "server", schema(value_type = OperatorEventName))]
    pub kind: String,
    /// When.
    #[cfg_attr(feature = "server", schema(value_type = String, format = DateTime))]
    pub at: Timestamp,
    /// Who did it: a token's name, a local user, or `system`.
    pub actor: String,
    /// The token it was done with; null where it was done without a server.
    #[cfg_attr(feature = "server", schema(value_type = Option<String>))]
    pub token_id: Option<TokenId>,
    /// What it was done to: the id of a token, workspace or project, a kind, or a worker; null where it concerns all of a workspace.
    pub subject: Option<String>,
    /// How it was before; null for what was not there.
    #[cfg_attr(feature = "server", schema(value_type = Option<Object>))]
    pub before: Option<Value>,
    /// How it was afterwards; null for what is gone.
    #[cfg_attr(feature = "server", schema(value_type = Option<Object>))]
    pub after: Option<Value>,
}

impl OperatorEventBody {
    /// The event.
    ///
    /// # Errors
    /// `validation`: a type that this program does not know.
    pub fn into_event(self) -> Result<OperatorEvent> {
        Ok(OperatorEvent {
            id: self.id,
            workspace_id: self.workspace_id,
            kind: self.kind.parse()?,
            at: self.at,
            actor: self.actor,
            token_id: self.token_id,
            subject: self.subject,
            before: self.before.map(Json::from_value),
            after: self.after.map(Json::from_value),
        })
    }
}
