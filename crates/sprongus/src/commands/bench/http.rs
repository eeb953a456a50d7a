//! Single enqueues over HTTP from another process, against as many callers in this one, on the same database in turns.

use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sprongus_core::workspace::token::{NewToken, Scope};
use sprongus_core::{Error, Result};
use sprongus_http::server::{Options, Server, serve};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::{Bench, Scratch, input, median, noop, quantile, rate, rounded};

/// Callers, and connections.
const CALLERS: u32 = 32;

/// Enqueues of each.
const EACH: u32 = 150;

/// Pairs of both.
const PAIRS: usize = 5;

/// Where the other process finds the server and its token: variables, because a command line can be read by everybody.
const ADDRESS: &str = "SPRONGUS_BENCH_ADDRESS";
const TOKEN: &str = "SPRONGUS_BENCH_TOKEN";

/// What the other process saw.
#[derive(Deserialize, Serialize)]
struct Load {
    per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
}

pub async fn measure(scratch: &Scratch) -> Result<Vec<Value>> {
    let bench = Bench::make(scratch, "http").await?;
    let service = bench.service.clone();
    let new =
        NewToken { name: "bench".to_owned(), scopes: vec![Scope::Write], projects: None, expires_in: None };
    let token = service.admin(bench.caller.clone()).create_token(new).await?;
    let fault = |error: std::io::Error| Error::internal("the server cannot listen").with_source(error);
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(fault)?;
    let address = listener.local_addr().map_err(fault)?.to_string();
    let server = Server::new(service, Options { rate_limit: None, ..Options::default() });
    let serving = tokio::spawn(serve(server, listener, std::future::pending()));
    let (mut here, mut there, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let (mut p50, mut p99) = (Vec::new(), Vec::new());
    // The first pair only warms up.
    for pair in 0..=PAIRS {
        let in_process = bench.enqueue_at_once(CALLERS, EACH).await?;
        let load = from_another_process(&address, token.secret.expose()).await?;
        if pair > 0 {
            ratios.push(load.per_second / in_process);
            here.push(in_process);
            there.push(load.per_second);
            p50.push(load.p50_ms);
            p99.push(load.p99_ms);
        }
    }
    serving.abort();
    Ok(vec![
        json!({"measure": "http.inProcess", "perSecond": median(here), "callers": CALLERS}),
        json!({
            "measure": "http.enqueue", "perSecond": median(there), "connections": CALLERS, "p50Ms": rounded(median(p50)),
            "p99Ms": rounded(median(p99)), "ratioToInProcess": rounded(median(ratios)),
        }),
    ])
}

async fn from_another_process(address: &str, token: &str) -> Result<Load> {
    let broken = |error: std::io::Error| Error::internal("cannot start the other process").with_source(error);
    let program = std::env::current_exe().map_err(broken)?;
    let output = tokio::process::Command::new(program)
        .args(["bench", "--load"])
        .env(ADDRESS, address)
        .env(TOKEN, token)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(broken)?;
    serde_json::from_slice(&output.stdout)
        .map_err(|error| Error::internal("no figures from the other process").with_source(error))
}

/// What the other process does: asks over and over, by hand, so that what is measured is the server.
pub async fn load() -> Result<Value> {
    let variable = |name| std::env::var(name).map_err(|_| Error::validation(format!("{name} is not set")));
    let (address, token) = (variable(ADDRESS)?, variable(TOKEN)?);
    let body = json!({"kind": noop()?, "input": input()}).to_string();
    let request = format!(
        "POST /v1/runs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let request: Arc<[u8]> = request.into_bytes().into();
    let began = Instant::now();
    let connections = (0..CALLERS).map(|_| tokio::spawn(connection(address.clone(), Arc::clone(&request))));
    let mut took = Vec::new();
    for connection in connections.collect::<Vec<_>>() {
        let answers = connection
            .await
            .map_err(|error| Error::internal("a connection was closed").with_source(error))?;
        let broken = |error| Error::internal("unexpected response from the server").with_source(error);
        took.extend(answers.map_err(broken)?.iter().map(|taken| taken.as_secs_f64() * 1e3));
    }
    let per_second = rate(CALLERS * EACH, began.elapsed());
    let load = Load { per_second, p50_ms: quantile(&mut took, 0.5), p99_ms: quantile(&mut took, 0.99) };
    serde_json::to_value(load).map_err(|error| Error::internal("cannot write the figures").with_source(error))
}

async fn connection(address: String, request: Arc<[u8]>) -> std::io::Result<Vec<Duration>> {
    let unexpected = |what: &str| std::io::Error::other(what.to_owned());
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    let mut took = Vec::with_capacity(EACH as usize);
    let (mut line, mut body) = (String::new(), Vec::new());
    for _ in 0..EACH {
        let asked = Instant::now();
        writer.write_all(&request).await?;
        line.clear();
        reader.read_line(&mut line).await?;
        if !line.starts_with("HTTP/1.1 201") {
            return Err(unexpected(line.trim_end()));
        }
        let mut length = 0;
        loop {
            line.clear();
            reader.read_line(&mut line).await?;
            match line.trim_end().split_once(':') {
                None => break,
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.trim().parse().map_err(|_| unexpected("a length that is no number"))?;
                }
                Some(_) => {}
            }
        }
        body.resize(length, 0);
        reader.read_exact(&mut body).await?;
        took.push(asked.elapsed());
    }
    Ok(took)
}
