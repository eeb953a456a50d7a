//! HTTP by hand, so that a test can send what no client would.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::scene::PATIENCE;

/// What a server says when it wants the body that a request announced.
pub const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";

/// What came back.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.text()))
    }

    /// The body, which came in chunks.
    #[track_caller]
    pub fn unchunked(&self) -> Vec<u8> {
        assert_eq!(self.header("transfer-encoding"), Some("chunked"));
        let (mut left, mut whole) = (self.body.as_slice(), Vec::new());
        loop {
            let end = left.windows(2).position(|two| two == b"\r\n").expect("a chunk's size");
            let size = usize::from_str_radix(std::str::from_utf8(&left[..end]).unwrap(), 16).unwrap();
            if size == 0 {
                return whole;
            }
            whole.extend_from_slice(&left[end + 2..][..size]);
            left = &left[end + 2 + size + 2..];
        }
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body; the status must be this.
    #[track_caller]
    pub fn is(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        if self.body.is_empty() { Value::Null } else { self.json() }
    }

    /// The problem document of a refusal, whole.
    #[track_caller]
    pub fn refuses(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let problem = self.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status);
        assert_eq!(problem["type"], format!("/errors#{code}"));
        for field in ["title", "detail", "hint", "requestId"] {
            assert!(problem[field].as_str().is_some_and(|text| !text.is_empty()), "{field} of {problem}");
        }
        assert!(problem["retryable"].is_boolean());
        assert_eq!(self.header("x-request-id"), problem["requestId"].as_str());
        let text = self.text();
        for inside in ["SELECT", "sqlx", "rusqlite", "panicked", "/work/", "src/", "SQLSTATE"] {
            assert!(!text.contains(inside), "{inside} in {text}");
        }
        problem
    }
}

/// Sends these bytes and reads until the server closes.
pub async fn bytes(server: SocketAddr, request: &[u8]) -> Reply {
    let mut stream = TcpStream::connect(server).await.unwrap();
    // A server that refuses early may close before all is sent.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("an answer in time");
    parse(&answer)
}

/// Sends these bytes and reads until the server has sent `what`. What it sends later is to be read from the connection.
pub async fn begun(server: SocketAddr, request: &[u8], what: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server).await.unwrap();
    stream.write_all(request).await.unwrap();
    until_sent(&mut stream, what).await;
    stream
}

/// Reads until the server has sent `what`, byte for byte: what follows is left for others.
pub async fn until_sent(stream: &mut TcpStream, what: &str) {
    let mut sent = Vec::new();
    while !sent.ends_with(what.as_bytes()) {
        let next = tokio::time::timeout(PATIENCE, stream.read_u8()).await.expect("bytes in time");
        let text = String::from_utf8_lossy(&sent).into_owned();
        sent.push(next.unwrap_or_else(|error| panic!("{error}: {what:?} is not in {text}")));
    }
}

/// Reads what the server sends until it closes.
pub async fn rest(mut stream: TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("an end in time");
    answer
}

pub fn parse(answer: &[u8]) -> Reply {
    let split = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or_else(|| {
        panic!("no head in {:?}", String::from_utf8_lossy(answer));
    });
    let head = String::from_utf8_lossy(&answer[..split]);
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(':').unwrap();
        (name.to_ascii_lowercase(), value.trim().to_owned())
    });
    Reply { status, headers: headers.collect(), body: answer[split + 4..].to_vec() }
}

/// The bytes of a request whose answer ends the connection.
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let all: Vec<_> = [("Host", "localhost")].iter().chain(headers).copied().collect();
    of_host(method, path, &all, body)
}

/// The same, with the hosts that the headers name.
pub fn of_host(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    [head.as_bytes(), body].concat()
}
