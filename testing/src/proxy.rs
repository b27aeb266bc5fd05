//! A proxy that cuts or stalls connections, to see what a function does when a server is gone or silent.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;

/// The proxy's handling of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Forward,
    /// Closes open connections and new ones.
    Cut,
    /// Keeps connections open and silent.
    Stall,
    /// Keeps the earlier connections open and silent for ever, and forwards new ones.
    Lose,
}

/// The address that a proxy forwards to.
#[derive(Debug, Clone)]
pub enum Upstream {
    /// `host:port`.
    Tcp(String),
    /// A socket's path.
    Unix(PathBuf),
}

/// A proxy on a free port.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    mode: Arc<watch::Sender<Mode>>,
}

impl Proxy {
    /// Starts a proxy that forwards.
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn to(upstream: Upstream) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let mode = Arc::new(watch::channel(Mode::Forward).0);
        let modes = mode.subscribe();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(connection(client, upstream.clone(), modes.clone()));
            }
        });
        Self { address, mode }
    }

    /// Starts a proxy in front of the test run's PostgreSQL.
    pub async fn to_postgres() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the test run's own setting, not a function's configuration")]
        let server = std::env::var("TEST_DATABASE_URL").unwrap_or_default();
        let dir = server.split_whitespace().find_map(|w| w.strip_prefix("host=")).unwrap_or("/tmp");
        Self::to(Upstream::Unix(PathBuf::from(dir).join(".s.PGSQL.5432"))).await
    }

    /// Returns the address on which it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes every connection, and each new one at once.
    pub fn cut(&self) {
        self.mode.send_replace(Mode::Cut);
    }

    /// Keeps connections open and forwards nothing.
    pub fn stall(&self) {
        self.mode.send_replace(Mode::Stall);
    }

    /// Keeps the earlier connections silent, as after the loss of a machine, and forwards new ones.
    pub fn lose(&self) {
        self.mode.send_replace(Mode::Lose);
    }

    /// Forwards again, new connections only: the earlier ones are closed.
    pub fn resume(&self) {
        self.mode.send_replace(Mode::Cut);
        self.mode.send_replace(Mode::Forward);
    }
}

async fn connection(client: TcpStream, upstream: Upstream, modes: watch::Receiver<Mode>) {
    match upstream {
        Upstream::Tcp(address) => match TcpStream::connect(address).await {
            Ok(server) => forward(client, server, modes).await,
            Err(_) => drop(client),
        },
        Upstream::Unix(path) => match UnixStream::connect(path).await {
            Ok(server) => forward(client, server, modes).await,
            Err(_) => drop(client),
        },
    }
}

async fn forward(
    mut client: TcpStream,
    mut server: impl AsyncRead + AsyncWrite + Unpin,
    mut modes: watch::Receiver<Mode>,
) {
    if matches!(*modes.borrow_and_update(), Mode::Forward | Mode::Lose) {
        tokio::select! {
            _ = copy_bidirectional(&mut client, &mut server) => return,
            _ = modes.changed() => {}
        }
    }
    // A connection is never resumed: bytes may have been lost between the two copies.
    let mode = *modes.borrow_and_update();
    match mode {
        Mode::Stall => drop(modes.changed().await),
        Mode::Lose => std::future::pending().await,
        Mode::Cut | Mode::Forward => {}
    }
}
