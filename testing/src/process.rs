//! A function as a process of its own, to be killed where it hurts.

use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use common::logs::{self, Format, Log};

use crate::World;
use crate::http::Client;

/// A running function; killed with the test.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// A client of it.
    pub client: Client,
}

impl World {
    /// Starts a function's binary as a role and waits until it is ready.
    ///
    /// # Panics
    /// When it doesn't get ready.
    pub async fn spawn(&self, binary: &str, role: &str) -> Process {
        self.spawn_with(binary, role, &[]).await
    }

    /// The same with a wall clock that is off (`+1h`, `-1h`), by libfaketime.
    ///
    /// # Panics
    /// When libfaketime isn't installed, or the function doesn't get ready.
    pub async fn spawn_with_clock(&self, binary: &str, role: &str, offset: &str) -> Process {
        let dirs = std::fs::read_dir("/usr/lib").expect("/usr/lib is there").flatten();
        let mut libraries = dirs.map(|dir| dir.path().join("faketime/libfaketimeMT.so.1"));
        let library = libraries.find(|path| path.exists()).expect("libfaketime is installed; scripts/install does it");
        let library = library.display().to_string();
        let clock = [("LD_PRELOAD", library.as_str()), ("FAKETIME", offset), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")];
        self.spawn_with(binary, role, &clock).await
    }

    /// The same with what it has to say at a level, written to a file; its public address is where it listens.
    ///
    /// # Panics
    /// When the file can't be made, or the function doesn't get ready.
    pub async fn spawn_logging(&self, binary: &str, role: &str, level: &str, log: &std::path::Path) -> Process {
        let log = std::fs::File::create(log).expect("the log can be written");
        let address = free_address();
        let url = format!("http://{address}");
        self.spawn_at(address, binary, role, &[("RUST_LOG", level), ("PUBLIC_URL", &url)], log.into()).await
    }

    /// The same, that gives the address where it listens as its public one, so that a client finds its way by discovery.
    ///
    /// # Panics
    /// When the function doesn't get ready.
    pub async fn spawn_public(&self, binary: &str, role: &str) -> Process {
        let address = free_address();
        let url = format!("http://{address}");
        self.spawn_at(address, binary, role, &[("PUBLIC_URL", &url)], logged()).await
    }

    async fn spawn_with(&self, binary: &str, role: &str, more: &[(&str, &str)]) -> Process {
        self.spawn_at(free_address(), binary, role, more, logged()).await
    }

    async fn spawn_at(
        &self,
        address: SocketAddr,
        binary: &str,
        role: &str,
        more: &[(&str, &str)],
        log: Stdio,
    ) -> Process {
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", binary])
            .env_clear()
            .envs(self.variables(role))
            .env("PATH", "/usr/bin:/bin")
            .env("PORT", address.to_string())
            .envs(LOG.as_ref().map(|level| ("RUST_LOG", level)))
            .envs(more.iter().copied())
            .stdout(log)
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary can be run");
        let process = Process { child, client: Client::new(format!("http://{address}")) };
        let http = reqwest::Client::new();
        let end = Instant::now() + Duration::from_secs(20);
        while !http.get(format!("http://{address}/ready")).send().await.is_ok_and(|r| r.status().is_success()) {
            assert!(Instant::now() < end, "{binary} never got ready");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        process
    }
}

/// At which level functions log while they are tested, to standard error; not at all, where it isn't set.
#[expect(clippy::disallowed_methods, reason = "it is the tests' own, not configuration")]
static LOG: LazyLock<Option<String>> = LazyLock::new(|| std::env::var("TEST_LOG").ok());

/// Logs what functions say in the test's own process.
pub(crate) fn log_here(function: &'static str) {
    if let Some(level) = &*LOG {
        let filter = logs::filter(level).expect("TEST_LOG is a level");
        Log { function, format: Format::Json, filter, project: None, aside: true }.start();
    }
}

/// Where processes log.
fn logged() -> Stdio {
    if LOG.is_some() { std::io::stderr().into() } else { Stdio::null() }
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a bound listener has an address")
}

impl Process {
    /// The most memory that it ever had, in bytes.
    ///
    /// # Panics
    /// When it doesn't run.
    #[must_use]
    pub fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let peak =
            status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
        peak.map(|kilobytes: u64| kilobytes << 10).expect("Linux says so")
    }

    /// Asks it to end, as Cloud Run does, and waits until it has; answers its exit status.
    ///
    /// # Panics
    /// When it can't be asked.
    pub fn terminate(&mut self) -> Option<i32> {
        self.signal("-TERM");
        self.child.wait().expect("a child can be waited for").code()
    }

    /// Stops it where it is, as platforms do between two requests.
    ///
    /// # Panics
    /// When it doesn't run.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on.
    ///
    /// # Panics
    /// When it doesn't run.
    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "it runs");
    }

    /// Kills it at once, as a machine that dies does.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Waits until something is so.
///
/// # Panics
/// When it isn't after ten seconds.
pub async fn until<F: Future<Output = bool>>(what: &str, mut so: impl FnMut() -> F) {
    let end = Instant::now() + Duration::from_secs(10);
    while !so().await {
        assert!(Instant::now() < end, "never: {what}");
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
}
