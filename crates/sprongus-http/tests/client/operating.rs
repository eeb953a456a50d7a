//! Tokens and workspaces from afar, and a server that goes and comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sprongus_conformance::fixture::of_kind;
use sprongus_conformance::{Model, TurnedClock};
use sprongus_core::run::list::ListFilter;
use sprongus_core::workspace::operator::{OperatorEventType, OperatorFilter};
use sprongus_core::workspace::token::{NewToken, Scope};
use sprongus_core::{Admin, ErrorCode, Runs, RunsExt};
use sprongus_http::client::{Options, RunsClient};
use tokio::net::TcpListener;

use crate::scene::{Scene, until};

/// Counts the requests that failed and are repeated, by what the client logs on this thread.
#[derive(Clone, Default)]
struct Repeats(Arc<AtomicUsize>);

impl tracing::Subscriber for Repeats {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.is_event() && metadata.target().starts_with("sprongus_http::client")
    }

    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

async fn scene() -> Scene {
    Scene::new(Arc::new(Model::new(Arc::new(TurnedClock::new())))).await
}

#[tokio::test]
async fn a_token_is_made_used_and_revoked() {
    let scene = scene().await;
    let operator = scene.client();
    let scopes = vec![Scope::Read];
    let new =
        NewToken { name: "ci".to_owned(), scopes, projects: None, expires_in: Some(Duration::from_secs(60)) };
    let made = operator.create_token(new.clone()).await.unwrap();
    assert_eq!((made.token.name.as_str(), made.token.scopes.as_slice()), ("ci", &[Scope::Read][..]));
    let url = format!("http://{}", scene.address);
    let reader = RunsClient::new(&url, &made.secret, &Options::default()).unwrap();
    assert_eq!(reader.own_token().await.unwrap().id, made.token.id);
    assert!(reader.list(&ListFilter::default()).await.unwrap().data.is_empty());
    let error = reader.enqueue_one(of_kind("work")).await.unwrap_err();
    assert_eq!(
        (error.code(), error.message()),
        (ErrorCode::Forbidden, "the token lacks the scope runs:write")
    );
    assert_eq!(error.hint(), "use a token with the scope runs:write");
    assert_eq!(reader.tokens().await.unwrap_err().code(), ErrorCode::Forbidden);

    let names = operator.tokens().await.unwrap().into_iter().map(|token| token.name).collect::<Vec<_>>();
    assert!(names.contains(&"ci".to_owned()) && names.len() == 2);
    let revoked = operator.revoke_token(made.token.id).await.unwrap();
    assert!(revoked.revoked_at.is_some());
    assert_eq!(operator.revoke_token(made.token.id).await.unwrap().revoked_at, revoked.revoked_at);
    let error = reader.own_token().await.unwrap_err();
    assert_eq!(error, sprongus_core::workspace::token::refused());

    let bad = NewToken { name: String::new(), scopes: vec![], ..new };
    assert_eq!(operator.create_token(bad.clone()).await.unwrap_err(), bad.checked().unwrap_err());
}

#[tokio::test]
async fn what_operators_did_is_read_with_the_token_it_was_done_with() {
    let scene = scene().await;
    let operator = scene.client();
    let new = NewToken { name: "ci".to_owned(), scopes: vec![Scope::Read], projects: None, expires_in: None };
    let made = operator.create_token(new).await.unwrap();
    for workspace in ["one", "two"] {
        operator.create_workspace(&workspace.parse().unwrap()).await.unwrap();
    }
    operator.delete_workspace(&"one".parse().unwrap()).await.unwrap();
    operator.revoke_token(made.token.id).await.unwrap();
    let own = operator.own_token().await.unwrap();
    let mut filter = OperatorFilter { limit: 2, ..OperatorFilter::default() };
    let mut listed = Vec::new();
    loop {
        let page = operator.operator_events(&filter).await.unwrap();
        for event in page.data.into_iter().filter(|event| event.token_id.is_some()) {
            assert_eq!((event.token_id, &event.actor), (Some(own.id), &own.name));
            listed.push((event.kind.as_str(), event.subject.unwrap()));
        }
        match page.next_cursor {
            Some(cursor) => filter.cursor = Some(cursor),
            None => break,
        }
    }
    let expected = [
        ("operator.token_revoked", made.token.id.to_string()),
        ("operator.workspace_deleted", "one".to_owned()),
        ("operator.workspace_created", "two".to_owned()),
        ("operator.workspace_created", "one".to_owned()),
        ("operator.token_created", made.token.id.to_string()),
    ];
    assert_eq!(listed, expected);
    let types = vec![OperatorEventType::WorkspaceDeleted];
    let of_type = OperatorFilter { types, ..OperatorFilter::default() };
    assert_eq!(operator.operator_events(&of_type).await.unwrap().data.len(), 1);
    let bad = OperatorFilter { limit: 101, ..OperatorFilter::default() };
    assert_eq!(operator.operator_events(&bad).await.unwrap_err().code(), ErrorCode::Validation);
}

#[tokio::test]
async fn a_token_that_may_only_write_retries_without_reading() {
    let scene = scene().await;
    let scopes = vec![Scope::Write];
    let new = NewToken { name: "writer".to_owned(), scopes, projects: None, expires_in: None };
    let secret = scene.client().create_token(new).await.unwrap().secret;
    let url = format!("http://{}", scene.address);
    let writer = RunsClient::new(&url, &secret, &Options::default()).unwrap();
    let id = writer.enqueue_one(of_kind("work")).await.unwrap().run.id;
    writer.cancel(id).await.unwrap();
    writer.retry(id, None).await.unwrap();
}

#[tokio::test]
async fn a_workspace_is_named_with_every_call() {
    let scene = scene().await;
    let (operator, url) = (scene.client(), format!("http://{}", scene.address));
    let drafts = "drafts".parse().unwrap();
    let options = Options { workspace: Some("drafts".parse().unwrap()), ..Options::default() };
    let client = RunsClient::new(&url, &scene.token, &options).unwrap();
    let error = client.stats().await.unwrap_err();
    assert_eq!((error.code(), error.message()), (ErrorCode::NotFound, "no such workspace: drafts"));
    operator.create_workspace(&drafts).await.unwrap();
    let run = client.enqueue_one(of_kind("work")).await.unwrap().run;
    assert_eq!(run.workspace_id, drafts);
    assert_eq!(operator.get(run.id).await.unwrap_err().code(), ErrorCode::NotFound);
    operator.delete_workspace(&drafts).await.unwrap();
    assert_eq!(client.get(run.id).await.unwrap_err().code(), ErrorCode::NotFound);
}

#[tokio::test]
async fn a_server_that_comes_back_soon_was_never_away() {
    let scene = scene().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let client = scene.client_at(address);
    let repeats = Repeats::default();
    let _counted = tracing::subscriber::set_default(repeats.clone());
    let asking = tokio::spawn(async move { client.enqueue_one(of_kind("work")).await });
    until("it was refused once", async || repeats.0.load(Ordering::SeqCst) > 0).await;
    let proxy = crate::proxy::Proxy::at(address, scene.address).await;
    asking.await.unwrap().unwrap();
    assert_eq!(proxy.counts(), (0, 1));
}
