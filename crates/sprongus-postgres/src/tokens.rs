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

use crate::Postgres;
use crate::connection::clock::now_sql;
use crate::connection::retry::retry_idempotent;
use crate::connection::session::{Database, Params};
use crate::directory::{KNOWN_WORKSPACE, check_workspace};
use crate::error::Result;
use crate::events::operator::commit;
use crate::rows::values::{JsonText, uuid};
use crate::rows::{self, RowReader, millis, to_json};

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
const CREATE: &str = concat!(
    "WITH present AS MATERIALIZED (SELECT ",
    now_sql!("$7"),
    " AS now)
    INSERT INTO api_tokens (workspace_id, id, hash, name, scopes, projects, created_at, expires_at)
    SELECT $1, $2, $3, $4, $5, $6, now, now + $8::bigint * interval '1 millisecond' FROM present
    WHERE EXISTS (SELECT FROM workspaces WHERE id = $1) ON CONFLICT (id) DO NOTHING RETURNING id"
);
const REVOKE: &str = concat!(
    "UPDATE api_tokens SET revoked_at = coalesce(revoked_at, ",
    now_sql!("$3"),
    ") WHERE workspace_id = $1 AND id = $2 RETURNING ",
    token_columns!()
);
const USE: &str =
    concat!("UPDATE api_tokens SET last_used_at = ", now_sql!("$3"), " WHERE workspace_id = $1 AND id = $2");

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

/// The columns of a token.
pub fn token(row: &mut RowReader<'_>) -> Result<Token> {
    Ok(Token {
        id: TokenId::from_bits(row.bits()?),
        workspace_id: row.parse()?,
        name: row.value()?,
        scopes: row.parse_json()?.unwrap_or_default(),
        projects: row.parse_json()?,
        created_at: row.time()?,
        expires_at: row.optional_time()?,
        revoked_at: row.optional_time()?,
        last_used_at: row.optional_time()?,
    })
}

async fn tokens(database: &Database, caller: &Caller) -> Result<Vec<Token>> {
    let [found] = database.read(&caller.workspace, [(TOKENS, &[&caller.workspace.as_str()])]).await?;
    rows::all(&found, token)
}

/// Keeps a token by its hash; asked again it finds what it made.
async fn create_token(
    database: &Database,
    caller: &Caller,
    id: TokenId,
    new: &NewToken,
    hash: &str,
) -> Result<Token> {
    let (workspace, id, clock) = (caller.workspace.as_str(), uuid(id.to_bits()), database.clock_override());
    let named: Vec<&str> = new.projects.iter().flatten().map(|project| project.as_str()).collect();
    let life = new.expires_in.map(millis);
    let (scopes, projects) = (to_json(&new.scopes)?, new.projects.as_ref().map(to_json).transpose()?);
    let (scopes, projects) = (JsonText(&scopes), projects.as_deref().map(JsonText));
    let asked: [(&str, Params<'_>); 4] = [
        (KNOWN_WORKSPACE, &[&workspace]),
        (MISSING_PROJECTS, &[&workspace, &named]),
        (CREATE, &[&workspace, &id, &hash, &new.name, &scopes, &projects, &clock, &life]),
        (BY_ID, &[&workspace, &id]),
    ];
    let mut session = database.session().await?;
    let [known, missing, created, found] = session.begin_with(&caller.workspace, asked).await?;
    if let Err(unknown) = check_workspace(caller, &known) {
        return session.refuse(unknown).await;
    }
    if let Some(project) = rows::first(&missing, |row| row.parse())? {
        return session.refuse(unknown_project(&project)).await;
    }
    let made = rows::only(&found, token)?;
    let act = (!created.is_empty()).then(|| (OperatorAct::token_created(&made), made.created_at));
    commit(session, caller, act).await?;
    Ok(made)
}

async fn revoke_token(database: &Database, caller: &Caller, id: TokenId) -> Result<Token> {
    let (workspace, bits, clock) = (caller.workspace.as_str(), uuid(id.to_bits()), database.clock_override());
    let asked: [(&str, Params<'_>); 2] =
        [(TO_REVOKE, &[&workspace, &bits]), (REVOKE, &[&workspace, &bits, &clock])];
    let mut session = database.session().await?;
    let [before, after] = session.begin_with(&caller.workspace, asked).await?;
    let Some(before) = rows::first(&before, token)? else {
        let unknown =
            Error::not_found(format_args!("token: {id}")).with_hint("list them with `sprongus token list`");
        return session.refuse(unknown).await;
    };
    let revoked = rows::only(&after, token)?;
    commit(session, caller, OperatorAct::token_revoked(&before, &revoked).zip(revoked.revoked_at)).await?;
    Ok(revoked)
}

async fn token_by_hash(database: &Database, hash: &str) -> Result<Option<Token>> {
    let [found] = database.read(&WorkspaceId::local(), [(BY_HASH, &[&hash])]).await?;
    rows::first(&found, token)
}

/// Notes that a token was used; one that is gone by now is passed over.
async fn use_token(database: &Database, used: &Token) -> Result<()> {
    let (workspace, id, clock) =
        (used.workspace_id.as_str(), uuid(used.id.to_bits()), database.clock_override());
    database.transact(&used.workspace_id, [(USE, &[&workspace, &id, &clock])]).await.map(drop)
}
