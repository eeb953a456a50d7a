//! Sessions of the dashboard. What is kept of one is its hash.

use async_trait::async_trait;
use sprongus_core::Result;
use sprongus_core::values::names::WorkspaceId;
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::session::{MAX_SESSIONS, Session, Sessions};
use sprongus_core::workspace::token::{Token, refused};

use crate::Postgres;
use crate::connection::clock::now_sql;
use crate::connection::retry::retry_idempotent;
use crate::connection::session::Params;
use crate::error::Result as Read;
use crate::rows::values::{Time, uuid};
use crate::rows::{self, RowReader};
use crate::tokens::token;

const FORGET_EXPIRED: &str =
    concat!("DELETE FROM sessions WHERE workspace_id = $1 AND expires_at <= (SELECT ", now_sql!("$2"), ")");
const FORGET_OLDEST: &str = "
    DELETE FROM sessions WHERE workspace_id = $1 AND token_id = $2 AND hash NOT IN (
        SELECT hash FROM sessions WHERE workspace_id = $1 AND token_id = $2 ORDER BY created_at DESC, hash LIMIT $3)";
const OPEN: &str = concat!(
    "INSERT INTO sessions (hash, workspace_id, token_id, created_at, expires_at) SELECT $1, workspace_id, id, ",
    now_sql!("$4"),
    ", $5 FROM api_tokens WHERE workspace_id = $2 AND id = $3 ON CONFLICT (hash) DO NOTHING"
);
const IS_OPEN: &str = "SELECT FROM sessions WHERE workspace_id = $1 AND token_id = $2 AND hash = $3";
/// Policies let a statement see its own workspace alone; whose session it is, only the owner's function can say.
const FIND: &str = "
    SELECT token_id, workspace_id, name, scopes, projects, created_at, expires_at, revoked_at, last_used_at, session_expires_at
    FROM session_by_hash($1)";
const CLOSE: &str = "DELETE FROM sessions WHERE workspace_id = $1 AND token_id = $2 AND hash = $3";

fn session(row: &mut RowReader<'_>) -> Read<Session> {
    Ok(Session { token: token(row)?, expires_at: row.time()? })
}

#[async_trait]
impl Sessions for Postgres {
    async fn open_session(&self, token: &Token, hash: &str, expires_at: Timestamp) -> Result<()> {
        let (workspace, id) = (token.workspace_id.as_str(), uuid(token.id.to_bits()));
        let others = i64::from(MAX_SESSIONS - 1);
        let is_open = retry_idempotent(|| async {
            let (clock, end) = (self.database.clock_override(), Time(expires_at));
            let asked: [(&str, Params<'_>); 4] = [
                (FORGET_EXPIRED, &[&workspace, &clock]),
                (FORGET_OLDEST, &[&workspace, &id, &others]),
                (OPEN, &[&hash, &workspace, &id, &clock, &end]),
                (IS_OPEN, &[&workspace, &id, &hash]),
            ];
            let [.., open] = self.database.transact(&token.workspace_id, asked).await?;
            Ok(!open.is_empty())
        })
        .await?;
        if is_open { Ok(()) } else { Err(refused()) }
    }

    async fn session(&self, hash: &str) -> Result<Option<Session>> {
        retry_idempotent(|| async {
            let [found] = self.database.read(&WorkspaceId::local(), [(FIND, &[&hash])]).await?;
            rows::first(&found, session)
        })
        .await
    }

    async fn close_session(&self, token: &Token, hash: &str) -> Result<()> {
        let (workspace, id) = (token.workspace_id.as_str(), uuid(token.id.to_bits()));
        retry_idempotent(|| async {
            let close: Params<'_> = &[&workspace, &id, &hash];
            self.database.transact(&token.workspace_id, [(CLOSE, close)]).await.map(drop)
        })
        .await
    }
}
