//! [`Admin`] over a store: what an operator asks.

use async_trait::async_trait;
use serde_json::json;

use super::CallerRuns;
use crate::error::{Error, ErrorCode, Result};
use crate::rules::enqueue::refuse_secrets;
use crate::run::list::Page;
use crate::values::ids::TokenId;
use crate::values::names::WorkspaceId;
use crate::workspace::admin::Admin;
use crate::workspace::directory::Workspace;
use crate::workspace::operator::{OperatorEvent, OperatorFilter};
use crate::workspace::token::{MadeToken, NewToken, Token, TokenSecret};

#[async_trait]
impl Admin for CallerRuns {
    async fn workspaces(&self) -> Result<Vec<Workspace>> {
        self.store().workspaces().await
    }

    async fn create_workspace(&self, id: &WorkspaceId) -> Result<Workspace> {
        refuse_secrets(&[("/id", &json!(id))])?;
        self.store().create_workspace(&self.caller, id).await
    }

    async fn delete_workspace(&self, id: &WorkspaceId) -> Result<()> {
        if *id == WorkspaceId::local() {
            return Err(Error::new(ErrorCode::Conflict, format!("cannot delete the workspace: {id}"))
                .with_hint("every database needs it, and its admins operate the server"));
        }
        self.store().delete_workspace(&self.caller, id).await?;
        self.sweep_behind().await;
        Ok(())
    }

    async fn tokens(&self) -> Result<Vec<Token>> {
        self.store().tokens(&self.caller).await
    }

    async fn create_token(&self, token: NewToken) -> Result<MadeToken> {
        let token = token.checked()?;
        refuse_secrets(&[("/name", &json!(token.name))])?;
        let secret = TokenSecret::generate()?;
        let token = self.store().create_token(&self.caller, TokenId::new(), &token, &secret.hash()).await?;
        Ok(MadeToken { token, secret })
    }

    async fn revoke_token(&self, id: TokenId) -> Result<Token> {
        self.store().revoke_token(&self.caller, id).await
    }

    async fn operator_events(&self, filter: &OperatorFilter) -> Result<Page<OperatorEvent>> {
        let mut page = self.store().operator_events(&self.caller, filter).await?;
        if !self.caller.sees_content {
            page.data.iter_mut().for_each(OperatorEvent::drop_content);
        }
        Ok(page)
    }
}
