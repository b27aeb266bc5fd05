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
        let mut server = Self { dir: directory(), child: None };
        let data = server.data();
        let options = ["-E", "UTF8", "--no-locale", "-A", "trust", "-U", "postgres", "--no-sync", "-D", &data];
        let made = program("initdb", &options).output();
        let made = made.expect("initdb is installed; run tests as `scripts/with-servers cargo test …`");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        server.start_again().await;
        server
    }

    /// Returns its log.
    ///
    /// # Panics
    /// When that can't be read.
    #[must_use]
    pub fn log(&self) -> String {
        let log = std::fs::read(self.dir.path().join("log")).expect("the log is there");
        String::from_utf8_lossy(&log).into_owned()
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

    /// Returns a database that is there already, as after a restore.
    #[must_use]
    pub fn database_named(&self, name: &str) -> Database {
        Database { name: name.to_owned(), server: self.config(), is_private: true }
    }

    /// Copies a database to another server by a dump, with its roles.
    ///
    /// # Panics
    /// When it can't be read or written.
    pub fn dump_to(&self, other: &Self, database: &str) {
        let (from, to) = (self.dir.path().display().to_string(), other.dir.path().display().to_string());
        let dump = |name: &str, more: &[&str]| {
            let dumped =
                program(name, &[&["-h", &from, "-U", "postgres"], more].concat()).output().expect("pg_dump is there");
            assert!(dumped.status.success(), "{name}: {}", String::from_utf8_lossy(&dumped.stderr));
            let file = other.dir.path().join("dump.sql");
            std::fs::write(&file, dumped.stdout).expect("the directory is writable");
            let file = file.display().to_string();
            let restore = ["-q", "-h", &to, "-U", "postgres", "-d", "postgres", "-f", &file];
            let restored = program("psql", &restore).output().expect("psql is there");
            assert!(restored.status.success(), "psql: {}", String::from_utf8_lossy(&restored.stderr));
        };
        dump("pg_dumpall", &["--roles-only"]);
        dump("pg_dump", &["--create", database]);
    }

    /// Makes a replica of its current state, which doesn't follow: a server that is ready to take over.
    ///
    /// # Panics
    /// When it can't be made, or doesn't come up.
    pub async fn copy(&self) -> Self {
        let mut copy = Self { dir: directory(), child: None };
        let (from, to) = (self.dir.path().display().to_string(), copy.data());
        let options = ["-h", &from, "-U", "postgres", "-D", &to, "-X", "fetch", "-c", "fast", "--no-sync"];
        let made = program("pg_basebackup", &options).output().expect("pg_basebackup is there");
        assert!(made.status.success(), "pg_basebackup: {}", String::from_utf8_lossy(&made.stderr));
        std::fs::write(Path::new(&to).join("standby.signal"), "").expect("the directory is writable");
        copy.start_again().await;
        copy
    }

    /// Makes a replica a primary, and waits until it is.
    ///
    /// # Panics
    /// When it doesn't become one.
    pub async fn promote(&self) {
        let sql = connect(&role(&self.config(), "postgres", "postgres")).await;
        let promoted = sql.query_one("select pg_promote(true, 20)", &[]).await.expect("a replica can be promoted");
        assert!(promoted.get::<_, bool>(0), "PostgreSQL was not promoted in time");
    }

    /// Cuts every connection and ends it as a crash does: the commits are in its write-ahead log alone.
    pub fn crash(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Killed, it would leave its child processes, and they would keep the shared memory that the next server needs.
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
        // A crash of the whole machine is not what these tests are about.
        let options = ["-D", &data, "-k", &socket, "-c", "listen_addresses=", "-c", "fsync=off"];
        let log = std::fs::File::options().create(true).append(true).open(self.dir.path().join("log"));
        let log = log.expect("the directory is writable");
        let spawned = program("postgres", &options).stdout(Stdio::null()).stderr(log).spawn();
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

/// Makes the folder of a server: the server's user can write there.
fn directory() -> TempDir {
    let dir = tempfile::Builder::new().prefix("coditect-pg").tempdir_in("/tmp").expect("/tmp is writable");
    if is_root() {
        let owned = Command::new("chown").arg("postgres").arg(dir.path()).status();
        assert!(owned.expect("chown is there").success(), "the server's user has no directory");
    }
    dir
}

/// Returns a command of one of PostgreSQL's programs, which refuse to run as root; it is killed with the test process.
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
