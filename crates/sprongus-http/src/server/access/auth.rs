//! Who asks: the token of a request, the workspace it is good for, and what it allows.
//!
//! A token that was found good is trusted for a second, so that a busy one does not cost a read of the database each time; on the server
//! that revokes it, it is refused at once. Whatever is wrong with a token, the answer is the same.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use sprongus_core::schedules::Schedules;
use sprongus_core::store::Store;
use sprongus_core::values::names::WorkspaceId;
use sprongus_core::workspace::token::{self, Scope, Token, TokenSecret};
use sprongus_core::{Admin, Caller, Error, ErrorCode, Result, Runs};

use super::waiting_limit::WaitingPermit;
use crate::server::Shared;
use crate::server::context::{note_rate, traceparent};
use crate::server::response::{ApiError, shown};
use crate::wire::WORKSPACE_HEADER;

/// How long a token is trusted before it is read again.
const TRUSTED: Duration = Duration::from_secs(1);

/// How often a token's last use is noted.
const NOTED: Duration = Duration::from_secs(60);

/// Tokens beyond this many make old ones be forgotten.
const KEPT: usize = 10_000;

/// What identifies a token.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Credential {
    /// The hash of the token itself.
    Token(String),
    /// The hash of a session of the dashboard, which is good there alone.
    Session(String),
}

struct Seen {
    token: Arc<Token>,
    at: Instant,
    /// When the token or the session expires.
    ends: Option<Instant>,
    noted: Instant,
}

#[derive(Default)]
struct Trusted {
    /// Counts how often everything was forgotten: what was read before that is not kept after it.
    generation: u64,
    seen: HashMap<Credential, Seen>,
}

/// The tokens that were found good within the last second.
pub struct Tokens {
    store: Arc<dyn Store>,
    trusted: Mutex<Trusted>,
}

impl Tokens {
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, trusted: Mutex::default() }
    }

    /// The live token of a credential, as it was within the last second.
    ///
    /// # Errors
    /// `unauthenticated`; `unavailable` when the database cannot be asked.
    pub async fn live(&self, credential: &Credential) -> Result<Arc<Token>> {
        let now = Instant::now();
        {
            let trusted = self.trusted();
            if let Some(known) = trusted.seen.get(credential)
                && now.duration_since(known.at) < TRUSTED
                && now.duration_since(known.noted) < NOTED
                && known.ends.is_none_or(|end| now < end)
            {
                return Ok(Arc::clone(&known.token));
            }
        }
        self.refresh(credential).await
    }

    /// The live token of a credential, as the database has it now.
    ///
    /// # Errors
    /// As [`Tokens::live`].
    pub async fn refresh(&self, credential: &Credential) -> Result<Arc<Token>> {
        let (now, generation) = (Instant::now(), self.trusted().generation);
        let found = match credential {
            Credential::Token(hash) => self.store.token_by_hash(hash).await?.map(|token| (token, None)),
            Credential::Session(hash) => {
                self.store.session(hash).await?.map(|session| (session.token, Some(session.expires_at)))
            }
        };
        let present = self.store.now().await?;
        let live = found.filter(|(token, end)| token.is_live(present) && end.is_none_or(|end| present < end));
        let Some((token, end)) = live else {
            self.forget(credential);
            return Err(token::refused());
        };
        let end = token.expires_at.into_iter().chain(end).min();
        let (ends, token) = (end.map(|end| now + end.since(present)), Arc::new(token));
        let is_to_be_noted = self.keep(generation, credential, &token, now, ends);
        if is_to_be_noted {
            let (store, used) = (Arc::clone(&self.store), Arc::clone(&token));
            // Behind the caller's back: when it was used is not worth a wait, nor a refusal.
            tokio::spawn(async move {
                if let Err(error) = store.use_token(&used).await {
                    tracing::debug!(?error, "could not record the use of a token");
                }
            });
        }
        Ok(token)
    }

    fn trusted(&self) -> MutexGuard<'_, Trusted> {
        self.trusted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what was seen, unless everything was forgotten meanwhile; answers whether its use should be noted.
    fn keep(
        &self,
        generation: u64,
        credential: &Credential,
        token: &Arc<Token>,
        now: Instant,
        ends: Option<Instant>,
    ) -> bool {
        let mut trusted = self.trusted();
        if trusted.generation != generation {
            return false;
        }
        let seen = &mut trusted.seen;
        if seen.len() >= KEPT {
            seen.retain(|_, known| now.duration_since(known.at) < TRUSTED);
        }
        let noted =
            seen.get(credential).map(|known| known.noted).filter(|&noted| now.duration_since(noted) < NOTED);
        let known = Seen { token: Arc::clone(token), at: now, ends, noted: noted.unwrap_or(now) };
        seen.insert(credential.clone(), known);
        noted.is_none()
    }

    /// Has a credential read again when it is used next: a session was closed.
    pub fn forget(&self, credential: &Credential) {
        let mut trusted = self.trusted();
        trusted.generation += 1;
        trusted.seen.remove(credential);
    }

    /// Has every token read again when it is used next: one was revoked, or a workspace is gone.
    pub fn forget_all(&self) {
        let mut trusted = self.trusted();
        trusted.generation += 1;
        trusted.seen.clear();
    }
}

