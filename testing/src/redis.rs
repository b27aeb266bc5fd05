//! A Redis server of one test.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A server on a socket, or a port, of its own; killed with the test.
#[derive(Debug)]
pub struct Redis {
    dir: TempDir,
    address: Address,
    arguments: Vec<String>,
    child: Option<Child>,
}

#[derive(Debug, Clone)]
enum Address {
    Socket(PathBuf),
    Port(u16),
}

impl Redis {
    /// Starts a server on a unix socket.
    pub async fn start() -> Self {
        let dir = dir();
        let socket = dir.path().join("redis.sock");
        Self::run(dir, Address::Socket(socket), &[]).await
    }

    /// Starts a server on a port, as replicas, clusters and proxies need one.
    pub async fn start_on_port() -> Self {
        Self::run(dir(), Address::Port(free_port()), &[]).await
    }

    /// Starts a cluster of one node that has all slots.
    ///
    /// # Panics
    /// When it doesn't come up.
    pub async fn start_cluster() -> Self {
        let server = Self::run(dir(), Address::Port(free_port()), &["--cluster-enabled", "yes"]).await;
        server.command(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]).await;
        let end = Instant::now() + Duration::from_secs(10);
        while !server.command(&["CLUSTER", "INFO"]).await.contains("cluster_state:ok") {
            assert!(Instant::now() < end, "the cluster never came up");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        server
    }

    /// Starts a replica of a server that listens on a port, and waits until it follows.
    ///
    /// # Panics
    /// When it doesn't follow.
    pub async fn start_replica_of(primary: &Self) -> Self {
        let Address::Port(port) = primary.address else { panic!("a replica needs its primary's port") };
        let replicaof = format!("127.0.0.1 {port}");
        let replica = Self::run(dir(), Address::Port(free_port()), &["--replicaof", &replicaof]).await;
        let end = Instant::now() + Duration::from_secs(20);
        while !replica.command(&["INFO", "replication"]).await.contains("master_link_status:up") {
            assert!(Instant::now() < end, "the replica never followed");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        replica
    }

    async fn run(dir: TempDir, address: Address, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|a| (*a).to_owned()).collect();
        let mut server = Self { dir, address, arguments, child: None };
        server.start_again().await;
        server
    }

    /// The URL that functions take.
    #[must_use]
    pub fn url(&self) -> String {
        match &self.address {
            Address::Socket(path) => format!("unix://{}", path.display()),
            Address::Port(port) => format!("redis://127.0.0.1:{port}"),
        }
    }

    /// `host:port`, for a proxy.
    ///
    /// # Panics
    /// When it listens on a socket.
    #[must_use]
    pub fn host_port(&self) -> String {
        match self.address {
            Address::Port(port) => format!("127.0.0.1:{port}"),
            Address::Socket(_) => panic!("a server on a socket has no port"),
        }
    }

    /// Kills the server, as a machine that dies does.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it again on the same address, with nothing in it.
    ///
    /// # Panics
    /// When it doesn't come up.
    pub async fn start_again(&mut self) {
        self.stop();
        let (socket, port) = match &self.address {
            Address::Socket(path) => (path.display().to_string(), "0".to_owned()),
            Address::Port(port) => (self.dir.path().join("unused.sock").display().to_string(), port.to_string()),
        };
        let child = Command::new("setpriv")
            // The server doesn't outlive the test process, however that ends.
            .args([
                "--pdeathsig",
                "KILL",
                "redis-server",
                "--port",
                &port,
                "--bind",
                "127.0.0.1",
                "--unixsocket",
                &socket,
            ])
            .args(["--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0", "--dir"])
            .arg(self.dir.path())
            .args(&self.arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server is installed; scripts/install does it");
        self.child = Some(child);
        let end = Instant::now() + Duration::from_secs(10);
        while self.try_command(&["PING"]).await.is_err() {
            assert!(Instant::now() < end, "redis-server never answered");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Forgets everything, as `FLUSHALL` does.
    pub async fn flush(&self) {
        self.command(&["FLUSHALL"]).await;
    }

    /// Runs a command and answers what it printed.
    ///
    /// # Panics
    /// When it fails.
    pub async fn command(&self, words: &[&str]) -> String {
        self.try_command(words).await.unwrap_or_else(|e| panic!("{words:?}: {e}"))
    }

    async fn try_command(&self, words: &[&str]) -> redis::RedisResult<String> {
        let client = redis::Client::open(self.url())?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        let value: redis::Value = command.query_async(&mut connection).await?;
        Ok(match value {
            redis::Value::BulkString(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            redis::Value::VerbatimString { text, .. } => text,
            other => format!("{other:?}"),
        })
    }

    /// Lets time pass for a license's seats: every expiry comes nearer by so many milliseconds, also those of the instances
    /// that share a session, and the license's end. Nothing sleeps, and Redis's clock, which counts, is the same for all.
    pub async fn age_seats(&self, license: impl std::fmt::Display, by_ms: i64) {
        let script = "
            local function older(at) return string.format('%.0f', at + ARGV[1]) end
            for _, s in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do redis.call('ZINCRBY', KEYS[1], ARGV[1], s) end
            local all = redis.call('HGETALL', KEYS[2])
            for i = 1, #all, 2 do
                local names = string.gsub(all[i + 1], '([=!])(%d+)', function(sign, at) return sign .. older(at) end)
                redis.call('HSET', KEYS[2], all[i], names)
            end
            local ends = tonumber(redis.call('HGET', KEYS[3], 'ends') or '')
            if ends then redis.call('HSET', KEYS[3], 'ends', older(ends)) end";
        let [live, instances, terms] = ["live", "instances", "terms"].map(|part| format!("seat:{{{license}}}:{part}"));
        self.command(&["EVAL", script, "3", &live, &instances, &terms, &(-by_ms).to_string()]).await;
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.stop();
    }
}

fn dir() -> TempDir {
    // A socket's path has at most 107 bytes, which a deep TMPDIR would exceed.
    let root = Path::new("/tmp");
    tempfile::Builder::new().prefix("coditect-redis").tempdir_in(root).expect("/tmp is writable")
}

/// A port that is free now. It may be gone when it is used; then the server doesn't come up and the test says so.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a bound listener has an address").port()
}
