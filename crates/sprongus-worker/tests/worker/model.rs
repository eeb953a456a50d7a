//! A model server that answers as it was told: request by request, piece by piece.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What becomes of one request.
#[derive(Clone, Default)]
pub struct Reply(Vec<Part>);

#[derive(Clone)]
enum Part {
    Raw(String),
    Chunk(String),
    Wait(Duration),
    End,
}

impl Reply {
    /// The head of a stream; what follows comes as chunks, and what has no [`Reply::end`] is cut off.
    pub fn stream() -> Self {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\
                    connection: close\r\n\r\n";
        Self(vec![Part::Raw(head.to_owned())])
    }

    /// An answer of these pieces, whole.
    pub fn answer(pieces: &[&str]) -> Self {
        let stream = pieces.iter().fold(Self::stream(), |reply, piece| reply.content(piece));
        stream.finish("stop").usage(json!({"prompt_tokens": 10, "completion_tokens": 5})).done()
    }

    pub fn status(status: &str, headers: &str, body: &str) -> Self {
        let length = body.len();
        Self(vec![Part::Raw(format!(
            "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n{body}"
        ))])
    }

    fn with(mut self, part: Part) -> Self {
        self.0.push(part);
        self
    }

    pub fn raw_event(self, data: &str) -> Self {
        self.with(Part::Chunk(format!("data: {data}\n\n")))
    }

    pub fn bytes(self, text: &str) -> Self {
        self.with(Part::Chunk(text.to_owned()))
    }

    pub fn event(self, data: &Value) -> Self {
        self.raw_event(&data.to_string())
    }

    pub fn content(self, text: &str) -> Self {
        self.event(&json!({"object": "x", "new": [1], "choices": [{"index": 0, "delta": {"content": text}}]}))
    }

    pub fn finish(self, reason: &str) -> Self {
        self.event(&json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}], "usage": null}))
    }

    pub fn usage(self, usage: Value) -> Self {
        self.event(&json!({"choices": [], "usage": usage}))
    }

    pub fn wait(self, millis: u64) -> Self {
        self.with(Part::Wait(Duration::from_millis(millis)))
    }

    pub fn done(self) -> Self {
        self.raw_event("[DONE]").end()
    }

    pub fn end(self) -> Self {
        self.with(Part::End)
    }
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub head: String,
    pub body: Value,
    pub at: Instant,
}

/// The server; it goes with the test's runtime.
pub struct ModelServer {
    pub url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl ModelServer {
    /// Answers the first request with the first reply, and so on; a request beyond them is hung up on.
    pub async fn start(replies: Vec<Reply>) -> Self {
        Self::at(TcpListener::bind("127.0.0.1:0").await.unwrap(), replies)
    }

    pub fn at(listener: TcpListener, replies: Vec<Reply>) -> Self {
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let log = Arc::clone(&asked);
        tokio::spawn(async move {
            let mut replies = replies.into_iter();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let Some(asked) = read(&mut stream).await else { continue };
                log.lock().unwrap().push(asked);
                let reply = replies.next().unwrap_or_default();
                tokio::spawn(async move { play(stream, reply).await });
            }
        });
        Self { url, asked }
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

async fn read(stream: &mut TcpStream) -> Option<Asked> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let length: usize = length.parse().unwrap();
    while bytes.len() < end + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    Some(Asked { head, body: serde_json::from_slice(&bytes[end..]).unwrap(), at: Instant::now() })
}

async fn play(mut stream: TcpStream, reply: Reply) {
    for part in reply.0 {
        let text = match part {
            Part::Raw(text) => text,
            Part::Chunk(text) => format!("{:x}\r\n{text}\r\n", text.len()),
            Part::Wait(time) => {
                tokio::time::sleep(time).await;
                continue;
            }
            Part::End => "0\r\n\r\n".to_owned(),
        };
        // Whoever hung up wants no more.
        if stream.write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}
