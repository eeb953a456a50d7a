//! As much of HTTP/1.1 as one call at a time needs: a connection is closed behind its answer.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

/// The largest request.
const MOST: u64 = 8 << 20;

/// How long a caller may be silent.
const PATIENCE: Duration = Duration::from_secs(30);

/// What was asked.
pub struct Request {
    pub method: String,
    pub path: String,
    pub body: Vec<u8>,
}

/// The request, if it is one.
pub fn read(stream: &mut TcpStream) -> io::Result<Option<Request>> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(stream.take(MOST));
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace();
    let (Some(method), Some(path)) = (words.next(), words.next()) else { return Ok(None) };
    let (method, path) = (method.to_owned(), path.to_owned());
    let mut length = 0;
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            let Ok(bytes) = value.trim().parse::<u64>() else { return Ok(None) };
            length = bytes;
        }
    }
    let mut body = Vec::new();
    reader.take(length).read_to_end(&mut body)?;
    Ok((body.len() as u64 == length).then_some(Request { method, path, body }))
}

/// Answers with JSON.
pub fn respond(stream: &mut TcpStream, body: &Value) -> io::Result<()> {
    send(stream, "200 OK", &body.to_string())
}

/// Answers with an error in the form these servers have.
pub fn refuse(stream: &mut TcpStream, status: &str, why: &str) -> io::Result<()> {
    send(stream, status, &json!({"error": {"message": why, "type": "invalid_request_error"}}).to_string())
}

/// Begins an answer that comes in pieces.
pub fn begin_events(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
}

/// Sends a piece.
pub fn event(stream: &mut TcpStream, data: &str) -> io::Result<()> {
    stream.write_all(format!("data: {data}\n\n").as_bytes())
}

fn send(stream: &mut TcpStream, status: &str, body: &str) -> io::Result<()> {
    let length = body.len();
    stream.write_all(
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        )
        .as_bytes(),
    )
}
