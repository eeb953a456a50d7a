//! API tokens. What is kept of one is its hash; the token itself nobody has but its owner.

use async_trait::async_trait;
use sprongus_core::rules::enqueue::unknown_project;
use sprongus_core::runs::Caller;
use sprongus_core::store::Tokens;
use sprongus_core::values::ids::TokenId;
use sprongus_core::values::names::WorkspaceId;
use sprongus_core::workspace::operator::OperatorAct;
use sprongus_core::workspace::token::{NewToken, Token};
use sprongus_core::{Error, Result as CoreResult};
use tokio_postgres::Row;

use crate::Postgres;
use crate::connection::retry::retry_idempotent;
use crate::connection::session::{Database, Params, all};
use crate::directory::{known_workspace, now, single_row, write};
use crate::error::Result;
use crate::events::operator::commit;
use crate::rows::values::{JsonText, Time, uuid};
use crate::rows::{Reader, to_json, unreadable};

macro_rules! token_columns {
    () => {
        "id, workspace_id, name, scopes, projects, created_at, expires_at, revoked_at, last_used_at"
    };
}

const TOKENS: &str = concat!(
    "SELECT ",
    token_columns!(),
    " FROM api_tokens WHERE workspace_id = $1 ORDER BY created_at DESC, id DESC"
);
const BY_ID: &str =
    concat!("SELECT ", token_columns!(), " FROM api_tokens WHERE workspace_id = $1 AND id = $2");
const TO_REVOKE: &str =
    concat!("SELECT ", token_columns!(), " FROM api_tokens WHERE workspace_id = $1 AND id = $2 FOR UPDATE");
/// Policies let a statement see its own workspace alone; whose token it is, only the owner's function can say.
const BY_HASH: &str = concat!("SELECT ", token_columns!(), " FROM token_by_hash($1)");
const MISSING_PROJECTS: &str = "
    SELECT asked.id FROM unnest($2::text[]) WITH ORDINALITY AS asked (id, place)
    WHERE NOT EXISTS (SELECT FROM projects p WHERE p.workspace_id = $1 AND p.id = asked.id) ORDER BY place";
