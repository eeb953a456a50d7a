//! Who asks: the token of a request, the workspace it is good for, and what it allows.
//!
//! A token that was seen good is believed for a second, so that a busy one does not cost a look into the database each time; on
//! the server that revokes it, it is refused at once. Whatever is wrong with a token, the answer is the same.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use sprongus_core::names::WorkspaceId;
use sprongus_core::store::Store;
use sprongus_core::token::{self, Scope, Token, TokenSecret};
use sprongus_core::{Admin, Caller, Error, ErrorCode, Result, Runs};

use super::Shared;
use super::answer::{Refused, shown};
use super::context::{note_rate, traceparent};
use crate::wire::WORKSPACE_HEADER;

/// How long a token is believed without a look.
const BELIEVED: Duration = Duration::from_secs(1);

/// How often a token's last use is noted.
const NOTED: Duration = Duration::from_secs(60);

/// Tokens beyond this many make old ones be forgotten.
const KEPT: usize = 10_000;

struct Seen {
    token: Arc<Token>,
    at: Instant,
    noted: Instant,
}

/// The tokens that were seen lately, by their hashes.
pub struct Tokens {
    store: Arc<dyn Store>,
    seen: Mutex<HashMap<String, Seen>>,
}

impl Tokens {
    /// Those of a store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, seen: Mutex::default() }
    }

    /// The live token of a hash.
    ///
    /// # Errors
    /// `unauthenticated`; `unavailable` when the database cannot be asked.
    pub async fn live(&self, hash: &str) -> Result<Arc<Token>> {
        let now = Instant::now();
        {
            let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(known) = seen.get(hash)
                && now.duration_since(known.at) < BELIEVED
                && now.duration_since(known.noted) < NOTED
            {
                return Ok(Arc::clone(&known.token));
            }
        }
        let found = self.store.token_by_hash(hash).await?;
        let Some(token) = found else { return Err(token::refused()) };
        if !token.is_live(self.store.now().await?) {
            self.forget(hash);
            return Err(token::refused());
        }
        let token = Arc::new(token);
        let is_to_be_noted = self.keep(hash, &token, now);
        if is_to_be_noted {
            let (store, used) = (Arc::clone(&self.store), Arc::clone(&token));
            // Behind the caller's back: when it was used is not worth a wait, nor a refusal.
            tokio::spawn(async move {
                if let Err(error) = store.use_token(&used).await {
                    tracing::debug!(?error, "a token's use was not noted");
                }
            });
        }
        Ok(token)
    }

    /// Keeps what was seen; answers whether its use should be noted.
    fn keep(&self, hash: &str, token: &Arc<Token>, now: Instant) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= KEPT {
            seen.retain(|_, known| now.duration_since(known.at) < BELIEVED);
        }
        let noted =
            seen.get(hash).map(|known| known.noted).filter(|&noted| now.duration_since(noted) < NOTED);
        let known = Seen { token: Arc::clone(token), at: now, noted: noted.unwrap_or(now) };
        seen.insert(hash.to_owned(), known);
        noted.is_none()
    }

    fn forget(&self, hash: &str) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).remove(hash);
    }

    /// Makes every token be looked at again: one was revoked, or a workspace is gone.
    pub fn forget_all(&self) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Somebody with a live token.
pub struct Asker {
    /// The token.
    pub token: Arc<Token>,
    /// The token's hash, to look again later.
    pub hash: String,
    /// On whose behalf things are asked.
    pub caller: Caller,
    shared: Arc<Shared>,
}

impl Asker {
    /// Whoever brings this token, in the token's own workspace.
    ///
    /// # Errors
    /// `unauthenticated`; `unavailable` when the database cannot be asked.
    pub async fn with(secret: &TokenSecret, shared: &Arc<Shared>) -> Result<Self> {
        let hash = secret.hash();
        let token = shared.tokens.live(&hash).await?;
        let caller = Caller {
            token_id: Some(token.id),
            projects: token.projects.clone(),
            traceparent: traceparent(),
            ..Caller::new(token.workspace_id.clone(), token.name.clone())
        };
        Ok(Self { token, hash, caller, shared: Arc::clone(shared) })
    }

    /// The runs that it may touch.
    pub fn runs(&self) -> Arc<dyn Runs> {
        self.shared.service.for_caller(self.caller.clone())
    }

