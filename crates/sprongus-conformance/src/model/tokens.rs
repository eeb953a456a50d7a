//! API tokens, kept by their hashes.

use std::cmp::Reverse;

use async_trait::async_trait;
use sprongus_core::rules::enqueue::unknown_project;
use sprongus_core::store::Tokens;
use sprongus_core::values::ids::TokenId;
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::operator::OperatorAct;
use sprongus_core::workspace::token::{NewToken, Token};
use sprongus_core::{Caller, Error, Result};

use crate::model::Model;
use crate::model::tables::{Tables, Tenant};

impl Tables {
    pub(super) fn token_by_hash(&self, hash: &str) -> Option<Token> {
        let mut all = self.tenants.values().flat_map(|tenant| tenant.tokens.values());
        all.find(|(_, kept)| kept == hash).map(|(token, _)| token.clone())
    }

    pub(super) fn use_token(&mut self, token: &Token, now: Timestamp) {
        let tenant = self.tenants.get_mut(&token.workspace_id);
        if let Some((kept, _)) = tenant.and_then(|tenant| tenant.tokens.get_mut(&token.id)) {
            kept.last_used_at = Some(now);
        }
    }
}

impl Tenant {
    pub(super) fn tokens(&self) -> Vec<Token> {
        let mut all: Vec<Token> = self.tokens.values().map(|(token, _)| token.clone()).collect();
        all.sort_by_key(|token| Reverse((token.created_at, token.id)));
        all
    }

    pub(super) fn create_token(
        &mut self,
        caller: &Caller,
        id: TokenId,
        new: &NewToken,
        hash: &str,
        now: Timestamp,
    ) -> Result<Token> {
        let missing = new.projects.iter().flatten().find(|project| !self.projects.contains_key(*project));
        if let Some(project) = missing {
            return Err(unknown_project(project));
        }
        let token = Token {
            id,
            workspace_id: self.id.clone(),
            name: new.name.clone(),
            scopes: new.scopes.clone(),
            projects: new.projects.clone(),
            created_at: now,
            expires_at: new.expires_in.map(|life| now.plus(life)),
            revoked_at: None,
            last_used_at: None,
        };
        if let Some((found, _)) = self.tokens.get(&id) {
            return Ok(found.clone());
        }
        self.tokens.insert(id, (token.clone(), hash.to_owned()));
        self.note(caller, Some(OperatorAct::token_created(&token)), now);
        Ok(token)
    }

    pub(super) fn revoke_token(&mut self, caller: &Caller, id: TokenId, now: Timestamp) -> Result<Token> {
        let (token, _) = self.tokens.get_mut(&id).ok_or_else(|| {
            Error::not_found(format_args!("token: {id}")).with_hint("list them with `sprongus token list`")
        })?;
        let before = token.clone();
        token.revoked_at = token.revoked_at.or(Some(now));
        let revoked = token.clone();
        self.note(caller, OperatorAct::token_revoked(&before, &revoked), now);
        Ok(revoked)
    }
}

#[async_trait]
impl Tokens for Model {
    async fn tokens(&self, caller: &Caller) -> Result<Vec<Token>> {
        self.read(caller, |tenant| Ok(tenant.tokens()))
    }

    async fn create_token(
        &self,
        caller: &Caller,
        id: TokenId,
        token: &NewToken,
        hash: &str,
    ) -> Result<Token> {
        let now = self.clock.now();
        self.write(caller, |tenant| tenant.create_token(caller, id, token, hash, now))
    }

    async fn revoke_token(&self, caller: &Caller, id: TokenId) -> Result<Token> {
        let now = self.clock.now();
        self.write(caller, |tenant| tenant.revoke_token(caller, id, now))
    }

    async fn token_by_hash(&self, hash: &str) -> Result<Option<Token>> {
        Ok(self.tables().token_by_hash(hash))
    }

    async fn use_token(&self, token: &Token) -> Result<()> {
        let now = self.clock.now();
        self.tables().use_token(token, now);
        Ok(())
    }
}
