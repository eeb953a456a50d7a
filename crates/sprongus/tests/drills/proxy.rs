//! A wire between a client and a server that can be cut at a chosen moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// Which half is lost: what the server was to be told, or what it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    ToServer,
    ToClient,
}

/// Passes connections on to one address.
pub struct Proxy {
    port: u16,
    fuse: Arc<Fuse>,
}

/// Burns once.
#[derive(Default)]
struct Fuse {
    /// How many pieces of each way still pass; below zero all do.
    left: [AtomicI32; 2],
    has_cut: AtomicBool,
}

impl Proxy {
    pub async fn start(to: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let fuse = Arc::new(Fuse::default());
        fuse.left.iter().for_each(|left| left.store(-1, Ordering::SeqCst));
        let guarded = Arc::clone(&fuse);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(&to).await else { continue };
                tokio::spawn(pass(client, server, Arc::clone(&guarded)));
            }
        });
        Self { port, fuse }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Cuts the connection on which the piece behind so many more would pass.
    pub fn cut_after(&self, pieces: i32, way: Way) {
        self.fuse.has_cut.store(false, Ordering::SeqCst);
        self.fuse.left[way as usize].store(pieces, Ordering::SeqCst);
    }

    /// Lets everything pass; whether it has cut since it was told to.
    pub fn mend(&self) -> bool {
        self.fuse.left.iter().for_each(|left| left.store(-1, Ordering::SeqCst));
        self.fuse.has_cut.load(Ordering::SeqCst)
    }
}

async fn pass(client: TcpStream, server: TcpStream, fuse: Arc<Fuse>) {
    // Both ends send small pieces and wait for the answer, as this wire must too.
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    // Whichever ends first ends both: dropped halves close both sockets.
    tokio::select! {
        () = carry(from_client, to_server, Way::ToServer, &fuse) => {}
        () = carry(from_server, to_client, Way::ToClient, &fuse) => {}
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, way: Way, fuse: &Fuse) {
    let mut piece = vec![0; 64 << 10];
    while let Ok(length) = from.read(&mut piece).await {
        if length == 0 {
            return;
        }
        if fuse.burns(way) || to.write_all(&piece[..length]).await.is_err() {
            return;
        }
    }
}

impl Fuse {
    fn burns(&self, way: Way) -> bool {
        let left = &self.left[way as usize];
        let before =
            left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| (left >= 0).then(|| left - 1));
        let burns = before == Ok(0);
        if burns {
            self.has_cut.store(true, Ordering::SeqCst);
        }
        burns
    }
}