/// Somebody with a live token.
pub struct Principal {
    pub token: Arc<Token>,
    /// What it was known by, to read it again later.
    pub credential: Credential,
    /// On whose behalf things are asked.
    pub caller: Caller,
    shared: Arc<Shared>,
}

impl Principal {
    /// Whoever brings this, in the token's own workspace.
    ///
    /// # Errors
    /// `unauthenticated`; `unavailable` when the database cannot be asked.
    pub async fn by(credential: Credential, shared: &Arc<Shared>) -> Result<Self> {
        let token = shared.tokens.live(&credential).await?;
        let caller = Caller {
            token_id: Some(token.id),
            projects: token.projects.clone(),
            sees_content: token.allows(Scope::Read),
            traceparent: traceparent(),
            ..Caller::new(token.workspace_id.clone(), token.name.clone())
        };
        Ok(Self { token, credential, caller, shared: Arc::clone(shared) })
    }

    /// Reads the token again, after a wait, before anything is answered.
    ///
    /// # Errors
    /// `unauthenticated` when it was revoked or has expired. A database that cannot be asked takes nobody's rights away.
    pub async fn recheck_token(&self) -> Result<()> {
        match self.shared.tokens.refresh(&self.credential).await {
            Err(error) if !error.retryable() => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// A permit to wait for work or news, or to follow a stream.
    ///
    /// # Errors
    /// `rate_limited` at the token's limit; `unavailable` at the server's.
    pub fn waiting_permit(&self) -> Result<WaitingPermit> {
        self.shared.waiting_limit.acquire(self.token.id)
    }

    /// The runs that it may touch.
    pub fn runs(&self) -> Arc<dyn Runs> {
        self.shared.service.for_caller(self.caller.clone())
    }

    /// The schedules that it may touch.
    pub fn schedules(&self) -> Arc<dyn Schedules> {
        self.shared.service.schedules(self.caller.clone())
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
            .with_hint(format!("use a token with the scope {scope}")))
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
        Err(Error::new(ErrorCode::RateLimited, "too many enqueues, cancels and retries with this token"))
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

impl FromRequestParts<Arc<Shared>> for Principal {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, ApiError> {
        let secret = bearer(&parts.headers)?;
        let mut principal = Self::by(Credential::Token(secret.hash()), shared).await?;
        principal.caller.workspace = workspace(&parts.headers, &principal.token, shared).await?;
        Ok(principal)
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
            .with_hint("a token works in one workspace; create a workspace with `sprongus workspaces create`")
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
        pub struct $name(pub Principal);

        impl FromRequestParts<Arc<Shared>> for $name {
            type Rejection = ApiError;

            async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, ApiError> {
                let principal = Principal::from_request_parts(parts, shared).await?;
                principal.require($scope)?;
                if $limited {
                    principal.admit()?;
                }
                Ok(Self(principal))
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
    /// Somebody who may change what the workspace does on its own.
    Settings, Scope::Settings, false;
    /// Somebody who may manage tokens, kinds, workers and retention.
    Operator, Scope::Admin, false;
}
