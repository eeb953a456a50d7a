//! A proxy that loses answers: it hands a request on, waits for the server's whole answer, and closes the connection instead of
//! giving it to the client.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The most bytes of one message.
const LARGEST: usize = 8 << 20;

#[derive(Default)]
struct Counts {
    /// Answers that are to get through before some are lost.
    to_pass: AtomicUsize,
    /// Answers that are to be lost then.
    to_lose: AtomicUsize,
    lost: AtomicUsize,
    passed: AtomicUsize,
}

pub struct Proxy {
    pub address: SocketAddr,
    counts: Arc<Counts>,
    serving: JoinHandle<()>,
}

impl Proxy {
    pub async fn new(server: SocketAddr) -> Self {
        Self::at("127.0.0.1:0".parse().unwrap(), server).await
    }

    pub async fn at(address: SocketAddr, server: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let counts = Arc::new(Counts::default());
        let kept = Arc::clone(&counts);
        let serving = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let counts = Arc::clone(&kept);
                tokio::spawn(async move {
                    // A connection that breaks is what this is for.
                    let _ = carry(client, server, &counts).await;
                });
            }
        });
        Self { address, counts, serving }
    }

    /// Lets some answers through, and loses as many as these behind them.
    pub fn lose(&self, answers: usize, after: usize) {
        self.counts.to_pass.store(after, Ordering::SeqCst);
        self.counts.to_lose.store(answers, Ordering::SeqCst);
    }

    /// How many answers were lost, and how many got through.
    pub fn counts(&self) -> (usize, usize) {
        (self.counts.lost.load(Ordering::SeqCst), self.counts.passed.load(Ordering::SeqCst))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn carry(mut client: TcpStream, server: SocketAddr, counts: &Counts) -> std::io::Result<()> {
    let mut server = TcpStream::connect(server).await?;
    loop {
        let Some(request) = message(&mut client).await? else { return Ok(()) };
        server.write_all(&request).await?;
        let Some(answer) = message(&mut server).await? else { return Ok(()) };
        let is_due = |count: &AtomicUsize| {
            count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
        };
        if !is_due(&counts.to_pass) && is_due(&counts.to_lose) {
            counts.lost.fetch_add(1, Ordering::SeqCst);
            return Ok(());
        }
        counts.passed.fetch_add(1, Ordering::SeqCst);
        client.write_all(&answer).await?;
    }
}

/// One HTTP message, whose length its head tells; nothing when the other end is done.
async fn message(stream: &mut TcpStream) -> std::io::Result<Option<Vec<u8>>> {
    let mut read = Vec::new();
    loop {
        let head = read.windows(4).position(|four| four == b"\r\n\r\n").map(|end| end + 4);
        if let Some(head) = head {
            let text = String::from_utf8_lossy(&read[..head]).to_ascii_lowercase();
            let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
            let is_whole = if text.contains("transfer-encoding: chunked") {
                ends(&read[head..])
            } else {
                let body: usize = length.map_or(0, |length| length.trim().parse().expect("a length"));
                read.len() >= head + body
            };
            if is_whole {
                return Ok(Some(read));
            }
        }
        assert!(read.len() < LARGEST, "a message too large for this proxy");
        if stream.read_buf(&mut read).await? == 0 {
            return Ok(None);
        }
    }
}

/// Whether chunks come to their end.
fn ends(mut chunks: &[u8]) -> bool {
    loop {
        let Some(line) = chunks.windows(2).position(|two| two == b"\r\n") else { return false };
        let size = std::str::from_utf8(&chunks[..line]).expect("a size");
        let size = usize::from_str_radix(size, 16).expect("a size in hexadecimal");
        match chunks.get(line + 2 + size + 2..) {
            Some(_) if size == 0 => return true,
            Some(rest) => chunks = rest,
            None => return false,
        }
    }
}
