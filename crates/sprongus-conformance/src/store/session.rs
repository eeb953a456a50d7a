//! Sessions of the dashboard: opened for a token, found by their hashes, closed.

use std::time::Duration;

use sprongus_core::ErrorCode;
use sprongus_core::values::ids::TokenId;
use sprongus_core::workspace::session::{MAX_SESSIONS, SessionSecret};
use sprongus_core::workspace::token::{NewToken, Scope, Token, TokenSecret};

use crate::fixture::{Fixture, refused};

const HOUR: Duration = Duration::from_secs(3_600);

async fn token(f: &Fixture) -> Token {
    let new = NewToken { name: "x".to_owned(), scopes: vec![Scope::Read], projects: None, expires_in: None };
    let hash = TokenSecret::generate().unwrap().hash();
    f.store.create_token(&f.caller, TokenId::new(), &new, &hash).await.unwrap()
}

async fn opened(f: &Fixture, token: &Token, life: Duration) -> String {
    let hash = SessionSecret::generate().unwrap().hash();
    f.store.open_session(token, &hash, f.now().plus(life)).await.unwrap();
    hash
}

/// It tells of its token as the token is now, and when it ends itself; closing it is for those who hold its token.
pub async fn a_session_stands_for_its_token(f: Fixture) {
    let token = token(&f).await;
    let hash = opened(&f, &token, HOUR).await;
    let session = f.store.session(&hash).await.unwrap().unwrap();
    assert_eq!((&session.token, session.expires_at), (&token, f.now().plus(HOUR)));
    assert!(session.is_live(f.now()) && !session.is_live(f.now().plus(HOUR)));
    assert_eq!(f.store.session(&SessionSecret::generate().unwrap().hash()).await.unwrap(), None);
    assert_eq!(f.store.token_by_hash(&hash).await.unwrap(), None, "a session is no token");

    let revoked = f.store.revoke_token(&f.caller, token.id).await.unwrap();
    let session = f.store.session(&hash).await.unwrap().unwrap();
    assert!(session.token == revoked && !session.is_live(f.now()));

    let other = f.tenant("other").await;
    let theirs = self::token(&other).await;
    f.store.close_session(&theirs, &hash).await.unwrap();
    assert!(f.store.session(&hash).await.unwrap().is_some());
    f.store.close_session(&token, &hash).await.unwrap();
    f.store.close_session(&token, &hash).await.unwrap();
    assert_eq!(f.store.session(&hash).await.unwrap(), None);
}

/// What has expired goes when the next one is opened, in the same workspace alone; so does everything with the workspace.
pub async fn sessions_go_when_they_are_over(f: Fixture) {
    let other = f.tenant("other").await;
    let (mine, theirs) = (token(&f).await, token(&other).await);
    let (short, long) = (opened(&f, &mine, HOUR).await, opened(&f, &mine, 3 * HOUR).await);
    let foreign = opened(&other, &theirs, HOUR).await;
    f.turn(HOUR);
    let newest = opened(&f, &mine, HOUR).await;
    for (hash, is_there) in [(&short, false), (&long, true), (&newest, true), (&foreign, true)] {
        assert_eq!(f.store.session(hash).await.unwrap().is_some(), is_there);
    }
    f.store.delete_workspace(&f.caller, &other.caller.workspace).await.unwrap();
    assert_eq!(f.store.session(&foreign).await.unwrap(), None);
    let hash = SessionSecret::generate().unwrap().hash();
    let error = refused(f.store.open_session(&theirs, &hash, f.now().plus(HOUR)).await);
    assert_eq!(error.code(), ErrorCode::Unauthenticated);
    assert_eq!(f.store.session(&hash).await.unwrap(), None);
}

/// So that signing in again and again fills no disk.
pub async fn a_token_has_so_many_sessions_and_no_more(f: Fixture) {
    let (mine, yours) = (token(&f).await, token(&f).await);
    let (other, first) = (opened(&f, &yours, HOUR).await, opened(&f, &mine, HOUR).await);
    f.turn(Duration::from_millis(1));
    let second = opened(&f, &mine, HOUR).await;
    for _ in 2..=MAX_SESSIONS {
        f.turn(Duration::from_millis(1));
        opened(&f, &mine, HOUR).await;
    }
    for (hash, is_there) in [(&first, false), (&second, true), (&other, true)] {
        assert_eq!(f.store.session(hash).await.unwrap().is_some(), is_there);
    }
}