    /// What it may ask as an operator.
    pub fn admin(&self) -> Arc<dyn Admin> {
        self.shared.service.admin(self.caller.clone())
    }

    /// Whether it may manage workspaces: an admin of the workspace `default` operates the server.
    pub fn is_operator(&self) -> bool {
        is_operator(&self.token)
    }

    /// Refuses somebody whose token lacks a scope.
    ///
    /// # Errors
    /// `forbidden`.
    pub fn require(&self, scope: Scope) -> Result<()> {
        if self.token.allows(scope) {
            return Ok(());
        }
        Err(Error::new(ErrorCode::Forbidden, format!("the token lacks the scope {scope}"))
            .with_hint(format!("ask for a token with the scope {scope}")))
    }

    /// Lets one more enqueue, cancel or retry in.
    ///
    /// # Errors
    /// `rate_limited`.
    pub fn admit(&self) -> Result<()> {
        let Some((taken, left)) = self.shared.rates.take(self.token.id, 1, true) else { return Ok(()) };
        note_rate(left);
        if taken {
            return Ok(());
        }
        Err(Error::new(ErrorCode::RateLimited, "too many enqueues, cancels and retries by this token"))
    }

    /// Takes the further items of a batch that was let in.
    pub fn charge(&self, items: usize) {
        if let Some((_, left)) = self.shared.rates.take(self.token.id, items, false) {
            note_rate(left);
        }
    }
}

fn is_operator(token: &Token) -> bool {
    token.allows(Scope::Admin) && token.workspace_id == WorkspaceId::local()
}

impl FromRequestParts<Arc<Shared>> for Asker {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Refused> {
        let secret = bearer(&parts.headers)?;
        let mut asker = Self::with(&secret, shared).await?;
        asker.caller.workspace = workspace(&parts.headers, &asker.token, shared).await?;
        Ok(asker)
    }
}

fn bearer(headers: &HeaderMap) -> Result<TokenSecret> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (given.next(), given.next()) else { return Err(token::refused()) };
    let text = value.to_str().map_err(|_| token::refused())?;
    let (scheme, rest) = text.split_once(' ').ok_or_else(token::refused)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(token::refused());
    }
    TokenSecret::parse(rest.trim())
}

/// The workspace that is meant. A token is good for one; an operator's for any that exists. Another one is answered like one that
/// does not exist.
async fn workspace(headers: &HeaderMap, token: &Token, shared: &Shared) -> Result<WorkspaceId> {
    let Some(named) = headers.get(WORKSPACE_HEADER) else { return Ok(token.workspace_id.clone()) };
    let text = named.to_str().unwrap_or_default();
    let unknown = || {
        Error::not_found(format_args!("workspace: {}", shown(text)))
            .with_hint("a token is good for one workspace; `sprongus workspaces create` makes one")
    };
    let named: WorkspaceId = text.parse().map_err(|_| unknown())?;
    if named == token.workspace_id {
        return Ok(named);
    }
    if is_operator(token) && shared.service.store().workspaces().await?.iter().any(|known| known.id == named)
    {
        return Ok(named);
    }
    Err(unknown())
}

macro_rules! with_scope {
    ($($(#[$doc:meta])* $name:ident, $scope:expr, $limited:literal;)+) => {$(
        $(#[$doc])*
        pub struct $name(pub Asker);

        impl FromRequestParts<Arc<Shared>> for $name {
            type Rejection = Refused;

            async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Refused> {
                let asker = Asker::from_request_parts(parts, shared).await?;
                asker.require($scope)?;
                if $limited {
                    asker.admit()?;
                }
                Ok(Self(asker))
            }
        }
    )+};
}

with_scope! {
    /// Somebody who may look.
    Reader, Scope::Read, false;
    /// Somebody who may enqueue, cancel and retry, and has not done so too often.
    Writer, Scope::Write, true;
    /// Somebody who may make projects and agent tasks.
    Maker, Scope::Write, false;
    /// Somebody who may answer gates.
    Approver, Scope::Approve, false;
    /// Somebody who may claim and report.
    Worker, Scope::Work, false;
    /// Somebody who may manage tokens, kinds, workers and retention.
    Operator, Scope::Admin, false;
}
