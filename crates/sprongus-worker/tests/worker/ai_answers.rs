//! What servers send as an answer, and what is made of it.

use serde_json::{Value, json};
use sprongus_core::run::state::State;
use sprongus_core::run::view::RunView;

use crate::ai_actions::{ask, error};
use crate::model::Reply;

const COUNTED: &str = r#""usage": {"prompt_tokens": 3, "completion_tokens": 4}"#;

fn document(kind: &str, body: &str) -> Reply {
    Reply::status("200 OK", &format!("content-type: {kind}\r\n"), body)
}

fn delta(delta: Value) -> Reply {
    Reply::stream().event(&json!({"choices": [{"delta": delta}]}))
}

/// Asked once and no more, though it could be asked again.
async fn fails_at_once(reply: Reply, why: &str) -> RunView {
    let (run, _, log, server) = ask(vec![reply, Reply::answer(&["never"])], "").await;
    assert!(error(&run).contains(why), "{:?} {log:?}", run.error);
    assert_eq!(server.asked().len(), 1, "{why}: {log:?}");
    run
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_an_answer_well_is_a_list() {
    for reason in ["stop", "STOP", "eos", "end_turn", "stop_sequence", "COMPLETE"] {
        let (run, step, _, _) = ask(vec![Reply::stream().content("whole").finish(reason).done()], "").await;
        assert_eq!((run.state, step.output.as_deref()), (State::Succeeded, Some("whole")), "{reason}");
    }
    let half = || Reply::stream().content("half of the ans");
    for reason in ["length", "max_tokens", "model_length", "MAX_TOKENS"] {
        fails_at_once(half().finish(reason).done(), &format!("({reason}): raise max_tokens")).await;
    }
    for reason in ["content_filter", "SAFETY", "RECITATION"] {
        fails_at_once(half().finish(reason).done(), &format!("content filter stopped the answer ({reason})"))
            .await;
    }
    fails_at_once(half().finish("tool_calls").done(), "the model called a tool").await;
    fails_at_once(half().finish("whatever_this_is").done(), "may be incomplete: whatever_this_is").await;
    for reason in ["error", "abort", "insufficient_system_resource"] {
        let (run, step, log, _) =
            ask(vec![half().finish(reason).done(), Reply::answer(&["whole"])], "").await;
        assert_eq!((run.state, step.output.as_deref()), (State::Succeeded, Some("whole")), "{reason}");
        assert!(log[1].ends_with(&format!("(1 of 2): the model server stopped: {reason}]")), "{log:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_none_is_named_and_not_paid_for_again() {
    for (reply, why) in [
        (Reply::stream(), "an empty answer"),
        (Reply::stream().content(" \n"), "an empty answer"),
        (delta(json!({"content": null, "reasoning_content": "hm"})), "returned reasoning but no answer"),
        (
            delta(json!({"content": [{"type": "thinking", "thinking": "hm"}]})),
            "returned reasoning but no answer",
        ),
        (delta(json!({"tool_calls": [{"index": 0, "function": {"name": "f"}}]})), "called a tool"),
    ] {
        fails_at_once(reply.clone().finish("stop").done(), why).await;
        fails_at_once(reply.done(), why).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_in_the_stream_is_told_in_any_shape() {
    let half = || Reply::stream().content("half");
    for event in [
        json!({"error": {"message": "out of memory", "code": 500}}),
        json!({"error": "out of memory"}),
        json!({"object": "error", "message": "out of memory", "code": 500}),
        json!({"type": "error", "error": {"type": "overloaded_error", "message": "out of memory"}}),
        json!({"message": "out of memory", "code": 503}),
        json!({"choices": [{"finish_reason": "error", "error": {"message": "out of memory"}}]}),
    ] {
        let (run, step, log, _) = ask(vec![half().event(&event).done(), Reply::answer(&["whole"])], "").await;
        assert_eq!((run.state, step.output.as_deref()), (State::Succeeded, Some("whole")), "{event}");
        assert!(log[1].ends_with("the model server stopped: out of memory]"), "{event}: {log:?}");
    }
    let named = half().bytes("event: error\ndata: out of\ndata: memory\n\n").done();
    let (_, _, log, _) = ask(vec![named, Reply::answer(&["whole"])], "").await;
    assert!(log[1].ends_with("the model server stopped: out of memory]"), "{log:?}");
    for event in [
        json!({"object": "error", "message": "too long", "type": "BadRequestError", "code": 400}),
        json!({"error": {"message": "too long", "code": "context_length_exceeded"}}),
    ] {
        fails_at_once(half().event(&event).done(), "the model server stopped: too long").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn json_in_place_of_a_stream_is_read() {
    let whole = format!(
        r#"{{"choices": [{{"message": {{"content": "whole"}}, "finish_reason": "stop"}}], {COUNTED}}}"#
    );
    for kind in ["application/json; charset=utf-8", "text/event-stream", "text/plain"] {
        let (run, step, log, server) = ask(vec![document(kind, &whole)], "").await;
        assert_eq!((run.state, step.output.as_deref()), (State::Succeeded, Some("whole")), "{kind}");
        assert_eq!((step.tokens_in, step.tokens_out, server.asked().len()), (Some(3), Some(4), 1));
        assert_eq!(log, ["whole"]);
    }
    let cut = r#"{"choices": [{"message": {"content": "half"}, "finish_reason": "length"}]}"#;
    fails_at_once(document("application/json", cut), "raise max_tokens").await;
    let refused = r#"{"error": {"message": "no\n  such model", "type": "invalid_request_error"}}"#;
    fails_at_once(document("application/json", refused), "stopped: no such model").await;
    fails_at_once(
        document("application/json", r#"{"status": "ok"}"#),
        "not a response of an OpenAI-compatible API",
    )
    .await;
    let page = "<!doctype html><html><title>Sign\nin</title><body>…";
    fails_at_once(document("text/html", page), "returned a web page; check base_url: Sign in").await;
    let lines = "{\"message\": {\"content\": \"a\"}, \"done\": false}\n{\"done\": true}\n";
    fails_at_once(document("application/x-ndjson", lines), "returned JSON lines").await;
    fails_at_once(document("application/json", lines), "returned JSON lines").await;
    let packed = "content-encoding: gzip\r\ncontent-type: application/json\r\n";
    fails_at_once(Reply::status("200 OK", packed, "packed"), "sent a compressed answer").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn content_comes_as_a_list_and_in_large_events() {
    let list =
        json!({"content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "who"}, "le"]});
    let (run, step, _, _) = ask(vec![delta(list).finish("stop").done()], "").await;
    assert_eq!((run.state, step.output.as_deref()), (State::Succeeded, Some("whole")));
    let large = "x".repeat(1024 * 1024);
    let (run, step, _, server) = ask(vec![Reply::stream().content(&large).finish("stop").done()], "").await;
    assert_eq!((run.state, server.asked().len()), (State::Succeeded, 1), "{:?}", run.error);
    assert!(step.output.unwrap().starts_with("xxxx"));
    let endless = Reply::stream().bytes("data: ").bytes(&"x".repeat(9 * 1024 * 1024)).end();
    fails_at_once(endless, "an event of more than 8 MiB").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_blank_lines_and_empty_reasons_take_nothing_from_an_answer() {
    let blank = || Reply::stream().bytes("\u{feff}").bytes("\n\n  \n");
    let (_, step, _, _) = ask(vec![blank().content("who").content("le").finish("stop").done()], "").await;
    assert_eq!(step.output.as_deref(), Some("whole"));
    let marked =
        Reply::stream().bytes("\u{feff}data: {\"choices\": [{\"delta\": {\"content\": \"who\"}}]}\n\n");
    let (_, step, _, _) = ask(vec![marked.content("le").finish("stop").done()], "").await;
    assert_eq!(step.output.as_deref(), Some("whole"));
    let document = format!(
        "\u{feff}\n{{\"choices\": [{{\"message\": {{\"content\": \"whole\"}}, \"finish_reason\": \"stop\"}}], {COUNTED}}}"
    );
    let (_, step, _, _) = ask(vec![self::document("application/json", &document)], "").await;
    assert_eq!(step.output.as_deref(), Some("whole"));

    // A reason that is none, and one that comes with each piece, however long they take in all.
    for reason in [json!(""), json!("null"), json!(null), json!("stop")] {
        let counted = Reply::stream().usage(json!({"prompt_tokens": 1, "completion_tokens": 2}));
        let piece = |reply: Reply, text: &str| {
            let choice = json!({"delta": {"content": text}, "finish_reason": reason});
            reply.event(&json!({"choices": [choice]})).wait(150)
        };
        let letters: Vec<String> = ('a'..='p').map(String::from).collect();
        let whole = letters.iter().fold(counted, |reply, text| piece(reply, text));
        let (run, step, log, _) = ask(vec![whole.finish("stop").done()], "").await;
        assert_eq!((run.state, step.output), (State::Succeeded, Some(letters.concat())), "{reason}: {log:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_counted_wherever_they_are_told() {
    let usage = json!({"prompt_tokens": 3, "completion_tokens": 4});
    let finish = |more: Value| {
        let mut last = json!({"choices": [{"delta": {}, "finish_reason": "stop"}]});
        last.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Reply::stream().content("whole").event(&last).done()
    };
    let of_choice = json!({"choices": [{"delta": {}, "finish_reason": "stop", "usage": usage}]});
    for last in [json!({"usage": usage}), json!({"x_groq": {"usage": usage}}), of_choice] {
        let (_, step, _, _) = ask(vec![finish(last.clone())], "").await;
        assert_eq!((step.tokens_in, step.tokens_out), (Some(3), Some(4)), "{last}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_stays_open_behind_the_answer_is_left() {
    // It stays open for longer than is waited for the run.
    let pings = |reply: Reply| (0..600).fold(reply, |reply, _| reply.wait(200).bytes(": ping\n\n"));
    let counted = json!({"prompt_tokens": "3", "completion_tokens": 4.0});
    let open = pings(Reply::stream().content("whole").finish("stop").usage(counted));
    let (run, step, _, server) = ask(vec![open], "").await;
    assert_eq!((run.state, server.asked().len()), (State::Succeeded, 1));
    assert_eq!((step.output.as_deref(), step.tokens_in, step.tokens_out), (Some("whole"), Some(3), Some(4)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_refuses_by_name_is_left_out_once() {
    let refuse = |status: &str, body: &str| Reply::status(status, "", body);
    let replies = vec![
        refuse(
            "422 Unprocessable Entity",
            r#"{"detail": [{"loc": ["body", "stream_options"], "msg": "Extra inputs are not permitted"}]}"#,
        ),
        refuse(
            "400 Bad Request",
            r#"{"error": {"message": "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."}}"#,
        ),
        refuse(
            "400 Bad Request",
            r#"{"error": {"message": "Invalid schema for response_format 'answer':\n 'additionalProperties' is required"}}"#,
        ),
        Reply::stream().content("{\"n\": 1}").finish("stop").done(),
    ];
    let (run, _, log, server) = ask(replies, "max_tokens = 9\nschema = \"answer.json\"").await;
    assert_eq!(run.state, State::Succeeded, "{log:?}");
    assert_eq!(
        log[0],
        "[retrying with other settings: the model server answered 422 Unprocessable Entity: body.stream_options: Extra inputs are \
         not permitted]"
    );
    let asked: Vec<_> = server.asked().into_iter().map(|asked| asked.body).collect();
    assert!(asked[0]["stream_options"].is_object() && asked[1].get("stream_options").is_none());
    assert_eq!((&asked[1]["max_tokens"], &asked[2]["max_completion_tokens"]), (&json!(9), &json!(9)));
    assert!(asked[2].get("max_tokens").is_none());
    let strict = |body: &Value| body["response_format"]["json_schema"].get("strict").cloned();
    assert_eq!((strict(&asked[2]), strict(&asked[3])), (Some(json!(true)), None));

    // One that knows no schema in it at all.
    let unknown = r#"{"error": {"message": "This response_format type is unavailable now"}}"#;
    let whole = Reply::stream().content("{\"n\": 1}").finish("stop").done();
    let replies = vec![refuse("400 Bad Request", unknown), refuse("400 Bad Request", unknown), whole];
    let (run, _, log, server) = ask(replies, "schema = \"answer.json\"").await;
    assert_eq!(run.state, State::Succeeded, "{log:?}");
    let asked: Vec<_> = server.asked().into_iter().map(|asked| asked.body).collect();
    let prompt = |body: &Value| body["messages"].as_array().unwrap().last().unwrap()["content"].clone();
    assert!(asked[1]["response_format"].is_object() && asked[2].get("response_format").is_none());
    assert!(!prompt(&asked[1]).as_str().unwrap().contains("schema"));
    let question = prompt(&asked[2]);
    assert!(
        question.as_str().unwrap().contains("fits this schema and nothing else:\n{\"properties\":"),
        "{question}"
    );

    // The same once more is the end, and what names nothing of ours too.
    let extra = r#"{"error": {"message": "stream_options: unknown field"}}"#;
    let again = vec![refuse("400 Bad Request", extra), refuse("400 Bad Request", extra)];
    let (run, _, _, server) = ask(again, "").await;
    assert!(error(&run).ends_with("400 Bad Request: stream_options: unknown field"));
    assert_eq!(server.asked().len(), 2);
    fails_at_once(
        refuse("400 Bad Request", r#"{"message": "no such\n model"}"#),
        "400 Bad Request: no such model",
    )
    .await;
    let broke = r#"{"error": {"message": "no money", "type": "insufficient_quota"}}"#;
    fails_at_once(refuse("429 Too Many Requests", broke), "no money").await;
}
