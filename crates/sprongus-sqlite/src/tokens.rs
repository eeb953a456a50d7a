//! API tokens. What is kept of one is its hash; the token itself nobody has but its owner.

use async_trait::async_trait;
use rusqlite::Connection;
use sprongus_core::rules::enqueue::unknown_project;
use sprongus_core::runs::Caller;
use sprongus_core::store::Tokens;
use sprongus_core::values::ids::TokenId;
use sprongus_core::workspace::operator::OperatorAct;
use sprongus_core::workspace::token::{NewToken, Token};
use sprongus_core::{Error, Result};

use crate::Sqlite;
use crate::connection::writer::Tx;
use crate::directory::{KNOWN_PROJECT, check_workspace};
use crate::events::operator::note;
use crate::rows::{self, Read, RowReader};

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

/// The columns of a token.
pub fn token(row: &mut RowReader<'_, '_>) -> Read<Token> {
    Ok(Token {
        id: row.parse()?,
        workspace_id: row.parse()?,
        name: row.value()?,
        scopes: row.parse_json()?.unwrap_or_default(),
        projects: row.parse_json()?,
        created_at: row.parse()?,
        expires_at: row.parse_optional()?,
        revoked_at: row.parse_optional()?,
        last_used_at: row.parse_optional()?,
    })
}

fn tokens(connection: &Connection, caller: &Caller) -> Result<Vec<Token>> {
    rows::all(connection, TOKENS, [caller.workspace.as_str()], token)
}

fn create_token(tx: &Tx<'_>, caller: &Caller, id: TokenId, new: &NewToken, hash: &str) -> Result<Token> {
    check_workspace(tx, caller)?;
    let workspace = caller.workspace.as_str();
    for project in new.projects.iter().flatten() {
        if !rows::exists(tx.connection, KNOWN_PROJECT, [workspace, project.as_str()])? {
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
    let made = rows::only(tx.connection, CREATE, params, token)?;
    note(tx, caller, Some(OperatorAct::token_created(&made)))?;
    Ok(made)
}

fn revoke_token(tx: &Tx<'_>, caller: &Caller, id: TokenId) -> Result<Token> {
    let (workspace, name) = (caller.workspace.as_str(), id.to_string());
    let Some(before) = rows::first(tx.connection, BY_ID, (workspace, &name), token)? else {
        return Err(
            Error::not_found(format_args!("token: {id}")).with_hint("list them with `sprongus token list`")
        );
    };
    let revoked = rows::only(tx.connection, REVOKE, (workspace, &name, tx.now.to_string()), token)?;
    note(tx, caller, OperatorAct::token_revoked(&before, &revoked))?;
    Ok(revoked)
}

fn token_by_hash(connection: &Connection, hash: &str) -> Result<Option<Token>> {
    rows::first(connection, BY_HASH, [hash], token)
}

/// Notes that a token was used; one that is gone by now is passed over.
fn use_token(tx: &Tx<'_>, used: &Token) -> Result<()> {
    let used = (used.workspace_id.as_str(), used.id.to_string(), tx.now.to_string());
    rows::execute(tx.connection, USE, used).map(drop)
}