const CREATE: &str = "
    INSERT INTO api_tokens (workspace_id, id, hash, name, scopes, projects, created_at, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (id) DO NOTHING RETURNING id";
const REVOKE: &str = concat!(
    "UPDATE api_tokens SET revoked_at = coalesce(revoked_at, $3) WHERE workspace_id = $1 AND id = $2 RETURNING ",
    token_columns!()
);
const USE: &str = "
    UPDATE api_tokens SET last_used_at = coalesce($3::timestamptz, date_trunc('milliseconds', clock_timestamp()))
    WHERE workspace_id = $1 AND id = $2";

#[async_trait]
impl Tokens for Postgres {
    async fn tokens(&self, caller: &Caller) -> CoreResult<Vec<Token>> {
        retry_idempotent(|| tokens(&self.database, caller)).await
    }

    async fn create_token(
        &self,
        caller: &Caller,
        id: TokenId,
        token: &NewToken,
        hash: &str,
    ) -> CoreResult<Token> {
        retry_idempotent(|| create_token(&self.database, caller, id, token, hash)).await
    }

    async fn revoke_token(&self, caller: &Caller, id: TokenId) -> CoreResult<Token> {
        retry_idempotent(|| revoke_token(&self.database, caller, id)).await
    }

    async fn token_by_hash(&self, hash: &str) -> CoreResult<Option<Token>> {
        retry_idempotent(|| token_by_hash(&self.database, hash)).await
    }

    async fn use_token(&self, token: &Token) -> CoreResult<()> {
        retry_idempotent(|| use_token(&self.database, token)).await
    }
}

/// A token as its columns say.
pub fn token(row: &Row) -> Result<Token> {
    let mut row = Reader::from(row, 0);
    Ok(Token {
        id: TokenId::from_bits(row.bits()?),
        workspace_id: row.text()?,
        name: row.plain()?,
        scopes: row.parsed()?.unwrap_or_default(),
        projects: row.parsed()?,
        created_at: row.time()?,
        expires_at: row.optional_time()?,
        revoked_at: row.optional_time()?,
        last_used_at: row.optional_time()?,
    })
}

/// The tokens of the caller's workspace.
pub async fn tokens(database: &Database, caller: &Caller) -> Result<Vec<Token>> {
    all(database, &caller.workspace, TOKENS, &[&caller.workspace.as_str()], token).await
}

/// Keeps a token by its hash; asked again it finds what it made.
pub async fn create_token(
    database: &Database,
    caller: &Caller,
    id: TokenId,
    new: &NewToken,
    hash: &str,
) -> Result<Token> {
    known_workspace(database, caller).await?;
    let workspace = caller.workspace.as_str();
    let asked: Vec<&str> = new.projects.iter().flatten().map(|project| project.as_str()).collect();
    let read = |row: &Row| Ok(row.try_get::<_, &str>(0)?.parse().map_err(unreadable)?);
    let missing = all(database, &caller.workspace, MISSING_PROJECTS, &[&workspace, &asked], read).await?;
    if let Some(project) = missing.first() {
        return Err(unknown_project(project).into());
    }
    let now = now(database).await?;
    let (id, created) = (uuid(id.to_bits()), Time(now));
    let expires = new.expires_in.map(|life| Time(now.plus(life)));
    let (scopes, projects) = (to_json(&new.scopes)?, new.projects.as_ref().map(to_json).transpose()?);
    let (scopes, projects) = (JsonText(&scopes), projects.as_deref().map(JsonText));
    let asked: [(&str, Params<'_>); 2] = [
        (CREATE, &[&workspace, &id, &hash, &new.name, &scopes, &projects, &created, &expires]),
        (BY_ID, &[&workspace, &id]),
    ];
    let mut session = database.session().await?;
    let rows = session.begin_with(&caller.workspace, &asked).await?;
    let is_new = rows.first().is_some_and(|rows| !rows.is_empty());
    let made = single_row(rows, token)?;
    commit(session, caller, is_new.then(|| OperatorAct::token_created(&made)), now).await?;
    Ok(made)
}

/// Revokes a token.
pub async fn revoke_token(database: &Database, caller: &Caller, id: TokenId) -> Result<Token> {
    let (workspace, bits, now) = (caller.workspace.as_str(), uuid(id.to_bits()), now(database).await?);
    let asked: [(&str, Params<'_>); 2] =
        [(TO_REVOKE, &[&workspace, &bits]), (REVOKE, &[&workspace, &bits, &Time(now)])];
    let mut session = database.session().await?;
    let rows = session.begin_with(&caller.workspace, &asked).await?;
    let Some(before) = rows.first().and_then(|rows| rows.first()).map(token).transpose()? else {
        session.roll_back().await?;
        return Err(Error::not_found(format_args!("token: {id}"))
            .with_hint("list them with `sprongus token list`")
            .into());
    };
    let revoked = single_row(rows, token)?;
    commit(session, caller, OperatorAct::token_revoked(&before, &revoked), now).await?;
    Ok(revoked)
}

/// The token of a hash.
pub async fn token_by_hash(database: &Database, hash: &str) -> Result<Option<Token>> {
    Ok(all(database, &WorkspaceId::local(), BY_HASH, &[&hash], token).await?.pop())
}

/// Notes that a token was used; one that is gone by now is passed over.
pub async fn use_token(database: &Database, used: &Token) -> Result<()> {
    let (workspace, id, clock) =
        (used.workspace_id.as_str(), uuid(used.id.to_bits()), database.clock_override());
    write(database, &used.workspace_id, &[(USE, &[&workspace, &id, &clock])]).await?;
    Ok(())
}
