//! The audit of what operators did.

use serde::Deserialize;
use serde_json::Value;
use sprongus_core::Result;
use sprongus_core::json::Json;
use sprongus_core::values::ids::{OperatorEventId, TokenId};
use sprongus_core::values::names::WorkspaceId;
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::operator::OperatorEvent;

#[cfg(feature = "server")]
use super::words::OperatorEventName;

/// One immutable entry of the audit log.
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
    /// Such as `operator.token_created`; new types may be added.
    #[serde(rename = "type")]
    #[cfg_attr(feature = "server", schema(value_type = OperatorEventName))]
    pub kind: String,
    /// When it happened, by the database's clock.
    #[cfg_attr(feature = "server", schema(value_type = String, format = DateTime))]
    pub at: Timestamp,
    /// Actor: a token name, a local user, or `system`.
    pub actor: String,
    /// Id of the token used; null if it was done without a server.
    #[cfg_attr(feature = "server", schema(value_type = Option<String>))]
    pub token_id: Option<TokenId>,
    /// Subject: the id of a token, workspace or project, a kind, or a worker; null if it concerns the whole workspace.
    pub subject: Option<String>,
    /// State before; null if it did not exist.
    #[cfg_attr(feature = "server", schema(value_type = Option<Object>))]
    pub before: Option<Value>,
    /// State after; null if it was deleted.
    #[cfg_attr(feature = "server", schema(value_type = Option<Object>))]
    pub after: Option<Value>,
}

impl OperatorEventBody {
    /// As the core has it.
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
