//! A PostgreSQL server of one test, which may crash and start again.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio_postgres::{Config, NoTls};

use super::{Database, connect, migrate, role};

/// A server on a socket of its own; gone with the test.
#[derive(Debug)]
pub struct Server {
    dir: TempDir,
    child: Option<Child>,
}

impl Server {
    /// Makes a server, which takes a second or two, and starts it.
    ///
    /// # Panics
    /// When it can't be made, or doesn't come up.
    pub async fn start() -> Self {
        let dir = tempfile::Builder::new().prefix("coditect-pg").tempdir_in("/tmp").expect("/tmp is writable");
        if is_root() {
            let owned = Command::new("chown").arg("postgres").arg(dir.path()).status();
            assert!(owned.expect("chown is there").success(), "the server's user has no directory");
        }
        let mut server = Self { dir, child: None };
        let data = server.data();
        let options = ["-E", "UTF8", "--no-locale", "-A", "trust", "-U", "postgres", "--no-sync", "-D", &data];
        let made = program("initdb", &options).output();
        let made = made.expect("initdb is installed; run tests as `scripts/with-servers cargo test …`");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        server.start_again().await;
        server
    }

    /// Makes a database with the current schema.
    ///
    /// # Panics
    /// When the server refuses it.
    pub async fn database(&self) -> Database {
        let server = self.config();
        let name = format!("test_{}", uuid::Uuid::now_v7().simple());
        migrate(&connect(&role(&server, "postgres", "postgres")).await, &server, &name).await;
        Database { name, server, is_private: true }
    }

    /// Cuts every connection and ends it as a crash does: what was committed is in its log alone.
    pub fn crash(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Killed, it would leave its other processes, and they the memory that the next one needs.
            let _ = Command::new("kill").args(["-QUIT", &child.id().to_string()]).status();
            let _ = child.wait();
        }
    }

    /// Starts it again on the same address with what was committed.
    ///
    /// # Panics
    /// When it doesn't come up.
    pub async fn start_again(&mut self) {
        self.crash();
        let (data, socket) = (self.data(), self.dir.path().display().to_string());
        // A crash of the machine is not what these tests are about.
        let options = ["-D", &data, "-k", &socket, "-c", "listen_addresses=", "-c", "fsync=off"];
        let spawned = program("postgres", &options).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.child = Some(spawned.expect("postgres is installed; run tests as `scripts/with-servers cargo test …`"));
        let config = role(&self.config(), "postgres", "postgres");
        let end = Instant::now() + Duration::from_secs(20);
        while config.connect(NoTls).await.is_err() {
            assert!(Instant::now() < end, "PostgreSQL never answered");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn data(&self) -> String {
        self.dir.path().join("data").display().to_string()
    }

    fn config(&self) -> Config {
        let mut config = Config::new();
        config.host_path(self.dir.path());
        config
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.crash();
    }
}

/// One of PostgreSQL's programs, which refuse to run as root; it doesn't outlive the test process, however that ends.
fn program(name: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("setpriv");
    if is_root() {
        command.args(["--reuid", "postgres", "--regid", "postgres", "--init-groups"]);
    }
    command.args(["--pdeathsig", "QUIT", name]).args(arguments).current_dir("/");
    command
}

fn is_root() -> bool {
    std::os::unix::fs::MetadataExt::uid(&Path::new("/proc/self").metadata().expect("/proc is mounted")) == 0
}
