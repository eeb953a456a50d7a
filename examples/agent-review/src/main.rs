//! A model server that is none: it answers `POST /v1/chat/completions` as OpenAI's, Ollama's and vLLM's servers do, streamed,
//! with a review that a few rules make of the diff in the prompt. The same prompt is always answered alike.
//!
//! `fake-model [ADDRESS]`; 127.0.0.1:11435 is the default.

mod http;
mod review;

use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// The pause between two pieces of an answer: slow enough to be seen coming.
const PACE: Duration = Duration::from_millis(15);

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:11435".to_owned());
    let listener = TcpListener::bind(&address)?;
    println!("fake-model serves http://{}/v1", listener.local_addr()?);
    io::stdout().flush()?;
    for stream in listener.incoming() {
        let stream = stream?;
        thread::spawn(move || {
            if let Err(error) = answer(stream) {
                eprintln!("fake-model: a call broke off: {error}");
            }
        });
    }
    Ok(())
}

fn answer(mut stream: TcpStream) -> io::Result<()> {
    let request = match http::read(&mut stream)? {
        Some(request) if request.path == "/v1/chat/completions" && request.method == "POST" => request,
        Some(_) => return http::refuse(&mut stream, "404 Not Found", "there is POST /v1/chat/completions"),
        None => return http::refuse(&mut stream, "400 Bad Request", "not an HTTP request of at most 8 MiB"),
    };
    let Ok(body) = serde_json::from_slice::<Value>(&request.body) else {
        return http::refuse(&mut stream, "400 Bad Request", "the body is no JSON");
    };
    let prompt =
        body["messages"].as_array().and_then(|all| all.last()).and_then(|last| last["content"].as_str());
    let Some(prompt) = prompt else {
        return http::refuse(&mut stream, "400 Bad Request", "a message with a content is needed");
    };
    let text = review::review(prompt).to_string();
    let model = body["model"].as_str().unwrap_or("fake");
    // Four letters a token is what people reckon with.
    let usage = json!({
        "prompt_tokens": prompt.len() / 4, "completion_tokens": text.len() / 4,
        "total_tokens": prompt.len() / 4 + text.len() / 4,
    });
    if body["stream"].as_bool() != Some(true) {
        let message = json!({"role": "assistant", "content": text});
        let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
        let whole = json!({"object": "chat.completion", "model": model, "choices": [choice], "usage": usage});
        return http::respond(&mut stream, &whole);
    }
    http::begin_events(&mut stream)?;
    let chunk = |delta: Value, finish: Value| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
        json!({"object": "chat.completion.chunk", "model": model, "choices": [choice]})
    };
    for piece in text.split_inclusive(' ') {
        http::event(&mut stream, &chunk(json!({"content": piece}), Value::Null).to_string())?;
        thread::sleep(PACE);
    }
    http::event(&mut stream, &chunk(json!({}), json!("stop")).to_string())?;
    if body["stream_options"]["include_usage"].as_bool() == Some(true) {
        let last = json!({"object": "chat.completion.chunk", "model": model, "choices": [], "usage": usage});
        http::event(&mut stream, &last.to_string())?;
    }
    http::event(&mut stream, "[DONE]")
}
