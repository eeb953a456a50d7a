//! API tokens. What is kept of one is its hash; the token itself nobody has but its owner.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row};
use sprongus_core::rules::enqueue::unknown_project;
use sprongus_core::runs::Caller;
use sprongus_core::store::Tokens;
use sprongus_core::values::ids::TokenId;
use sprongus_core::workspace::operator::OperatorAct;
use sprongus_core::workspace::token::{NewToken, Token};
use sprongus_core::{Error, Result};

use crate::connection::writer::Tx;
use crate::directory::{PROJECT, known_workspace};
use crate::error::MapDbErr;
use crate::events::operator::note;
use crate::{Sqlite, rows};

macro_rules! token_columns {
    () => {
        "id, workspace_id, name, scopes, projects, created_at, expires_at, revoked_at, last_used_at"
    };
}
pub(crate) use token_columns;

const TOKENS: &str = concat!(
    "SELECT ",
    token_columns!(),
    " FROM api_tokens WHERE workspace_id = ?1 ORDER BY created_at DESC, id DESC"
);
const BY_ID: &str =
    concat!("SELECT ", token_columns!(), " FROM api_tokens WHERE workspace_id = ?1 AND id = ?2");
const BY_HASH: &str = concat!("SELECT ", token_columns!(), " FROM api_tokens WHERE hash = ?1");
const CREATE: &str = concat!(
    "INSERT INTO api_tokens (hash, ",
    token_columns!(),
    ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, NULL, NULL) RETURNING ",
    token_columns!()
);
const REVOKE: &str = concat!(
    "UPDATE api_tokens SET revoked_at = coalesce(revoked_at, ?3) WHERE workspace_id = ?1 AND id = ?2 RETURNING ",
    token_columns!()
);
const USE: &str = "UPDATE api_tokens SET last_used_at = ?3 WHERE workspace_id = ?1 AND id = ?2";

#[async_trait]
impl Tokens for Sqlite {
    async fn tokens(&self, caller: &Caller) -> Result<Vec<Token>> {
        let caller = caller.clone();
        self.read(move |connection, _| tokens(connection, &caller)).await
    }

    async fn create_token(
        &self,
        caller: &Caller,
        id: TokenId,
        token: &NewToken,
        hash: &str,
    ) -> Result<Token> {
        let (caller, token, hash) = (caller.clone(), token.clone(), hash.to_owned());
        self.writer.write(move |tx| create_token(tx, &caller, id, &token, &hash)).await
    }

    async fn revoke_token(&self, caller: &Caller, id: TokenId) -> Result<Token> {
        let caller = caller.clone();
        self.writer.write(move |tx| revoke_token(tx, &caller, id)).await
    }

    async fn token_by_hash(&self, hash: &str) -> Result<Option<Token>> {
        let hash = hash.to_owned();
        self.read(move |connection, _| token_by_hash(connection, &hash)).await
    }

    async fn use_token(&self, token: &Token) -> Result<()> {
        let token = token.clone();
        self.writer.write(move |tx| use_token(tx, &token)).await
    }
}

/// A token as its columns say.
pub fn token(row: &Row<'_>) -> rusqlite::Result<Token> {
    Ok(Token {
        id: rows::text(row, 0)?,
        workspace_id: rows::text(row, 1)?,
        name: row.get(2)?,
        scopes: rows::parsed(row, 3)?.unwrap_or_default(),
        projects: rows::parsed(row, 4)?,
        created_at: rows::text(row, 5)?,
        expires_at: rows::optional(row, 6)?,
        revoked_at: rows::optional(row, 7)?,
        last_used_at: rows::optional(row, 8)?,
    })
}

/// The tokens of the caller's workspace.
pub fn tokens(connection: &Connection, caller: &Caller) -> Result<Vec<Token>> {
    let mut select = connection.prepare_cached(TOKENS).map_db_err()?;
    let tokens = select.query_map([caller.workspace.as_str()], token).map_db_err()?;
    tokens.collect::<rusqlite::Result<_>>().map_db_err()
}

/// Keeps a token by its hash.
pub fn create_token(tx: &Tx<'_>, caller: &Caller, id: TokenId, new: &NewToken, hash: &str) -> Result<Token> {
    known_workspace(tx, caller)?;
    let workspace = caller.workspace.as_str();
    let mut select = tx.connection.prepare_cached(PROJECT).map_db_err()?;
    for project in new.projects.iter().flatten() {
        if !select.exists([workspace, project.as_str()]).map_db_err()? {
            return Err(unknown_project(project));
        }
    }
    let params = rusqlite::params![
        hash,
        id.to_string(),
        workspace,
        new.name,
        rows::to_json(&new.scopes)?,
        new.projects.as_ref().map(rows::to_json).transpose()?,
        tx.now.to_string(),
        new.expires_in.map(|life| tx.now.plus(life).to_string()),
    ];
    let made = tx.connection.prepare_cached(CREATE).map_db_err()?.query_row(params, token).map_db_err()?;
    note(tx, caller, Some(OperatorAct::token_created(&made)))?;
    Ok(made)
}

/// Revokes a token.
pub fn revoke_token(tx: &Tx<'_>, caller: &Caller, id: TokenId) -> Result<Token> {
    let (workspace, name) = (caller.workspace.as_str(), id.to_string());
    let mut select = tx.connection.prepare_cached(BY_ID).map_db_err()?;
    let Some(before) = select.query_row((workspace, &name), token).optional().map_db_err()? else {
        return Err(
            Error::not_found(format_args!("token: {id}")).with_hint("list them with `sprongus token list`")
        );
    };
    let params = (workspace, &name, tx.now.to_string());
    let revoked = tx.connection.prepare_cached(REVOKE).map_db_err()?.query_row(params, token).map_db_err()?;
    note(tx, caller, OperatorAct::token_revoked(&before, &revoked))?;
    Ok(revoked)
}

/// The token of a hash.
pub fn token_by_hash(connection: &Connection, hash: &str) -> Result<Option<Token>> {
    connection.prepare_cached(BY_HASH).map_db_err()?.query_row([hash], token).optional().map_db_err()
}

/// Notes that a token was used; one that is gone by now is passed over.
pub fn use_token(tx: &Tx<'_>, used: &Token) -> Result<()> {
    let params = (used.workspace_id.as_str(), used.id.to_string(), tx.now.to_string());
    tx.connection.prepare_cached(USE).map_db_err()?.execute(params).map_db_err()?;
    Ok(())
}
