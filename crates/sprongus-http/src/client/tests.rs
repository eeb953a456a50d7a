//! The client.

use std::time::Duration;

use sprongus_core::error::FieldError;
use sprongus_core::run::NewRun;
use sprongus_core::store::Batch;
use sprongus_core::values::names::WorkspaceId;
use sprongus_core::workspace::token::TokenSecret;
use sprongus_core::{Error, ErrorCode, Runs, RunsExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::failure::{Fate, of_answer};
use super::{Options, RunsClient};
use crate::problem::Problem;

fn client(url: &str) -> sprongus_core::Result<RunsClient> {
    RunsClient::new(url, &TokenSecret::generate().unwrap(), &Options::default())
}

#[test]
fn an_url_is_that_of_a_server_or_refused_without_being_repeated() {
    for (good, host) in [
        ("http://localhost:3000", "localhost:3000"),
        ("http://localhost:3000/", "localhost:3000"),
        ("http://[::1]:80", "[::1]"),
        ("http://10.0.0.7/tools/sprongus/", "10.0.0.7"),
    ] {
        assert_eq!(client(good).unwrap().host(), host);
    }
    for bad in [
        "",
        "localhost:3000",
        "hunter2",
        "ftp://hunter2.example",
        "postgres://u:hunter2@host/db",
        "http://hunter2@host",
        "http://u:hunter2@host",
        "http://host?token=hunter2",
        "http://host/#hunter2",
        "http://:80",
    ] {
        let error = client(bad).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Validation, "{bad}");
        assert!(!format!("{error:?} {error} {}", error.hint()).contains("hunter2"), "{error:?}");
    }
}

#[test]
fn a_token_is_not_shown() {
    let token = TokenSecret::generate().unwrap();
    let workspace: WorkspaceId = "drafts".parse().unwrap();
    let options = Options { workspace: Some(workspace), ..Options::default() };
    let client = RunsClient::new("http://localhost:3000", &token, &options).unwrap();
    let shown = format!("{client:?} {:?}", client.inner.http);
    assert!(!shown.contains(&token.expose()[4..20]), "{shown}");
}

#[test]
fn a_problem_document_is_the_error_it_was_made_from() {
    for code in ErrorCode::ALL {
        let fields = vec![FieldError { pointer: "/kind".into(), message: "bad".into() }];
        let error = Error::new(code, "a message").with_hint("do this").with_fields(fields);
        let body = serde_json::to_vec(&Problem::new(&error, "id")).unwrap();
        let failure = of_answer("host", code.http_status(), None, &body);
        assert_eq!(failure.error, error);
        assert_eq!(failure.error.hint(), error.hint());
        let is_not_done = [ErrorCode::RateLimited, ErrorCode::Unavailable].contains(&code);
        assert_eq!(failure.fate == Fate::NotDone, is_not_done, "{code}");
        assert_eq!(failure.fate == Fate::Doubtful, code == ErrorCode::TimedOut, "{code}");
    }
    let error = Error::validation("bad \u{1b}[31m").with_hint("no \u{7}");
    let body = serde_json::to_vec(&Problem::new(&error, "")).unwrap();
    let read = of_answer("host", 422, None, &body).error;
    assert!(!format!("{read}{}", read.hint()).contains(|c: char| c.is_control()), "no escape gets through");
}

#[test]
fn what_a_proxy_says_is_known_by_its_status_and_not_quoted() {
    let page = b"<html><body>hunter2</body></html>";
    for (status, code, fate) in [
        (302, ErrorCode::Unavailable, Fate::Final),
        (400, ErrorCode::Malformed, Fate::Final),
        (401, ErrorCode::Unauthenticated, Fate::Final),
        (403, ErrorCode::Forbidden, Fate::Final),
        (404, ErrorCode::Unavailable, Fate::Final),
        (408, ErrorCode::Unavailable, Fate::Doubtful),
        (413, ErrorCode::PayloadTooLarge, Fate::Final),
        (429, ErrorCode::RateLimited, Fate::NotDone),
        (500, ErrorCode::Internal, Fate::Final),
        (502, ErrorCode::Unavailable, Fate::Doubtful),
        (503, ErrorCode::Unavailable, Fate::Doubtful),
        (504, ErrorCode::Unavailable, Fate::Doubtful),
    ] {
        let failure = of_answer("tools.example:8443", status, None, page);
        assert_eq!((failure.error.code(), failure.fate), (code, fate), "{status}");
        assert!(failure.error.message().contains("tools.example:8443"), "{}", failure.error);
        assert!(!format!("{:?}", failure.error).contains("hunter2"));
    }
    assert!(of_answer("host", 404, None, page).error.message().starts_with("no sprongus server at host"));
}

/// A server that gives these answers, one a connection, and counts them.
async fn answering(answers: Vec<String>) -> (RunsClient, tokio::task::JoinHandle<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        let count = answers.len();
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = vec![0; 65_536];
            let _ = stream.read(&mut head).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        }
        count
    });
    (client(&url).unwrap(), serving)
}

fn answer(status: u16, headers: &str, kind: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\n{headers}content-length: {length}\r\n\r\n{body}")
}

fn problem(status: u16, headers: &str, error: &Error) -> String {
    let body = serde_json::to_string(&Problem::new(error, "")).unwrap();
    answer(status, headers, "application/problem+json", &body)
}

const NO_RUNS: &str = r#"{"data":[],"nextCursor":null}"#;

