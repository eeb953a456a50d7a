//! Steps that ask a model.

use std::time::Duration;

use serde_json::{Value, json};
use sprongus_core::json::Json;
use sprongus_core::run::NewRun;
use sprongus_core::run::state::State;
use sprongus_core::run::step::Step;
use sprongus_core::run::view::RunView;
use tokio::net::TcpListener;

use crate::model::{ModelServer, Reply};
use crate::scene::{Scene, eventually};

const KEY: &str = "k-4711-very-secret-0815";
const RETRY_AT_ONCE: &str = "retry-after: 0\r\n";

/// A scene whose kind `k` asks the server once; `kind` and `step` are further lines of theirs.
fn scene(server: &ModelServer, kind: &str, step: &str) -> Scene {
    scene_at(&server.url, kind, step)
}

fn scene_at(url: &str, kind: &str, step: &str) -> Scene {
    let mut scene = Scene::new();
    let secrets = scene.path().join("secrets");
    std::fs::create_dir(&secrets).unwrap();
    std::fs::write(secrets.join("key"), KEY).unwrap();
    std::fs::write(secrets.join("other"), "another-secret-value").unwrap();
    std::fs::write(
        scene.path().join("answer.json"),
        json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}).to_string(),
    )
    .unwrap();
    scene.options.secrets = Some(secrets);
    scene.declare(&format!(
        "[providers.local]\nbase_url = \"{url}\"\nmodel = \"tiny\"\napi_key = \"secret://file/key\"\ntimeout = \"500ms\"\n\
         max_retries = 2\n[kinds.k]\n{kind}\n[[kinds.k.steps]]\nphase = \"execution\"\nname = \"ask\"\ntype = \"ai_action\"\n\
         provider = \"local\"\nprompt = \"Say {{{{ input.word | default('hi') }}}}\"\n{step}\n",
    ));
    scene
}

async fn asked_once(scene: &Scene, input: Value) -> (RunView, Step) {
    let run = NewRun { max_attempts: Some(1), ..NewRun::new("k", Json::from_value(input)) };
    let id = scene.enqueue_with(run).await;
    let run = scene.until(id, |run| run.state.is_final()).await;
    let step = scene.steps(id).await.into_iter().next().unwrap();
    let seen = format!("{:?} {:?} {:?}", scene.log(id).await, run.error, step.output);
    assert!(!seen.contains(KEY), "the key is shown: {seen}");
    (run, step)
}

/// A server with these replies, asked once: the run, the step, the log and the server.
pub async fn ask(replies: Vec<Reply>, step: &str) -> (RunView, Step, Vec<String>, ModelServer) {
    let server = ModelServer::start(replies).await;
    let scene = scene(&server, "", step);
    let (run, step) = asked_once(&scene, json!({})).await;
    let log = scene.log(run.id).await;
    scene.end().await;
    (run, step, log, server)
}

