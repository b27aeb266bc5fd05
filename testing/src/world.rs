//! A deployment of one test: its own database, its own Redis, and any functions on free ports.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use common::license_key::KeyHasher;
use common::{Setup, serve};
use protocol::id::{LicenseId, TenantId, UserId};
use protocol::key::{Brand, KeyType, LicenseKey};
use tokio::net::TcpListener;
use utoipa_axum::router::OpenApiRouter;

use crate::http::Client;
use crate::postgres::Database;
use crate::process;
use crate::redis::Redis;

/// The pepper of all tests.
pub const PEPPER: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
/// The issuer of all tests' tokens.
pub const ISSUER: &str = "https://licenses.test";

/// The secret of all tests' webhooks.
pub const WEBHOOK_SECRET: &str = "whsec_0123456789abcdef0123456789abcdef";

/// A deployment's servers and configuration.
#[derive(Debug)]
pub struct World {
    /// Its database.
    pub db: Database,
    /// Its Redis.
    pub redis: Redis,
    variables: BTreeMap<String, String>,
}

/// A license made for a test.
#[derive(Debug, Clone)]
pub struct License {
    /// Its id.
    pub id: LicenseId,
    /// Its tenant.
    pub tenant: TenantId,
    /// Its key.
    pub key: LicenseKey,
}

impl World {
    /// A new deployment.
    pub async fn new() -> Self {
        serve::install_crypto();
        Self::on(Database::create().await).await
    }

    /// A new deployment on a database.
    pub async fn on(db: Database) -> Self {
        serve::install_crypto();
        let redis = Redis::start().await;
        let mut variables = BTreeMap::new();
        for (name, value) in [
            ("REDIS_URL", redis.url()),
            ("PUBLIC_URL", ISSUER.to_owned()),
            ("LICENSE_KEY_PEPPER", PEPPER.to_owned()),
            ("SIGNING_KEY", format!("file:{}", signing_key().display())),
            ("STRIPE_WEBHOOK_SECRETS", WEBHOOK_SECRET.to_owned()),
        ] {
            variables.insert(name.to_owned(), value);
        }
        Self { db, redis, variables }
    }

    /// Changes a variable of the functions that are started from now on.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.insert(name.to_owned(), value.into());
        self
    }

    /// The configuration of a function that connects as `role`.
    #[must_use]
    pub fn setup(&self, role: &str) -> Setup {
        Setup::from_variables(self.variables(role))
    }

    /// The environment of a function that connects as `role`.
    #[must_use]
    pub fn variables(&self, role: &str) -> BTreeMap<String, String> {
        let mut variables = self.variables.clone();
        variables.entry("DATABASE_URL".to_owned()).or_insert_with(|| self.db.url(role));
        variables
    }

    /// Starts a function as its own role and returns a client of it.
    pub async fn serve<S: Clone + Send + Sync + 'static>(
        &self,
        name: &'static str,
        connect: fn(&mut Setup) -> Option<S>,
        routes: fn(&S) -> OpenApiRouter<S>,
    ) -> Client {
        self.serve_routes(name, &format!("coditect_{}", name.replace('-', "_")), |setup| {
            connect(setup).map(|s| routes(&s).with_state(s))
        })
        .await
    }

    /// Starts routes that have their state.
    ///
    /// # Panics
    /// When the configuration has a mistake.
    pub async fn serve_routes(
        &self,
        name: &'static str,
        role: &str,
        build: impl FnOnce(&mut Setup) -> Option<OpenApiRouter>,
    ) -> Client {
        process::log_here(name);
        let mut setup = self.setup(role);
        let routes = build(&mut setup).unwrap_or_else(|| panic!("{:?}", setup.mistakes()));
        let app = serve::App::new(name, setup, routes).expect("the layers need no configuration");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("a bound listener has an address"));
        tokio::spawn(app.serve(listener, std::future::pending()));
        Client::new(url)
    }

    /// Makes a tenant.
    pub async fn tenant(&self, slug: &str) -> TenantId {
        let id = TenantId::new();
        let client = self.db.connect("postgres").await;
        client
            .execute("insert into tenants (id, name, slug) values ($1, $2, $2)", &[&id.as_uuid(), &slug])
            .await
            .expect("a tenant can be made");
        id
    }

    /// Makes a user.
    pub async fn user(&self, tenant: TenantId, email: &str, identity: Option<(&str, &str)>) -> UserId {
        let id = UserId::new();
        let client = self.db.connect("postgres").await;
        let (issuer, subject) = identity.unzip();
        client
            .execute(
                "insert into users (id, tenant_id, email, role, issuer, subject) values ($1, $2, $3, 'member', $4, $5)",
                &[&id.as_uuid(), &tenant.as_uuid(), &email, &issuer, &subject],
            )
            .await
            .expect("a user can be made");
        id
    }

    /// Makes a license of a plan.
    pub async fn license(&self, tenant: TenantId, plan: &str, seats: i32) -> License {
        let id = LicenseId::new();
        let key = LicenseKey::generate(Brand::Coditect, KeyType::Team);
        let hash = KeyHasher::from_setup(&mut self.setup("postgres")).expect("the tests have a pepper").hash(&key);
        let client = self.db.connect("postgres").await;
        client
            .execute(
                "insert into licenses (id, tenant_id, plan_code, seats, key_hash, key_hint) values ($1, $2, $3, $4, $5, $6)",
                &[&id.as_uuid(), &tenant.as_uuid(), &plan, &seats, &hash.as_slice(), &key.redacted()],
            )
            .await
            .expect("a license can be made");
        License { id, tenant, key }
    }

    /// Runs SQL as a superuser, to whom row-level security doesn't apply.
    pub async fn sql(&self, sql: &str) {
        self.db.connect("postgres").await.batch_execute(sql).await.expect("the test's SQL is right");
    }

    /// Asks SQL for one number as a superuser.
    pub async fn number(&self, sql: &str) -> i64 {
        self.db.connect("postgres").await.query_one(sql, &[]).await.expect("the test's SQL is right").get(0)
    }
}

/// Returns the RSA-4096 key of all tests on this machine: making one takes seconds, so that it is made once.
#[must_use]
pub fn signing_key() -> PathBuf {
    static PATH: LazyLock<PathBuf> = LazyLock::new(make_signing_key);
    PATH.clone()
}

fn make_signing_key() -> PathBuf {
    let dir = std::env::temp_dir().join(format!("coditect-test-keys-{}", whoami()));
    std::fs::create_dir_all(&dir).expect("the temporary directory is writable");
    let path = dir.join("signing-key.pem");
    if !path.exists() {
        // Other test processes may be making it, too; the last rename wins, and either key will do.
        let fresh = dir.join(format!("fresh-{}.pem", std::process::id()));
        let made = Command::new("openssl")
            .args(["genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:4096", "-out"])
            .arg(&fresh)
            .status()
            .expect("openssl is installed");
        assert!(made.success(), "openssl made no key");
        std::fs::rename(&fresh, &path).expect("a rename within a directory");
    }
    path
}

fn whoami() -> String {
    let id = Command::new("id").arg("-u").output().expect("id is there");
    String::from_utf8_lossy(&id.stdout).trim().to_owned()
}
