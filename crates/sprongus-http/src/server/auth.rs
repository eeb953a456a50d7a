//! Who asks: the token of a request, the workspace it is good for, and what it allows.
//!
//! A token that was seen good is believed for a second, so that a busy one does not cost a look into the database each time; on
//! the server that revokes it, it is refused at once. Whatever is wrong with a token, the answer is the same.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use sprongus_core::store::Store;
use sprongus_core::values::names::WorkspaceId;
use sprongus_core::workspace::token::{self, Scope, Token, TokenSecret};
use sprongus_core::{Admin, Caller, Error, ErrorCode, Result, Runs};

use super::Shared;
use super::answer::{Refused, shown};
use super::context::{note_rate, traceparent};
use super::places::Place;
use crate::wire::WORKSPACE_HEADER;

/// How long a token is believed without a look.
const BELIEVED: Duration = Duration::from_secs(1);

/// How often a token's last use is noted.
const NOTED: Duration = Duration::from_secs(60);

/// Tokens beyond this many make old ones be forgotten.
const KEPT: usize = 10_000;

/// What stands for a token.
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
    /// When it ends by itself.
    ends: Option<Instant>,
    noted: Instant,
}

#[derive(Default)]
struct Believed {
    /// Counts how often everything was forgotten: what was read before that is not kept after it.
    generation: u64,
    seen: HashMap<Credential, Seen>,
}

/// The tokens that were seen lately.
pub struct Tokens {
    store: Arc<dyn Store>,
    believed: Mutex<Believed>,
}

impl Tokens {
    /// Those of a store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, believed: Mutex::default() }
    }

    /// The live token of a credential, as it was within the last second.
    ///
    /// # Errors
    /// `unauthenticated`; `unavailable` when the database cannot be asked.
    pub async fn live(&self, credential: &Credential) -> Result<Arc<Token>> {
        let now = Instant::now();
        {
            let believed = self.believed();
            if let Some(known) = believed.seen.get(credential)
                && now.duration_since(known.at) < BELIEVED
                && now.duration_since(known.noted) < NOTED
                && known.ends.is_none_or(|end| now < end)
            {
                return Ok(Arc::clone(&known.token));
            }
        }
        self.look(credential).await
    }

    /// The live token of a credential, as the database has it now.
    ///
    /// # Errors
    /// As [`Tokens::live`].
    pub async fn look(&self, credential: &Credential) -> Result<Arc<Token>> {
        let (now, generation) = (Instant::now(), self.believed().generation);
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

    fn believed(&self) -> MutexGuard<'_, Believed> {
        self.believed.lock().unwrap_or_else(PoisonError::into_inner)
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
        let mut believed = self.believed();
        if believed.generation != generation {
            return false;
        }
        let seen = &mut believed.seen;
        if seen.len() >= KEPT {
            seen.retain(|_, known| now.duration_since(known.at) < BELIEVED);
        }
        let noted =
            seen.get(credential).map(|known| known.noted).filter(|&noted| now.duration_since(noted) < NOTED);
        let known = Seen { token: Arc::clone(token), at: now, ends, noted: noted.unwrap_or(now) };
        seen.insert(credential.clone(), known);
        noted.is_none()
    }

    /// Makes a credential be looked at again: a session was closed.
    pub fn forget(&self, credential: &Credential) {
        let mut believed = self.believed();
        believed.generation += 1;
        believed.seen.remove(credential);
    }

    /// Makes every token be looked at again: one was revoked, or a workspace is gone.
    pub fn forget_all(&self) {
        let mut believed = self.believed();
        believed.generation += 1;
        believed.seen.clear();
    }
}

/// Somebody with a live token.
pub struct Asker {
    /// The token.
    pub token: Arc<Token>,
    /// What it was known by, to look again later.
    pub credential: Credential,
    /// On whose behalf things are asked.
    pub caller: Caller,
    shared: Arc<Shared>,
}

impl Asker {
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

    /// Looks at the token once more, after a wait, before anything is answered.
    ///
    /// # Errors
    /// `unauthenticated` when it was revoked or has expired. A database that cannot be asked takes nobody's rights away.
    pub async fn look_again(&self) -> Result<()> {
        match self.shared.tokens.look(&self.credential).await {
            Err(error) if !error.retryable() => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// A place among those who wait.
    ///
    /// # Errors
    /// `rate_limited` when the token has too many; `unavailable` when there is none.
    pub fn place(&self) -> Result<Place> {
        self.shared.places.take(self.token.id)
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

impl FromRequestParts<Arc<Shared>> for Asker {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Refused> {
        let secret = bearer(&parts.headers)?;
        let mut asker = Self::by(Credential::Token(secret.hash()), shared).await?;
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
