//! Sessions of the dashboard. What is kept of one is its hash.

use async_trait::async_trait;
use sprongus_core::Result;
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::session::{MAX_SESSIONS, Session, Sessions};
use sprongus_core::workspace::token::{Token, refused};

use crate::Sqlite;
use crate::rows::{self, Read, RowReader};
use crate::tokens::{token, token_columns};

const FORGET_EXPIRED: &str = "DELETE FROM sessions WHERE workspace_id = ?1 AND expires_at <= ?2";
const FORGET_OLDEST: &str = "
    DELETE FROM sessions WHERE token_id = ?1 AND hash NOT IN (
        SELECT hash FROM sessions WHERE token_id = ?1 ORDER BY created_at DESC, hash LIMIT ?2)";
const OPEN: &str = "
    INSERT INTO sessions (hash, workspace_id, token_id, created_at, expires_at)
    SELECT ?1, workspace_id, id, ?4, ?5 FROM api_tokens WHERE workspace_id = ?2 AND id = ?3";
/// The token's columns come first, as everywhere; they are those of no session.
const FIND: &str = concat!(
    "SELECT ",
    token_columns!(),
    ", (SELECT expires_at FROM sessions WHERE hash = ?1) FROM api_tokens ",
    "WHERE id = (SELECT token_id FROM sessions WHERE hash = ?1)"
);
const CLOSE: &str = "DELETE FROM sessions WHERE workspace_id = ?1 AND token_id = ?2 AND hash = ?3";

fn session(row: &mut RowReader<'_, '_>) -> Read<Session> {
    Ok(Session { token: token(row)?, expires_at: row.parse()? })
}

#[async_trait]
impl Sessions for Sqlite {
    async fn open_session(&self, token: &Token, hash: &str, expires_at: Timestamp) -> Result<()> {
        let (workspace, id) = (token.workspace_id.clone(), token.id.to_string());
        let (hash, expires_at) = (hash.to_owned(), expires_at.to_string());
        self.writer
            .write(move |tx| {
                let (workspace, now) = (workspace.as_str(), tx.now.to_string());
                let execute =
                    |sql: &str, params: &[&dyn rusqlite::ToSql]| rows::execute(tx.connection, sql, params);
                execute(FORGET_EXPIRED, &[&workspace, &now])?;
                execute(FORGET_OLDEST, &[&id, &(MAX_SESSIONS - 1)])?;
                match execute(OPEN, &[&hash, &workspace, &id, &now, &expires_at])? {
                    0 => Err(refused()),
                    _ => Ok(()),
                }
            })
            .await
    }

    async fn session(&self, hash: &str) -> Result<Option<Session>> {
        let hash = hash.to_owned();
        self.read(move |connection, _| rows::first(connection, FIND, [hash], session)).await
    }

    async fn close_session(&self, token: &Token, hash: &str) -> Result<()> {
        let (workspace, id) = (token.workspace_id.clone(), token.id.to_string());
        let hash = hash.to_owned();
        let close = (workspace.as_str().to_owned(), id, hash);
        self.writer
            .write(move |tx| {
                let params = (&close.0, &close.1, &close.2);
                rows::execute(tx.connection, CLOSE, params)?;
                Ok(())
            })
            .await
    }
}
