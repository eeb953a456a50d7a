//! What is checked before a store is asked.

use std::time::Duration;

use serde_json::json;
use sprongus_core::ErrorCode;
use sprongus_core::RunsExt;
use sprongus_core::json::Json;
use sprongus_core::run::list::ListFilter;
use sprongus_core::run::step::{LogLine, StepReport, StepStatus};
use sprongus_core::run::{ClaimRequest, NewRun, Outcome};
use sprongus_core::workspace::directory::NewAgentTask;

use super::Api;
use crate::blobs::body;
use crate::fixture::{line, of_kind, refused, step, worker};
use sprongus_core::values::time::Clock;

/// One answer names everything that is wrong with a request.
pub async fn every_bad_field_is_named_at_once(api: Api) {
    let new = NewRun {
        kind: "../etc".to_owned(),
        project_id: Some("No".to_owned()),
        priority: Some(101),
        max_attempts: Some(0),
        idempotency_key: Some("k\u{1b}".to_owned()),
        ..NewRun::default()
    };
    let error = refused(api.runs.enqueue_one(new).await);
    assert_eq!(error.code(), ErrorCode::Validation);
    let mut pointers: Vec<_> = error.fields().iter().map(|field| field.pointer.as_str()).collect();
    pointers.sort_unstable();
    assert_eq!(pointers, ["/idempotencyKey", "/kind", "/maxAttempts", "/priority", "/projectId"]);
    assert!(!error.message().contains('\u{1b}'), "no escape gets into an error");
    let listed = api.runs.list(&ListFilter::default()).await.unwrap();
    assert!(listed.data.is_empty());
}

/// A secret is refused by its place, never repeated, and leaves nothing behind.
pub async fn a_secret_is_refused_by_its_place_and_never_repeated(api: Api) {
    // Put together here, so that no scanner takes this file for a leak.
    let secret = format!("{}_{}", "ghp", "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8");
    let cases = [
        (json!({"deep": [{"token": secret}]}), "/input/deep/0/token"),
        (json!({"note": format!("use {secret} please")}), "/input/note"),
        (json!({"password": "hunter2hunter2"}), "/input/password"),
    ];
    for (input, pointer) in cases {
        let error = refused(api.runs.enqueue_one(NewRun::new("work", Json::from_value(input))).await);
        assert_eq!(error.code(), ErrorCode::SecretInInput);
        assert_eq!(error.fields()[0].pointer, pointer);
        let shown = format!("{error} {error:?} {} {:?}", error.hint(), error.fields());
        assert!(!shown.contains(&secret) && !shown.contains("hunter2"), "{shown}");
    }
    assert!(api.runs.list(&ListFilter::default()).await.unwrap().data.is_empty());
    let reference = NewRun::new("work", Json::from_value(json!({"password": "secret://env/PASSWORD"})));
    api.runs.enqueue_one(reference).await.unwrap();
}

/// Put together here, so that no scanner takes this file for a leak.
fn secret() -> String {
    format!("{}_{}", "ghp", "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8")
}

/// What names a run or stands beside it cannot be masked: it is refused by its place.
pub async fn a_name_that_is_a_secret_is_refused_and_not_repeated(api: Api) {
    let secret = secret();
    let work = of_kind("work");
    let tags = [("k".to_owned(), secret.clone())].into_iter().collect();
    for (new, pointer) in [
        (NewRun { idempotency_key: Some(secret.clone()), ..work.clone() }, "/idempotencyKey"),
        (NewRun { kind: secret.clone(), ..work.clone() }, "/kind"),
        (NewRun { agent_task_id: Some(secret.clone()), ..work.clone() }, "/agentTaskId"),
        (NewRun { tags, ..work.clone() }, "/tags/k"),
    ] {
        let error = refused(api.runs.enqueue_one(new).await);
        assert_eq!((error.code(), &*error.fields()[0].pointer), (ErrorCode::SecretInInput, pointer));
        let shown = format!("{error} {error:?} {} {:?}", error.hint(), error.fields());
        assert!(!shown.contains(&secret), "{shown}");
    }
    let titled = NewAgentTask { title: Some(secret.clone()), ..NewAgentTask::new("task".parse().unwrap()) };
    let task = api.runs.create_agent_task(titled).await;
    assert_eq!(refused(task).code(), ErrorCode::SecretInInput);
    let task = api.runs.create_agent_task(NewAgentTask::new(secret.parse().unwrap())).await;
    assert_eq!(refused(task).code(), ErrorCode::SecretInInput);
    let hold = api.held(work).await;
    let name = format!("report-{secret}.txt").parse().unwrap();
    let kept = api.runs.put_artifact(&hold, &name, "text/plain", body(&[b"x"])).await;
    assert_eq!(refused(kept).code(), ErrorCode::SecretInInput);
    let media_type = format!("text/{secret}");
    let kept = api.runs.put_artifact(&hold, &"a.txt".parse().unwrap(), &media_type, body(&[b"x"])).await;
    assert_eq!(refused(kept).code(), ErrorCode::SecretInInput);
    assert!(api.runs.artifacts(hold.id).await.unwrap().is_empty());
    let named = api.runs.record(&hold, vec![step(0, &secret, StepStatus::Running)], vec![]).await;
    assert_eq!(refused(named).code(), ErrorCode::SecretInInput);
    let of_step = |name: &str| LogLine { step: Some(name.to_owned()), ..line("said", api.clock.now()) };
    for (name, code) in [
        (secret.as_str(), ErrorCode::SecretInInput),
        ("a\nb", ErrorCode::Validation),
        ("a\u{1b}b", ErrorCode::Validation),
    ] {
        let lines = vec![of_step("fine"), of_step(name)];
        assert_eq!(refused(api.runs.record(&hold, vec![], lines).await).code(), code);
    }
    assert!(api.runs.logs(hold.id, 0, 10).await.unwrap().is_empty());
    let kind = secret.parse().unwrap();
    assert_eq!(refused(api.runs.pause_kind(&kind, true).await).code(), ErrorCode::SecretInInput);
    assert!(api.runs.kinds().await.unwrap().is_empty());
}

