//! [`Admin`] over HTTP: each method is a route.

use async_trait::async_trait;
use sprongus_core::run::list::Page;
use sprongus_core::values::ids::TokenId;
use sprongus_core::values::names::WorkspaceId;
use sprongus_core::workspace::directory::Workspace;
use sprongus_core::workspace::operator::{OperatorEvent, OperatorFilter};
use sprongus_core::workspace::token::{MadeToken, NewToken, Token};
use sprongus_core::{Admin, ErrorCode, Result};

use super::RunsClient;
use super::address::segment;
use super::call::Call;
use crate::wire::List;
use crate::wire::directory::{NewWorkspaceBody, WorkspaceBody};
use crate::wire::operator::OperatorEventBody;
use crate::wire::token::{MadeTokenBody, NewTokenBody, TokenBody};

#[async_trait]
impl Admin for RunsClient {
    async fn workspaces(&self) -> Result<Vec<Workspace>> {
        let list: List<WorkspaceBody> = self.call(Call::get("/v1/workspaces")).await?;
        Ok(list.data.into_iter().map(Workspace::from).collect())
    }

    async fn create_workspace(&self, id: &WorkspaceId) -> Result<Workspace> {
        let call = Call::post("/v1/workspaces", &NewWorkspaceBody { id: id.clone() })?;
        Ok(self.call::<WorkspaceBody>(call).await?.into())
    }

    async fn delete_workspace(&self, id: &WorkspaceId) -> Result<()> {
        match self.send(&Call::delete(format!("/v1/workspaces/{}", segment(id.as_str())))).await {
            Ok(_) => Ok(()),
            // An earlier try of this call took it.
            Err(refused) if refused.is_repeat && refused.error.code() == ErrorCode::NotFound => Ok(()),
            Err(refused) => Err(refused.error),
        }
    }

    async fn tokens(&self) -> Result<Vec<Token>> {
        let list: List<TokenBody> = self.call(Call::get("/v1/tokens")).await?;
        Ok(list.data.into_iter().map(Token::from).collect())
    }

    /// Not repeated when its outcome is not known: a token that nobody has seen would stay good.
    async fn create_token(&self, token: NewToken) -> Result<MadeToken> {
        let call = Call::post("/v1/tokens", &NewTokenBody::from(token))?.once();
        self.call::<MadeTokenBody>(call).await?.into_made()
    }

    async fn revoke_token(&self, id: TokenId) -> Result<Token> {
        Ok(self.call::<TokenBody>(Call::delete(format!("/v1/tokens/{id}"))).await?.into())
    }

    async fn operator_events(&self, filter: &OperatorFilter) -> Result<Page<OperatorEvent>> {
        let mut call = Call::get("/v1/audit").with("limit", filter.limit);
        for kind in &filter.types {
            call = call.with("type", kind);
        }
        let ones = [
            ("actor", filter.actor.clone()),
            ("since", filter.since.map(|time| time.to_string())),
            ("before", filter.before.map(|time| time.to_string())),
            ("cursor", filter.cursor.clone()),
        ];
        for (name, value) in ones {
            if let Some(value) = value {
                call = call.with(name, value);
            }
        }
        let page: List<OperatorEventBody> = self.call(call).await?;
        let data = page.data.into_iter().map(OperatorEventBody::into_event).collect::<Result<_>>()?;
        Ok(Page { data, next_cursor: page.next_cursor })
    }
}