pub fn error(run: &RunView) -> &str {
    assert_eq!(run.state, State::Failed);
    run.error.as_deref().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_streamed_into_the_log_and_is_the_output() {
    let reply = Reply::stream()
        .content("Hel")
        .wait(300)
        .bytes(": keep-alive\n\n")
        .wait(300)
        .content("lo,\nwor")
        .content("ld a@example.org")
        .finish("stop")
        .usage(json!({"prompt_tokens": 12, "completion_tokens": 34, "total_tokens": 46}))
        .done();
    let (run, step, log, server) =
        ask(vec![reply], "system = \"Be brief.\"\ntemperature = 0.5\nmax_tokens = 99").await;
    assert_eq!(run.state, State::Succeeded);
    assert_eq!(step.output.as_deref(), Some("Hello,\nworld [email]"));
    assert_eq!((step.tokens_in, step.tokens_out), (Some(12), Some(34)));
    assert_eq!(log, ["Hello,", "world [email]"]);
    let asked = &server.asked()[0];
    assert!(asked.head.starts_with("POST /v1/chat/completions "), "{}", asked.head);
    assert!(asked.head.contains(&format!("authorization: Bearer {KEY}\r\n")));
    assert_eq!(
        asked.body,
        json!({
            "model": "tiny", "temperature": 0.5, "max_tokens": 99, "stream": true,
            "stream_options": {"include_usage": true},
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Say hi"}],
        })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_cannot_name_a_secret() {
    let server = ModelServer::start(vec![Reply::answer(&["ok"])]).await;
    let mut scene = Scene::new();
    let secrets = scene.path().join("secrets");
    std::fs::create_dir(&secrets).unwrap();
    std::fs::write(secrets.join("other"), "another-secret-value").unwrap();
    scene.options.secrets = Some(secrets);
    scene.declare(&format!(
        "[providers.local]\nbase_url = \"{}\"\nmodel = \"tiny\"\n[kinds.k]\nsecrets = [\"file/other\"]\n[[kinds.k.steps]]\nphase = \"setup\"\nname = \"show\"\n\
         type = \"command\"\nrun = [\"sh\", \"-c\", \"echo got $WORD\"]\nenv = {{ WORD = \"{{{{ input.word }}}}\" }}\n[[kinds.k.steps]]\nphase = \"execution\"\n\
         name = \"ask\"\ntype = \"ai_action\"\nprovider = \"local\"\n\
         prompt = \"{{{{ input.word }}}} {{{{ steps.show.output }}}}\"\n",
        server.url
    ));
    let id = scene.enqueue("k", json!({"word": "secret://file/other"})).await;
    scene.until_state(id, State::Succeeded).await;
    let asked = &server.asked()[0];
    assert_eq!(asked.body["messages"][0]["content"], "secret://file/other got [secret]");
    assert!(!asked.head.contains("authorization"));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_pass_is_asked_again_and_said() {
    let replies = vec![
        Reply::status(
            "429 Too Many Requests",
            "retry-after: 1\r\n",
            r#"{"error": {"message": "slow down"}}"#,
        ),
        Reply::status("503 Service Unavailable", RETRY_AT_ONCE, "busy"),
        Reply::answer(&["ok"]),
    ];
    let (run, step, log, server) = ask(replies, "").await;
    assert_eq!((run.state, run.attempt), (State::Succeeded, 1));
    assert_eq!((step.output.as_deref(), step.tokens_in), (Some("ok"), Some(10)));
    assert_eq!(
        log,
        [
            "[retrying in 1s (1 of 2): the model server answered 429 Too Many Requests: slow down]",
            "[retrying (2 of 2): the model server answered 503 Service Unavailable: busy]",
            "ok",
        ]
    );
    let asked = server.asked();
    assert!(asked[1].at - asked[0].at >= Duration::from_secs(1), "Retry-After is honoured");
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_end_and_the_run_may_be_attempted_again() {
    let busy = Reply::status("500 Internal Server Error", RETRY_AT_ONCE, "no");
    let server = ModelServer::start(vec![busy.clone(), busy.clone(), busy, Reply::answer(&["ok"])]).await;
    let scene = scene(&server, "backoff = { base = \"10ms\" }", "");
    let id = scene.enqueue("k", json!({})).await;
    let run = scene.until_state(id, State::Succeeded).await;
    assert_eq!((run.attempt, server.asked().len()), (2, 4));
    let first = scene.event(id, "run.retry_scheduled").await.unwrap().payload.to_value();
    assert_eq!(first["error"], "step \"ask\": the model server answered 500 Internal Server Error: no");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_comes_up_late_is_waited_for() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let late = closed.local_addr().unwrap();
    drop(closed);
    let scene = scene_at(&format!("http://{late}/v1"), "", "");
    let id = scene.enqueue("k", json!({})).await;
    scene.until_log(id, "cannot reach the model server").await;
    let up = ModelServer::at(TcpListener::bind(late).await.unwrap(), vec![Reply::answer(&["late"])]);
    scene.until_state(id, State::Succeeded).await;
    let log = scene.log(id).await;
    assert!(log[0].contains("cannot reach the model server") && log[0].contains("refused"), "{log:?}");
    assert_eq!((log.last().unwrap().as_str(), up.asked().len()), ("late", 1));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_and_half_an_answer_are_asked_again_and_their_tokens_count_once() {
    let counted = json!({"prompt_tokens": 7, "completion_tokens": 1});
    let half = Reply::stream().content("half\nan ans").usage(counted.clone()).usage(counted.clone());
    let replies = vec![
        half.clone(),
        Reply::stream().content("again").raw_event("{\"choices\": [").end(),
        Reply::answer(&["whole"]),
    ];
    let (run, step, log, _) = ask(replies, "").await;
    assert_eq!(run.state, State::Succeeded);
    assert_eq!(step.output.as_deref(), Some("whole"));
    assert_eq!((step.tokens_in, step.tokens_out), (Some(17), Some(6)), "7 + 10, 1 + 5");
    assert_eq!(log[..2], ["half", "an ans"]);
    assert!(log[2].contains("(1 of 2): the answer was cut off"), "{log:?}");
    assert!(log[4].contains("an unknown event"), "{log:?}");

    let replies = vec![Reply::stream().wait(900), half, Reply::stream().content("a").end()];
    let (run, step, log, server) = ask(replies, "").await;
    assert!(log[0].contains("sent nothing for 500ms"), "{log:?}");
    assert_eq!(error(&run), "step \"ask\": the answer was cut off");
    assert_eq!((step.tokens_in, step.tokens_out, server.asked().len()), (Some(7), Some(1), 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_an_answer_may_be_told_in_either_way() {
    let done = Reply::stream().content("a").done();
    let (run, step, log, _) = ask(vec![done], "").await;
    assert_eq!((run.state, step.output.as_deref()), (State::Succeeded, Some("a")));
    assert_eq!((step.tokens_in, step.tokens_out), (None, None));
    assert_eq!(log, ["a", "[the model server reported no token counts]"]);
    let finished = Reply::stream().content("a").finish("stop").wait(900);
    let (run, _, _, server) = ask(vec![finished], "").await;
    assert_eq!((run.state, server.asked().len()), (State::Succeeded, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_held_to_its_schema() {
    let schema = "schema = \"answer.json\"";
    let (run, step, log, server) =
        ask(vec![Reply::answer(&["{\"n\": \"one@example.org\"}"]), Reply::answer(&["{\"n\": 1}"])], schema)
            .await;
    assert_eq!((run.state, step.output.as_deref()), (State::Succeeded, Some("{\"n\": 1}")));
    assert_eq!((step.tokens_in, step.tokens_out), (Some(20), Some(10)));
    assert!(log[1].starts_with("[retrying (1 of 2): the answer does not match its schema: /n: "), "{log:?}");
    let format = &server.asked()[0].body["response_format"];
    assert_eq!((&format["type"], &format["json_schema"]["strict"]), (&json!("json_schema"), &json!(true)));
    assert_eq!(format["json_schema"]["schema"]["required"], json!(["n"]));
    let messages = server.asked()[1].body["messages"].as_array().unwrap().len();
    assert_eq!(messages, 3, "the model is told what does not fit");

    let server = ModelServer::start(vec![
        Reply::answer(&["no JSON"]),
        Reply::answer(&["{\"n\": \"shy-value\"}"]),
        Reply::answer(&["{\"n\": 1}"]),
    ])
    .await;
    let scene = scene(&server, "", schema);
    let id = scene.enqueue("k", json!({})).await;
    let run = scene.until_state(id, State::Failed).await;
    assert_eq!((run.attempt, server.asked().len()), (1, 2), "not to be retried");
    let why = error(&run);
    assert!(
        why.starts_with("step \"ask\": the answer does not match its schema: /n: ") && !why.contains("shy"),
        "{why}"
    );
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_will_not_pass_fails_for_good() {
    let echo = format!(r#"{{"error": {{"message": "no such key: {KEY}"}}}}"#);
    let content = Reply::stream().content("some");
    let cases = [
        (
            Reply::status("401 Unauthorized", "", &echo),
            "the model server answered 401 Unauthorized: no such key: [secret]",
        ),
        (Reply::status("404 Not Found", "", "<html>"), "the model server answered 404 Not Found: <html>"),
        (
            Reply::status("307 Temporary Redirect", "location: http://127.0.0.1:9/\r\n", ""),
            "redirects are not followed",
        ),
        (content.clone().finish("length").done(), "raise max_tokens"),
        (content.clone().finish("content_filter").done(), "content filter"),
        (
            Reply::stream()
                .event(&json!({"choices": [{"delta": {"refusal": "I won't"}, "finish_reason": "stop"}]}))
                .done(),
            "the model refused: I won't",
        ),
    ];
    for (reply, why) in cases {
        let server = ModelServer::start(vec![reply]).await;
        let scene = scene(&server, "", "");
        let id = scene.enqueue("k", json!({})).await;
        let run = scene.until_state(id, State::Failed).await;
        assert!(error(&run).contains(why), "{:?}", run.error);
        assert_eq!((run.attempt, server.asked().len()), (1, 1), "{why}");
        scene.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_an_end_is_bounded() {
    let line = "0123456789abcdef\n".repeat(2_000);
    let huge = (0..130).fold(Reply::stream(), |reply, _| reply.content(&line)).done();
    let (run, step, _, _) = ask(vec![huge], "").await;
    assert_eq!(error(&run), "step \"ask\": the answer is longer than 4 MiB");
    assert!(step.output.unwrap().len() <= 64 * 1024);
}

#[tokio::test(flavor = "multi_thread")]
async fn absurd_counts_are_no_counts() {
    let reply = |usage| Reply::stream().content("a").finish("stop").usage(usage).done();
    let (run, step, log, _) =
        ask(vec![reply(json!({"prompt_tokens": -5, "completion_tokens": 1e300}))], "").await;
    assert_eq!((run.state, step.tokens_in, step.tokens_out), (State::Succeeded, None, None));
    assert_eq!(log.iter().filter(|line| line.contains("not a token count")).count(), 2);
    let (run, step, _, _) =
        ask(vec![reply(json!({"prompt_tokens": "many", "completion_tokens": 3}))], "").await;
    assert_eq!((run.state, step.tokens_in, step.tokens_out), (State::Succeeded, None, Some(3)));
    let (run, step, _, _) = ask(vec![reply(json!([]))], "").await;
    assert_eq!((run.state, step.tokens_in), (State::Succeeded, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_of_tokens_ends_the_run_over_all_its_attempts() {
    // Each try costs 15. The first attempt uses 30 in two tries, and fails after them.
    let counted = json!({"prompt_tokens": 10, "completion_tokens": 5});
    let half = Reply::stream().content("half").usage(counted.clone());
    let refused = Reply::status("500 Internal Server Error", RETRY_AT_ONCE, "");
    let replies = vec![half.clone(), half, refused, Reply::answer(&["ok"]), Reply::answer(&["too much"])];
    let server = ModelServer::start(replies).await;
    let kind = "token_budget = 44\nbackoff = { base = \"10ms\" }";
    let scene = scene(&server, kind, "");
    let id = scene.enqueue("k", json!({})).await;
    let run = scene.until_state(id, State::Failed).await;
    assert_eq!(error(&run), "step \"ask\": the token budget of 44 is used up: the run has used 45");
    assert_eq!((run.attempt, server.asked().len()), (2, 4), "it ends for good");
    let seen: Vec<_> = scene.steps(id).await.iter().map(|step| (step.tokens_in, step.tokens_out)).collect();
    assert_eq!(seen, [(Some(20), Some(10)), (Some(10), Some(5))]);
    scene.end().await;

    let server = ModelServer::start(vec![Reply::answer(&["ok"]), Reply::answer(&["never"])]).await;
    let again = "[[kinds.k.steps]]\nphase = \"execution\"\nname = \"again\"\ntype = \"ai_action\"\nprovider = \"local\"\nprompt = \"x\"";
    let scene = self::scene(&server, "token_budget = 15", again);
    let id = scene.enqueue("k", json!({})).await;
    let run = scene.until_state(id, State::Failed).await;
    assert_eq!(error(&run), "step \"again\": the token budget of 15 is used up: the run has used 15");
    assert_eq!(server.asked().len(), 1, "a call for which nothing is left is not begun");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_and_a_timeout_end_it_in_the_middle() {
    let slow = (0..40).fold(Reply::stream().content("begun\n"), |reply, _| reply.wait(200).content("."));
    let slow = slow.usage(json!({"prompt_tokens": 1, "completion_tokens": 1})).done();
    let server = ModelServer::start(vec![slow.clone(), slow]).await;
    let scene = scene(&server, "", "timeout = \"1s\"");
    let id = scene.enqueue("k", json!({})).await;
    eventually("the model server is asked", || !server.asked().is_empty()).await;
    scene.runs.cancel(id).await.unwrap();
    scene.until_event(id, "run.cleaned").await;
    let (run, step) = asked_once(&scene, json!({})).await;
    assert_eq!(error(&run), "step \"ask\" timed out after 1s");
    assert!(step.output.unwrap().starts_with("begun\n."), "what there was of it is kept");
    assert!(scene.log(run.id).await.iter().any(|line| line.starts_with("..")));
    scene.end().await;
}