/// A worker of somebody else's masks nothing: what looks like a secret is masked as it is kept.
pub async fn what_a_worker_reports_is_kept_without_its_secrets(api: Api) {
    let secret = secret();
    let hold = api.held(of_kind("work")).await;
    let output = Some(format!("{{\"token\":\"{secret}\",\"to\":\"a@example.org\"}}"));
    let report = StepReport { output, ..step(0, "s", StepStatus::Completed) };
    api.runs
        .record(&hold, vec![report], vec![line(&format!("use {secret} of a@example.org"), api.now())])
        .await
        .unwrap();
    api.runs.progress(&hold, 40, Some(format!("with {secret}"))).await.unwrap();
    let lines = api.runs.logs(hold.id, 0, 10).await.unwrap();
    assert_eq!(lines[0].line.text, "use [secret] of [email]");
    let steps = api.runs.steps(hold.id).await.unwrap();
    // A program may read it again, so an address stays.
    assert_eq!(steps[0].output.as_deref(), Some("{\"token\":\"[secret]\",\"to\":\"a@example.org\"}"));
    let result = json!({"deep": [format!("is {secret}"), 7], &secret: null, "to": "a@example.org"});
    let outcome = Outcome::Succeed {
        result: Some(Json::from_value(result)),
        output_ref: Some(format!("https://files.example/{secret}")),
    };
    let run = api.runs.finish_one(&hold, outcome.clone()).await.unwrap();
    let kept = json!({"deep": ["is [secret]", 7], "[secret]": null, "to": "a@example.org"});
    assert_eq!(run.result.as_ref().map(Json::to_value), Some(kept));
    assert_eq!(run.output_ref.as_deref(), Some("https://files.example/[secret]"));
    assert_eq!(api.runs.finish_one(&hold, outcome).await.unwrap(), run, "the same again is the same");
    let history = api.runs.events(hold.id, 0, 100).await.unwrap();
    assert!(!history.iter().any(|event| event.payload.as_str().contains(&secret)), "{history:?}");
}

/// Limits are refused, never clamped.
pub async fn what_is_outside_its_limits_is_refused(api: Api) {
    let w = || worker("w");
    let base = || ClaimRequest::new(w(), 1);
    let claims = [
        ClaimRequest { limit: 0, ..base() },
        ClaimRequest { limit: 1_001, ..base() },
        ClaimRequest { lease: Duration::from_millis(999), ..base() },
        ClaimRequest { lease: Duration::from_secs(3_601), ..base() },
        ClaimRequest { wait: Duration::from_secs(61), ..base() },
    ];
    for request in claims {
        assert_eq!(refused(api.runs.claim(request).await).code(), ErrorCode::Validation);
    }
    for limit in [0, 101] {
        let filter = ListFilter { limit, ..ListFilter::default() };
        assert_eq!(refused(api.runs.list(&filter).await).code(), ErrorCode::Validation);
    }
    api.runs.enqueue_one(of_kind("work")).await.unwrap();
    let hold = api.runs.claim_next(&w(), 1).await.unwrap()[0].hold();
    let long = Some(Duration::from_secs(3_601));
    assert_eq!(refused(api.runs.heartbeat(vec![hold.clone()], long).await).code(), ErrorCode::Validation);
    let twice = vec![hold.clone(), hold.clone()];
    assert_eq!(refused(api.runs.heartbeat(twice, None).await).code(), ErrorCode::Validation);
    let retry_in = Some(Duration::from_secs(86_401));
    let late = Outcome::Fail { error: "e".to_owned(), retryable: true, retry_in };
    assert_eq!(refused(api.runs.finish_one(&hold, late).await).code(), ErrorCode::Validation);
    let empty = Outcome::Succeed { result: None, output_ref: Some(String::new()) };
    assert_eq!(refused(api.runs.finish_one(&hold, empty).await).code(), ErrorCode::Validation);
    let nameless = vec![step(0, "", StepStatus::Running)];
    assert_eq!(refused(api.runs.record(&hold, nameless, vec![]).await).code(), ErrorCode::Validation);
    assert_eq!(refused(api.runs.progress(&hold, 101, None).await).code(), ErrorCode::Validation);
    let lines = vec![line("x", api.clock.now()); 10_001];
    assert_eq!(refused(api.runs.record(&hold, vec![], lines).await).code(), ErrorCode::Validation);
    api.runs.succeed(&hold, None, None).await.unwrap();
}

/// An input over 1 MiB is too large.
pub async fn an_input_over_a_mebibyte_is_too_large(api: Api) {
    let input = |bytes: usize| NewRun::new("work", Json::from_value(json!("x ".repeat(bytes / 2))));
    let error = refused(api.runs.enqueue_one(input((1 << 20) + 2)).await);
    assert_eq!(error.code(), ErrorCode::PayloadTooLarge);
    api.runs.enqueue_one(input((1 << 20) - 64)).await.unwrap();
}