#[tokio::test]
async fn what_may_help_is_repeated() {
    let fine = answer(200, "", "application/json", NO_RUNS);
    let cut = fine.replace("content-length: 2", "content-length: 9");
    let locked = Error::new(ErrorCode::Unavailable, "the database is locked");
    let many = Error::new(ErrorCode::RateLimited, "too many");
    let answers = vec![
        String::new(),
        cut,
        answer(502, "", "text/html", "<html>"),
        problem(503, "", &locked),
        problem(429, "retry-after: 1\r\n", &many),
        fine,
    ];
    let (client, serving) = answering(answers).await;
    let start = std::time::Instant::now();
    assert!(client.projects().await.unwrap().is_empty());
    assert!(start.elapsed() >= Duration::from_secs(1), "it waited as long as `Retry-After` says");
    assert_eq!(serving.await.unwrap(), 6);
}

#[tokio::test]
async fn what_was_refused_for_good_is_not_repeated() {
    let old = Error::new(ErrorCode::SchemaMismatch, "schema 1, not 3");
    let (client, serving) = answering(vec![problem(503, "", &old)]).await;
    assert_eq!(client.projects().await.unwrap_err(), old);
    assert_eq!(serving.await.unwrap(), 1);
    let (client, serving) = answering(vec![answer(200, "", "text/html", "<html>welcome</html>")]).await;
    let error = client.projects().await.unwrap_err();
    assert!(error.message().starts_with("no sprongus server at 127.0.0.1"), "{error}");
    serving.await.unwrap();
    let (client, serving) =
        answering(vec![answer(200, "", "application/json", r#"{"data":[{"id":"hunter2!"}]}"#)]).await;
    let error = client.projects().await.unwrap_err();
    assert!(error.message().starts_with("cannot understand the response from "), "{error}");
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    serving.await.unwrap();
}

#[tokio::test]
async fn a_page_instead_of_a_yes_is_none() {
    let (client, serving) = answering(vec![answer(200, "", "text/html", "<html>sign in</html>")]).await;
    let error = client.forget_worker(&"w".parse().unwrap()).await.unwrap_err();
    assert!(error.message().starts_with("no sprongus server at"), "{error}");
    serving.await.unwrap();
    let never = format!("retry-after: {}\r\n", u64::MAX);
    let locked = Error::new(ErrorCode::Unavailable, "the database is locked");
    let (client, serving) = answering(vec![problem(503, &never, &locked)]).await;
    assert_eq!(client.projects().await.unwrap_err(), locked, "nobody waits for that");
    serving.await.unwrap();
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let location = format!("location: http://{}/v1/projects\r\n", elsewhere.local_addr().unwrap());
    let (client, serving) = answering(vec![answer(307, &location, "text/plain", "")]).await;
    let error = client.projects().await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::Unavailable);
    serving.await.unwrap();
    // A connection that was made by now would be waiting to be accepted.
    let error = elsewhere.into_std().unwrap().accept().expect_err("the token went elsewhere");
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
}

#[tokio::test]
async fn where_nothing_listens_repeats_end_soon() {
    // Elsewhere repeats go on for ten seconds.
    const SOON: Duration = Duration::from_secs(9);
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let client = client(&format!("http://{closed}")).unwrap();
    let mut best = Duration::MAX;
    // Machines stumble: one that ends soon is enough.
    for _ in 0..3 {
        let start = std::time::Instant::now();
        let error = client.get(sprongus_core::values::ids::RunId::new()).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::Unavailable);
        assert_eq!(error.message(), format!("no server is listening at {closed}"));
        assert!(error.hint().contains("sprongus serve"));
        best = best.min(start.elapsed());
        if best < SOON {
            break;
        }
    }
    assert!(best < SOON, "as long as elsewhere: {best:?}");
}

#[tokio::test]
async fn lines_are_not_said_twice() {
    let (client, serving) = answering(vec![String::new()]).await;
    let hold = sprongus_core::run::Hold {
        id: sprongus_core::values::ids::RunId::new(),
        worker_id: "w".parse().unwrap(),
        epoch: 1,
        token: sprongus_core::run::lease::LeaseToken::default(),
    };
    let line = sprongus_core::run::step::LogLine {
        stream: sprongus_core::run::step::Stream::Stdout,
        at: sprongus_core::values::time::Timestamp::from_millis(0),
        step: None,
        text: "x".to_owned(),
    };
    let error = client.record(&hold, vec![], vec![line]).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::Unavailable);
    assert!(error.hint().starts_with("it may have been done"), "{}", error.hint());
    assert_eq!(serving.await.unwrap(), 1);
}

#[tokio::test]
async fn what_is_too_large_is_refused_here_in_the_words_of_the_rule() {
    let client = client("http://127.0.0.1:9").unwrap();
    let large = |bytes: usize| NewRun::new("work", serde_json::json!("x".repeat(bytes)).into());
    let wanted = sprongus_core::rules::enqueue::prepare(&large(2 << 20), None).unwrap_err();
    assert_eq!(client.enqueue_one(large(2 << 20)).await.unwrap_err(), wanted);
    let batch = vec![large(1), large(2 << 20)];
    let answers = client.enqueue(batch, Batch::AllOrNothing).await.unwrap();
    assert_eq!(answers[0].as_ref().unwrap_err().message(), "not made: another item of the batch was refused");
    assert_eq!(*answers[1].as_ref().unwrap_err(), wanted);
}
