//! A database of one test.
//!
//! `scripts/with-servers` starts a private server and names it in `TEST_DATABASE_URL`. The first test there makes a
//! template with the current schema; each test then copies it, which takes some 30 ms. A test that crashes its server
//! starts one of its own: [`server`].

pub mod server;

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use tokio::sync::OnceCell;
use tokio_postgres::{Client, Config, NoTls};

/// Any number: who makes the template takes turns on it.
const TEMPLATE_LOCK: i64 = 0x7e57_0001;

/// The template's name, once this process knows that it is there.
static TEMPLATE: OnceCell<String> = OnceCell::const_new();

/// A database of one test; dropped with it.
#[derive(Debug)]
pub struct Database {
    name: String,
    server: Config,
    /// The server is the test's own, and goes with it.
    is_private: bool,
}

impl Database {
    /// Makes a database with the current schema.
    ///
    /// # Panics
    /// When there is no test server, or it fails.
    pub async fn create() -> Self {
        let template = TEMPLATE.get_or_init(template).await;
        let name = format!("test_{}", uuid::Uuid::now_v7().simple());
        let server = shared();
        let admin = connect(&role(&server, "postgres", "postgres")).await;
        // Copies of one template exclude each other for a moment; the server says so instead of waiting.
        admin.execute("select pg_advisory_lock($1)", &[&TEMPLATE_LOCK]).await.expect("the lock");
        // Of its files: the default copies block by block through the log, which took a third of all tests' time.
        let copy = format!("create database {name} template {template} owner coditect_owner strategy file_copy");
        admin.batch_execute(&copy).await.expect("a copy of the template");
        // A copy doesn't have its template's rights on the database.
        let revoke = format!("revoke temporary on database {name} from public");
        admin.batch_execute(&revoke).await.expect("the rights of a migrated database");
        Self { name, server, is_private: false }
    }

    /// Makes a database with nothing in it that belongs to the owner's role. Roles are of the whole server: migrate one
    /// such database at a time.
    ///
    /// # Panics
    /// When there is no test server, or it fails.
    pub async fn empty() -> Self {
        Self::empty_in("UTF8").await
    }

    /// The same in another encoding.
    ///
    /// # Panics
    /// When there is no test server, or it fails.
    pub async fn empty_in(encoding: &str) -> Self {
        TEMPLATE.get_or_init(template).await;
        let name = format!("test_{}", uuid::Uuid::now_v7().simple());
        let server = shared();
        let admin = connect(&role(&server, "postgres", "postgres")).await;
        let sql = format!("create database {name} owner coditect_owner encoding '{encoding}' template template0");
        admin.batch_execute(&sql).await.expect("an empty database");
        Self { name, server, is_private: false }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A connection URL as a role, as functions take it.
    #[must_use]
    pub fn url(&self, role: &str) -> String {
        url(&self::role(&self.server, &self.name, role))
    }

    /// A connection URL as a role through a proxy in front of the server.
    #[must_use]
    pub fn url_through(&self, proxy: &crate::proxy::Proxy, role: &str) -> String {
        let address = proxy.address();
        format!("host={} port={} user={role} dbname={}", address.ip(), address.port(), self.name)
    }

    /// A connection URL as the owner, as migrations and operators take it.
    #[must_use]
    pub fn owner_url(&self) -> String {
        self.url("coditect_owner")
    }

    /// A connection as a role.
    ///
    /// # Panics
    /// When the server refuses it.
    pub async fn connect(&self, role: &str) -> Client {
        connect(&self::role(&self.server, &self.name, role)).await
    }
}

impl Drop for Database {
    /// Databases of finished tests only take room; the server is gone after the run anyway.
    fn drop(&mut self) {
        if self.is_private {
            return;
        }
        let (name, server) = (self.name.clone(), self.server.clone());
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let admin = connect(&role(&server, "postgres", "postgres")).await;
                let _ = admin.batch_execute(&format!("drop database if exists {name} with (force)")).await;
            });
            std::io::Result::Ok(())
        });
        let _ = dropped.join();
    }
}

async fn template() -> String {
    let mut hasher = DefaultHasher::new();
    ops::migrate::fingerprint().hash(&mut hasher);
    let name = format!("template_{:016x}", hasher.finish());
    let server = shared();
    let admin = connect(&role(&server, "postgres", "postgres")).await;
    admin.execute("select pg_advisory_lock($1)", &[&TEMPLATE_LOCK]).await.expect("the lock");
    let there = admin.query_opt("select 1 from pg_database where datname = $1", &[&name]).await.expect("the catalogue");
    if there.is_none() {
        let fresh = format!("{name}_fresh");
        admin.batch_execute(&format!("drop database if exists {fresh}")).await.expect("no half-made template");
        migrate(&admin, &server, &fresh).await;
        admin.batch_execute(&format!("alter database {fresh} rename to {name}")).await.expect("the finished template");
    }
    name
}

/// Makes a database with the current schema on a server that may not have its roles yet.
async fn migrate(admin: &Client, server: &Config, name: &str) {
    // Whatever a test begins with, it begins with a database.
    common::serve::install_crypto();
    let owner =
        "do $$ begin create role coditect_owner login createrole; exception when duplicate_object then null; end $$";
    admin.batch_execute(owner).await.expect("the owner's role");
    admin.batch_execute(&format!("create database {name} owner coditect_owner")).await.expect("an empty database");
    // The setup of a server does this too.
    let large_objects = "revoke execute on function lo_creat(integer), lo_create(oid), lo_from_bytea(oid, bytea), lo_import(text), lo_import(text, oid) from public";
    connect(&role(server, name, "postgres")).await.batch_execute(large_objects).await.expect("a superuser");
    ops::migrate::apply(&url(&role(server, name, "coditect_owner")), &common::CaCertificates::default())
        .await
        .unwrap_or_else(|e| panic!("{e}"));
}

/// The server that all tests of a run share.
fn shared() -> Config {
    #[expect(clippy::disallowed_methods, reason = "the test run's own setting, not a function's configuration")]
    let server = std::env::var("TEST_DATABASE_URL")
        .unwrap_or_else(|_| panic!("tests need a private PostgreSQL: run them as `scripts/with-servers cargo test …`"));
    server.parse().expect("TEST_DATABASE_URL is a connection string")
}

/// A server's database as a role.
fn role(server: &Config, database: &str, role: &str) -> Config {
    let mut config = server.clone();
    config.dbname(database).user(role);
    config
}

/// The same as a connection string.
fn url(config: &Config) -> String {
    let host = match &config.get_hosts()[0] {
        tokio_postgres::config::Host::Tcp(host) => host.clone(),
        tokio_postgres::config::Host::Unix(path) => path.display().to_string(),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let (user, database) = (config.get_user().unwrap_or_default(), config.get_dbname().unwrap_or_default());
    format!("host={host} port={port} user={user} dbname={database}")
}

async fn connect(config: &Config) -> Client {
    let (client, connection) = config.connect(NoTls).await.unwrap_or_else(|e| panic!("the test server refuses: {e:?}"));
    tokio::spawn(connection);
    client
}
