//! The tokens of the API.

use async_trait::async_trait;

use crate::error::Result;
use crate::values::ids::TokenId;
use crate::workspace::caller::Caller;
use crate::workspace::token::{NewToken, Token};

/// API tokens, kept by their hashes. Their sessions are [`crate::workspace::session::Sessions`].
#[async_trait]
pub trait Tokens: Send + Sync + 'static {
    /// The tokens of the caller's workspace, newest first.
    async fn tokens(&self, caller: &Caller) -> Result<Vec<Token>>;

    /// Keeps a token by its hash. A project that nobody made is refused, and `not_found` is an unknown workspace.
    async fn create_token(&self, caller: &Caller, id: TokenId, token: &NewToken, hash: &str)
    -> Result<Token>;

    /// Revokes a token of the caller's workspace; one that is revoked stays as it is.
    async fn revoke_token(&self, caller: &Caller, id: TokenId) -> Result<Token>;

    /// The token of a hash, whatever its workspace, revoked or expired or not.
    async fn token_by_hash(&self, hash: &str) -> Result<Option<Token>>;

    /// Notes that a token was used now.
    async fn use_token(&self, token: &Token) -> Result<()>;
}
