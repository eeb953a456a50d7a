//! A real `sprongus serve` process, clients of it, and what can be done to it.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::Value;
use sprongus::core::values::ids::RunId;
use sprongus::core::workspace::token::TokenSecret;
use sprongus_http::client::{Options, RunsClient};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::project_folder::ProjectFolder;

/// A started server; killed when it is dropped.
pub struct ServeProcess {
    child: Child,
    pub address: SocketAddr,
    token: TokenSecret,
}

/// A port that nobody listens at now.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl ServeProcess {
    /// Starts one, and waits until it listens.
    pub fn start(project: &ProjectFolder, port: u16, token: &TokenSecret) -> Self {
        let mut command = project.sprongus(&["-q", "serve", "--listen", &format!("127.0.0.1:{port}")]);
        let complaints =
            File::options().append(true).create(true).open(project.path().join("serve.err")).unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(complaints).spawn().unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
        let address = url.trim().strip_prefix("http://").unwrap_or_else(|| {
            panic!("no server: {}", std::fs::read_to_string(project.path().join("serve.err")).unwrap())
        });
        Self { child, address: address.parse().unwrap(), token: token.clone() }
    }

    pub fn client(&self) -> RunsClient {
        RunsClient::new(&format!("http://{}", self.address), &self.token, &Options::default()).unwrap()
    }

    /// Ends it as a crash does.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Memory that it holds, in bytes (proc(5): VmRSS).
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024
    }

    /// Follows the workspace.
    pub async fn listen(&self) -> Listener {
        Listener::open(self.address, &self.token, "/v1/stream").await
    }

    /// Follows a run.
    pub async fn follow(&self, id: RunId) -> Listener {
        Listener::open(self.address, &self.token, &format!("/v1/runs/{id}/stream")).await
    }
}

impl Drop for ServeProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A token for everything.
pub fn token(project: &ProjectFolder) -> TokenSecret {
    let scopes = "runs:read,runs:write,runs:approve,runs:work,admin";
    let done = project.run(&["-q", "token", "create", "--name", "drill", "--scopes", scopes]);
    assert_eq!(done.code, Some(0), "{}", done.err);
    TokenSecret::parse(done.out.trim()).unwrap()
}

/// Somebody who follows a stream.
pub struct Listener {
    lines: tokio::io::Lines<tokio::io::BufReader<TcpStream>>,
}

impl Listener {
    async fn open(address: SocketAddr, token: &TokenSecret, path: &str) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let bearer = token.expose();
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {bearer}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut lines = tokio::io::BufReader::new(stream).lines();
        // The greeting says that nothing is missed from here on.
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.starts_with("retry: ") {
                break;
            }
        }
        Self { lines }
    }

    /// What the next event holds; none when there is none within the time, or the stream has ended.
    pub async fn next(&mut self, within: Duration) -> Option<Value> {
        let mut is_start = false;
        loop {
            let line = tokio::time::timeout(within, self.lines.next_line()).await.ok()?.ok()??;
            if let Some(name) = line.strip_prefix("event: ") {
                is_start = name == "start";
            } else if let Some(data) = line.strip_prefix("data: ")
                && !is_start
            {
                return Some(serde_json::from_str(data).unwrap());
            }
        }
    }
}
