//! What only an operator asks: workspaces, the tokens of one, and its audit. Like [`crate::runs::Runs`] it is asked in process or over HTTP.

use async_trait::async_trait;

use crate::error::Result;
use crate::run::list::Page;
use crate::values::ids::TokenId;
use crate::values::names::WorkspaceId;
use crate::workspace::directory::Workspace;
use crate::workspace::operator::{OperatorEvent, OperatorFilter};
use crate::workspace::token::{MadeToken, NewToken, Token};

/// Everything an operator may ask. Tokens are those of the caller's workspace.
#[async_trait]
pub trait Admin: Send + Sync + 'static {
    /// Every workspace.
    async fn workspaces(&self) -> Result<Vec<Workspace>>;

    /// Makes a workspace; the same again is no error.
    async fn create_workspace(&self, id: &WorkspaceId) -> Result<Workspace>;

    /// Deletes a workspace and everything in it.
    async fn delete_workspace(&self, id: &WorkspaceId) -> Result<()>;

    /// The tokens, revoked and expired ones included, newest first.
    async fn tokens(&self) -> Result<Vec<Token>>;

    /// Makes a token. It is in the answer, and nowhere else.
    async fn create_token(&self, token: NewToken) -> Result<MadeToken>;

    /// Revokes a token; revoking it again changes nothing.
    async fn revoke_token(&self, id: TokenId) -> Result<Token>;

    /// A page of what operators did in the caller's workspace, newest first.
    async fn operator_events(&self, filter: &OperatorFilter) -> Result<Page<OperatorEvent>>;
}
