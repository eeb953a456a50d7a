//! API tokens: made, found by their hashes, used, revoked; each in its own workspace.

use std::time::Duration;

use sprongus_core::values::ids::TokenId;
use sprongus_core::workspace::token::{NewToken, Scope, Token, TokenSecret};
use sprongus_core::{Caller, Error, ErrorCode};

use crate::fixture::{Fixture, refused};

fn named(name: &str) -> NewToken {
    NewToken {
        name: name.to_owned(),
        scopes: vec![Scope::Read, Scope::Work],
        projects: None,
        expires_in: None,
    }
}

/// A token with the hash it is kept by.
async fn made(f: &Fixture, new: &NewToken) -> (Token, String) {
    let hash = TokenSecret::generate().unwrap().hash();
    (f.store.create_token(&f.caller, TokenId::new(), new, &hash).await.unwrap(), hash)
}

async fn found(f: &Fixture, hash: &str) -> Option<Token> {
    f.store.token_by_hash(hash).await.unwrap()
}

fn not_there(error: &Error, id: TokenId) {
    assert_eq!(
        (error.code(), error.message()),
        (ErrorCode::NotFound, format!("no such token: {id}").as_str())
    );
    assert!(error.hint().contains("sprongus token list"), "{}", error.hint());
}

/// From its making to its end; one that has ended is still found, for who asks is to be told why.
pub async fn a_token_lives_its_life(f: Fixture) {
    for project in ["p", "q"] {
        f.store.create_project(&f.caller, &project.parse().unwrap()).await.unwrap();
    }
    let life = Duration::from_millis(60_001);
    let projects = Some(vec!["q".parse().unwrap(), "p".parse().unwrap()]);
    let new = NewToken { projects, expires_in: Some(life), ..named("CI of \"é\" 'x'; --") };
    let (token, hash) = made(&f, &new).await;
    let expected = Token {
        id: token.id,
        workspace_id: f.caller.workspace.clone(),
        name: new.name,
        scopes: new.scopes,
        projects: new.projects,
        created_at: f.now(),
        expires_at: Some(f.now().plus(life)),
        revoked_at: None,
        last_used_at: None,
    };
    assert_eq!(token, expected);
    assert_eq!(found(&f, &hash).await, Some(token.clone()));
    assert_eq!(found(&f, &TokenSecret::generate().unwrap().hash()).await, None);

    f.turn(Duration::from_secs(1));
    let used = Token { last_used_at: Some(f.now()), ..token.clone() };
    f.store.use_token(&token).await.unwrap();
    assert_eq!(found(&f, &hash).await, Some(used.clone()));

    f.turn(life);
    let expired = found(&f, &hash).await.unwrap();
    assert!(expired == used && !expired.is_live(f.now()), "{expired:?}");
    let revoked = Token { revoked_at: Some(f.now()), ..used };
    assert_eq!(f.store.revoke_token(&f.caller, token.id).await.unwrap(), revoked);
    f.turn(Duration::from_secs(1));
    assert_eq!(f.store.revoke_token(&f.caller, token.id).await.unwrap(), revoked, "once is enough");
    assert_eq!(found(&f, &hash).await, Some(revoked.clone()));
    assert_eq!(f.store.tokens(&f.caller).await.unwrap(), [revoked]);
    let unknown = TokenId::new();
    not_there(&refused(f.store.revoke_token(&f.caller, unknown).await), unknown);
}

/// The newest comes first, of those made at once the one with the later id.
pub async fn tokens_come_newest_first(f: Fixture) {
    let mut expected = Vec::new();
    for number in 0..6 {
        expected.insert(0, made(&f, &named(&format!("token {number}"))).await.0);
        f.turn(Duration::from_millis(number / 2));
    }
    assert_eq!(f.store.tokens(&f.caller).await.unwrap(), expected);
}

/// What a token is narrowed to must be there, in its own workspace.
pub async fn a_token_needs_its_projects_and_its_workspace(f: Fixture) {
    let other = f.tenant("other").await;
    f.store.create_project(&f.caller, &"p".parse().unwrap()).await.unwrap();
    f.store.create_project(&other.caller, &"theirs".parse().unwrap()).await.unwrap();
    let projects = ["p", "theirs", "nowhere"].map(|id| id.parse().unwrap());
    let new = NewToken { projects: Some(projects.to_vec()), ..named("x") };
    let error = refused(f.store.create_token(&f.caller, TokenId::new(), &new, "hash").await);
    assert_eq!((error.code(), error.message()), (ErrorCode::Validation, "no such project: theirs"));
    assert!(error.hint().contains("sprongus projects create theirs"), "{}", error.hint());
    assert_eq!(found(&f, "hash").await, None);
    let nowhere = Caller::new("nowhere".parse().unwrap(), "tester");
    let error = refused(f.store.create_token(&nowhere, TokenId::new(), &named("x"), "hash").await);
    assert_eq!((error.code(), error.message()), (ErrorCode::NotFound, "no such workspace: nowhere"));
}

/// S7: nobody sees another workspace's tokens or revokes them; found by its hash a token says whose it is.
pub async fn tokens_of_another_workspace_do_not_exist(f: Fixture) {
    let other = f.tenant("other").await;
    let (mine, my_hash) = made(&f, &named("x")).await;
    let (theirs, their_hash) = made(&other, &named("x")).await;
    assert_eq!(f.store.tokens(&f.caller).await.unwrap(), std::slice::from_ref(&mine));
    assert_eq!(f.store.tokens(&other.caller).await.unwrap(), std::slice::from_ref(&theirs));
    not_there(&refused(f.store.revoke_token(&other.caller, mine.id).await), mine.id);
    let misplaced = Token { workspace_id: other.caller.workspace.clone(), ..mine.clone() };
    f.store.use_token(&misplaced).await.unwrap();
    assert_eq!(found(&f, &my_hash).await, Some(mine));
    assert_eq!(found(&f, &their_hash).await, Some(theirs));
}

/// A token goes with its workspace; whoever is just using it notices nothing.
pub async fn a_deleted_workspace_takes_its_tokens_along(f: Fixture) {
    let other = f.tenant("other").await;
    let (mine, my_hash) = made(&f, &named("x")).await;
    let (theirs, their_hash) = made(&other, &named("x")).await;
    f.store.delete_workspace(&f.caller, &other.caller.workspace).await.unwrap();
    assert_eq!(found(&f, &their_hash).await, None);
    f.store.use_token(&theirs).await.unwrap();
    let other = f.tenant("other").await;
    assert!(f.store.tokens(&other.caller).await.unwrap().is_empty());
    assert_eq!(found(&f, &my_hash).await, Some(mine));
}
