//! Sessions of the dashboard, kept by their hashes.

use async_trait::async_trait;
use sprongus_core::Result;
use sprongus_core::values::ids::TokenId;
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::session::{MAX_SESSIONS, Session, Sessions};
use sprongus_core::workspace::token::{Token, refused};

use crate::model::Model;

/// A session without its token.
pub(super) struct Kept {
    token_id: TokenId,
    created_at: Timestamp,
    expires_at: Timestamp,
}

#[async_trait]
impl Sessions for Model {
    async fn open_session(&self, token: &Token, hash: &str, expires_at: Timestamp) -> Result<()> {
        let created_at = self.clock.now();
        let mut tables = self.tables();
        let tenant = tables.tenant_mut(&token.workspace_id).map_err(|_| refused())?;
        if !tenant.tokens.contains_key(&token.id) {
            return Err(refused());
        }
        tenant.sessions.retain(|_, kept| created_at < kept.expires_at);
        let own = |kept: &Kept| kept.token_id == token.id;
        while tenant.sessions.values().filter(|kept| own(kept)).count() >= MAX_SESSIONS as usize {
            let mine = tenant.sessions.iter().filter(|(_, kept)| own(kept));
            let oldest = mine.min_by_key(|(_, kept)| kept.created_at).map(|(hash, _)| hash.clone());
            oldest.map(|hash| tenant.sessions.remove(&hash));
        }
        tenant.sessions.insert(hash.to_owned(), Kept { token_id: token.id, created_at, expires_at });
        Ok(())
    }

    async fn session(&self, hash: &str) -> Result<Option<Session>> {
        let tables = self.tables();
        Ok(tables.tenants.values().find_map(|tenant| {
            let kept = tenant.sessions.get(hash)?;
            let (token, _) = tenant.tokens.get(&kept.token_id)?;
            Some(Session { token: token.clone(), expires_at: kept.expires_at })
        }))
    }

    async fn close_session(&self, token: &Token, hash: &str) -> Result<()> {
        let mut tables = self.tables();
        let Ok(tenant) = tables.tenant_mut(&token.workspace_id) else { return Ok(()) };
        if tenant.sessions.get(hash).is_some_and(|kept| kept.token_id == token.id) {
            tenant.sessions.remove(hash);
        }
        Ok(())
    }
}
