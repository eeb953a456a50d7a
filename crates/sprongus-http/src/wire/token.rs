//! Tokens: asking for one, and what is known of it afterwards.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sprongus_core::values::ids::TokenId;
use sprongus_core::values::names::{ProjectId, WorkspaceId};
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::token::{MadeToken, NewToken, Scope, Token, TokenSecret};
use sprongus_core::{Error, Result};

use super::millis;
#[cfg(feature = "server")]
use super::words::ScopeName;

/// A request to create a token.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = TokenRequest))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewTokenBody {
    /// Name of its user, recorded as the actor of events.
    #[cfg_attr(feature = "server", schema(example = "ci"))]
    pub name: String,
    /// What it allows: any of `runs:read`, `runs:write`, `runs:approve`, `runs:work`, `settings:write` and `admin`.
    #[cfg_attr(feature = "server", schema(value_type = Vec<ScopeName>, min_items = 1))]
    pub scopes: Vec<Scope>,
    /// The projects it is restricted to; default: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(value_type = Option<Vec<String>>, min_items = 1))]
    pub projects: Option<Vec<ProjectId>>,
    /// Lifetime; default: no expiry.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(minimum = 1))]
    pub expires_in_ms: Option<u64>,
}

impl From<NewTokenBody> for NewToken {
    fn from(body: NewTokenBody) -> Self {
        Self {
            name: body.name,
            scopes: body.scopes,
            projects: body.projects,
            expires_in: body.expires_in_ms.map(Duration::from_millis),
        }
    }
}

impl From<NewToken> for NewTokenBody {
    fn from(new: NewToken) -> Self {
        Self {
            name: new.name,
            scopes: new.scopes,
            projects: new.projects,
            expires_in_ms: new.expires_in.map(millis),
        }
    }
}

/// A token's details, without its secret.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Token))]
#[serde(rename_all = "camelCase")]
pub struct TokenBody {
    /// Token id.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub id: TokenId,
    /// The workspace it belongs to.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub workspace_id: WorkspaceId,
    /// Name of its user.
    pub name: String,
    /// What it allows: any of `runs:read`, `runs:write`, `runs:approve`, `runs:work`, `settings:write` and `admin`.
    #[cfg_attr(feature = "server", schema(value_type = Vec<ScopeName>))]
    pub scopes: Vec<Scope>,
    /// The projects it is restricted to; null for all.
    #[cfg_attr(feature = "server", schema(value_type = Option<Vec<String>>))]
    pub projects: Option<Vec<ProjectId>>,
    /// When it was created.
    #[cfg_attr(feature = "server", schema(value_type = String, format = DateTime))]
    pub created_at: Timestamp,
    /// When it expires.
    #[cfg_attr(feature = "server", schema(value_type = Option<String>, format = DateTime))]
    pub expires_at: Option<Timestamp>,
    /// When somebody revoked it.
    #[cfg_attr(feature = "server", schema(value_type = Option<String>, format = DateTime))]
    pub revoked_at: Option<Timestamp>,
    /// When it was last used, give or take a minute.
    #[cfg_attr(feature = "server", schema(value_type = Option<String>, format = DateTime))]
    pub last_used_at: Option<Timestamp>,
}

impl From<TokenBody> for Token {
    fn from(body: TokenBody) -> Self {
        Self {
            id: body.id,
            workspace_id: body.workspace_id,
            name: body.name,
            scopes: body.scopes,
            projects: body.projects,
            created_at: body.created_at,
            expires_at: body.expires_at,
            revoked_at: body.revoked_at,
            last_used_at: body.last_used_at,
        }
    }
}

/// A new token; the only time that the token itself is there.
#[derive(Clone, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = MadeToken))]
#[serde(rename_all = "camelCase")]
pub struct MadeTokenBody {
    /// What is known of it.
    #[serde(flatten)]
    pub known: TokenBody,
    /// The token; shown only once.
    pub token: String,
}

impl MadeTokenBody {
    /// The token and what is known of it.
    ///
    /// # Errors
    /// `internal`: what the server sent is no token.
    pub fn into_made(self) -> Result<MadeToken> {
        let secret = TokenSecret::parse(&self.token)
            .map_err(|_| Error::internal("no token in the server's response"))?;
        Ok(MadeToken { token: self.known.into(), secret })
    }
}
