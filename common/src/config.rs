//! Configuration: environment variables, read once, checked together.
//!
//! A function's `State` reads the variables it needs from a [`Setup`], which also declares them. Missing and wrong ones are noted
//! and reported together, so that a misconfigured container names all of its mistakes at its start.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::future::Future;
use std::pin::Pin;

use axum::http::Extensions;

/// An environment variable: its name, and the documentation that `docs/configuration.md` is made of.
#[derive(Debug)]
pub struct Variable {
    /// The variable's name.
    pub name: &'static str,
    /// Its meaning, as a sentence.
    pub meaning: &'static str,
    /// The default when it isn't set; `None` if it must be set.
    pub default: Option<&'static str>,
    /// A value that works, for messages and the reference.
    pub example: &'static str,
}

macro_rules! variables {
    ($($(#[doc = $meaning:literal])+ $id:ident, $default:expr, $example:literal;)+) => {
        $($(#[doc = $meaning])+
        pub static $id: Variable = Variable {
            name: stringify!($id), meaning: concat!($($meaning),+), default: $default, example: $example,
        };)+
        /// Every variable that some function reads, in the order of the reference.
        pub static ALL: &[&Variable] = &[$(&$id),+];
    };
}

variables! {
    /// Address to listen on: a port on all interfaces, or `address:port`.
    PORT, Some("8080"), "127.0.0.1:8080";
    /// Postgres, as this function's own role. `sslmode=require` in the URL turns TLS on.
    DATABASE_URL, None, "postgresql://coditect_acquire:secret@10.0.0.5/coditect?sslmode=require";
    /// Certificate authorities of Postgres and Redis, PEM, where they are not the web's: Cloud SQL and Memorystore have their
    /// own.
    CA_CERTIFICATES, Some("the web's"), "-----BEGIN CERTIFICATE-----…";
    /// Redis: `redis://`, `rediss://` (TLS) or `unix://`; several, separated by commas, are the nodes of a cluster.
    REDIS_URL, None, "rediss://:secret@10.0.0.6:6378";
    /// Number of Redis replicas that must hold a grant before its client gets the answer. Set it to the number of replicas
    /// wherever a replica can be promoted, so that a failover can't hand the same seat out twice.
    REDIS_REPLICAS, Some("0"), "1";
    /// The RSA-4096 key that signs tokens: a Cloud KMS key version, or a PEM file.
    SIGNING_KEY, None, "kms:projects/p/locations/europe-west1/keyRings/coditect/cryptoKeys/licenses/cryptoKeyVersions/1";
    /// Another KMS endpoint, for tests. Plain `http` is accepted for loopback addresses only, and is sent no credentials.
    KMS_ENDPOINT, Some("Google's"), "http://127.0.0.1:9011";
    /// The `iss` of our tokens; every function of a deployment has the same.
    PUBLIC_URL, None, "https://api.coditect.ai";
    /// The key under which license keys are hashed: 32 bytes in hex. During a rotation two, separated by a comma: the new one,
    /// then the former one, without which every license key would be unknown. docs/disaster-recovery.md has the steps.
    LICENSE_KEY_PEPPER, None, "64 hex digits, as from `openssl rand -hex 32`";
    /// The OpenID Connect issuers whose ID tokens are accepted: a JSON list. Each names the users that it may speak for, and is
    /// refused otherwise: `tenants` (a list of tenant ids, or `"*"` for every tenant), `domains` (a list of e-mail domains), or
    /// both, which then both hold. `jwks_uri` is found by discovery when it isn't given; `user_claim` (default `sub`) names
    /// the user; `tenant_claim`, when given, must name the user's tenant; `verified_claim` (default `email_verified`; for
    /// Entra ID `xms_edov`) vouches for the e-mail address, or with `trusted` every address of the issuer counts. The first
    /// issuer is the one that `coditect login` uses. docs/security.md says what each of these risks.
    OIDC_ISSUERS, Some("none"), r#"[{"issuer":"https://login.example.com","audience":"coditect","tenants":"*"}]"#;
    /// Seconds a seat lasts without a heartbeat.
    SEAT_TTL_SECONDS, Some("360"), "360";
    /// Seconds between heartbeats, which clients receive with their seat.
    HEARTBEAT_INTERVAL_SECONDS, Some("300"), "300";
    /// Seconds a license token is valid, and so the time for which a client goes on when the cloud can't be reached.
    LICENSE_TOKEN_TTL_SECONDS, Some("86400"), "86400";
    /// Number of proxies in front of the function that append to `X-Forwarded-For`. 0: the TCP peer's address is the caller's.
    TRUSTED_PROXY_HOPS, Some("0"), "1";
    /// Function name → URL, for the discovery document: a JSON object.
    FUNCTION_URLS, Some("PUBLIC_URL for all"), r#"{"validate":"https://validate.example.com"}"#;
    /// The page that `coditect register` opens, where a person without an account chooses a plan: a Payment Link, say.
    REGISTER_URL, Some("none"), "https://buy.stripe.com/…";
    /// The signing secrets of Stripe's webhook endpoint, separated by commas: two while one is being rolled.
    STRIPE_WEBHOOK_SECRETS, None, "whsec_…";
    /// A key of Stripe's API, `sk_…` or a restricted `rk_…`. With it the webhook asks Stripe where events alone can't decide,
    /// and takes events of the key's mode (live or test) only. `billing` needs it; without it, `all-in-one` has no `billing`.
    STRIPE_API_KEY, Some("none"), "rk_live_…";
    /// Another endpoint of Stripe's API, for tests. Plain `http` is accepted for loopback addresses only.
    STRIPE_API_BASE, Some("https://api.stripe.com"), "http://127.0.0.1:8420";
    /// Where `ops outbox deliver` sends mail: `smtps://user:password@host:465`, or `smtp://host:587?tls=required`. Without
    /// it, mail is printed.
    SMTP_URL, Some("none: mail is printed"), "smtps://user:secret@smtp.example.com:465";
    /// The sender of mail.
    MAIL_FROM, Some("CODITECT <no-reply@coditect.ai>"), "CODITECT <licenses@example.com>";
    /// For `ops roles`: a JSON object, database role → the password that it gets.
    ROLE_PASSWORDS, Some("none"), r#"{"coditect_acquire":"at least 16 characters"}"#;
    /// Filter of the log, in the syntax of `tracing`. Facts, of which metrics are made, are logged whatever it says.
    RUST_LOG, Some("info"), "info,common=debug";
    /// `json` (Cloud Logging's format) or `pretty`.
    LOG_FORMAT, Some("json"), "pretty";
    /// The Google Cloud project that keeps the traces: Cloud Logging finds a line's trace only under the project's name.
    GOOGLE_CLOUD_PROJECT, Some("none"), "coditect-production";
    /// An OpenTelemetry collector, by OTLP over HTTP with protobuf; `/v1/traces` is appended. Without it no spans are made.
    /// `OTEL_EXPORTER_OTLP_HEADERS` and `OTEL_BSP_*` hold for it as OpenTelemetry has them.
    OTEL_EXPORTER_OTLP_ENDPOINT, Some("none"), "http://127.0.0.1:4318";
    /// Part of the requests that is traced. A request that its caller records, as its `traceparent` says, is always traced.
    OTEL_TRACES_SAMPLER_ARG, Some("1"), "0.05";
    /// A license key of a tenant that is there for smoke tests: with it `ops smoke` validates it, takes a seat, keeps it and
    /// gives it back, and finds the other functions by `FUNCTION_URLS`, or beside the revision's URL on Cloud Run. `none` is as
    /// if not set.
    SMOKE_LICENSE_KEY, Some("only what everybody may ask is asked"), "CODITECT-PRO-A7F3E9D2C4B1-D3W4";
    /// Address of `/metrics` of `all-in-one`, for Prometheus: a port on loopback, or `address:port`. It is not for the public.
    METRICS_LISTEN, Some("none: nothing is counted"), "127.0.0.1:9464";
    /// The enterprise license file of an on-premises installation, which limits the number of users that `all-in-one` may serve,
    /// and the time. Without it there is no such limit, for development and tests; a release for customers doesn't start then.
    ENTERPRISE_LICENSE, Some("none"), "/run/secrets/enterprise-license";
    /// The vendor's public keys, which verify the enterprise license file: the path of a JWKS file. Releases for customers have
    /// them built in, and refuse others. Where it is set, there must be an `ENTERPRISE_LICENSE`.
    ENTERPRISE_KEYS, Some("those built in"), "/etc/coditect/vendor.jwks.json";
}

/// A mistake in the configuration. It never holds the value, which may be a secret.
#[derive(Debug)]
pub struct Mistake {
    /// The variable.
    pub variable: &'static str,
    /// The problem, such as "is not set".
    pub problem: String,
    /// A value that works.
    pub example: &'static str,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} (example: {})", self.variable, self.problem, self.example)
    }
}

/// A boxed future, as readiness checks and start-up tasks are kept.
pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
type Check = Box<dyn Fn() -> BoxFuture<Result<(), String>> + Send + Sync>;
/// Readiness checks by the name of their dependency.
pub(crate) type Checks = BTreeMap<&'static str, Check>;

/// Configuration of a function, and all that it read while its `State` was built.
#[derive(Default)]
pub struct Setup {
    variables: HashMap<String, String>,
    variables_read: BTreeSet<&'static str>,
    mistakes: Vec<Mistake>,
    pub(crate) checks: Checks,
    pub(crate) tasks: Vec<BoxFuture<()>>,
    /// Values that all callers share, by their types: pools and connections.
    shared: Extensions,
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup").field("mistakes", &self.mistakes).finish_non_exhaustive()
    }
}

impl Setup {
    /// Reads the process's environment. Variables that are not UTF-8 are none of ours and are ignored.
    #[must_use]
    pub fn from_env() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self::from_variables(std::env::vars_os().filter_map(text))
    }

    /// A setup from given variables, for tests.
    pub fn from_variables<K: Into<String>, V: Into<String>>(variables: impl IntoIterator<Item = (K, V)>) -> Self {
        let variables = variables.into_iter().map(|(k, v)| (k.into(), v.into())).collect();
        Self { variables, ..Self::default() }
    }

    /// Returns the names of the variables that were read so far.
    #[must_use]
    pub fn variables_read(&self) -> &BTreeSet<&'static str> {
        &self.variables_read
    }

    /// Returns the mistakes noted so far.
    #[must_use]
    pub fn mistakes(&self) -> &[Mistake] {
        &self.mistakes
    }

    /// Returns true if a variable is set: all-in-one leaves out parts that need one which an installation has no use for.
    pub fn is_set(&mut self, variable: &'static Variable) -> bool {
        self.read(variable).is_some()
    }

    /// Reads a variable that must be set. `None` when it isn't, or when `parse` refuses it; the mistake is noted.
    pub fn required<T>(
        &mut self,
        variable: &'static Variable,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        match self.read(variable) {
            Some(value) => self.parsed(variable, &value, parse),
            None => self.mistake(variable, "is not set".to_owned()),
        }
    }

    /// Reads a variable that may be left out: `None` inside when it is. The outer `None` means that a mistake was noted.
    pub fn optional<T>(
        &mut self,
        variable: &'static Variable,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<Option<T>> {
        match self.read(variable) {
            Some(value) => self.parsed(variable, &value, parse).map(Some),
            None => Some(None),
        }
    }

    /// Reads a variable with a default, which is parsed like a value.
    pub fn defaulted<T>(
        &mut self,
        variable: &'static Variable,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.read(variable).or_else(|| variable.default.map(str::to_owned));
        self.parsed(variable, &value.unwrap_or_default(), parse)
    }

    /// Returns the one value of a type in this process: `make` makes it at the first call, and later calls get a clone.
    pub(crate) fn shared<T: Clone + Send + Sync + 'static>(
        &mut self,
        make: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<T> {
        if let Some(shared) = self.shared.get::<T>() {
            return Some(shared.clone());
        }
        let made = make(self)?;
        self.shared.insert(made.clone());
        Some(made)
    }

    /// Adds a dependency to `/ready`: `check` returns its problem, for the log.
    pub fn ready_when<F>(&mut self, name: &'static str, check: impl Fn() -> F + Send + Sync + 'static)
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.checks.insert(name, Box::new(move || Box::pin(check())));
    }

    /// Adds a task to run in the background as soon as the function serves.
    pub fn at_start(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.push(Box::pin(task));
    }

    fn read(&mut self, variable: &'static Variable) -> Option<String> {
        self.variables_read.insert(variable.name);
        self.variables.get(variable.name).map(|v| v.trim().to_owned()).filter(|v| !v.is_empty())
    }

    fn parsed<T>(
        &mut self,
        variable: &'static Variable,
        value: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        parse(value).map_or_else(|problem| self.mistake(variable, problem), Some)
    }

    fn mistake<T>(&mut self, variable: &'static Variable, problem: String) -> Option<T> {
        if !self.mistakes.iter().any(|m| m.variable == variable.name) {
            self.mistakes.push(Mistake { variable: variable.name, problem, example: variable.example });
        }
        None
    }
}

/// Parses a number, for [`Setup::defaulted`].
///
/// # Errors
/// A sentence for the list of mistakes.
pub fn number<N: std::str::FromStr>(value: &str) -> Result<N, String> {
    value.parse().map_err(|_| format!("must be a number in the range of a {}", std::any::type_name::<N>()))
}

/// Parses a number of seconds that is at least 1.
///
/// # Errors
/// A sentence for the list of mistakes.
pub fn seconds(value: &str) -> Result<u32, String> {
    number::<u32>(value)
        .ok()
        .filter(|n| *n > 0)
        .ok_or_else(|| "must be a whole number of seconds, at least 1".to_owned())
}

/// Parses an absolute http or https URL and takes a trailing slash away.
///
/// # Errors
/// A sentence for the list of mistakes.
pub fn url(value: &str) -> Result<String, String> {
    reqwest::Url::parse(value)
        .ok()
        .filter(|u| matches!(u.scheme(), "http" | "https") && u.host().is_some())
        .map(|_| value.trim_end_matches('/').to_owned())
        .ok_or_else(|| "must be an absolute http or https URL".to_owned())
}

/// Parses `FUNCTION_URLS`.
///
/// # Errors
/// A sentence for the list of mistakes.
pub fn function_urls(value: &str) -> Result<BTreeMap<String, String>, String> {
    let urls: BTreeMap<String, String> =
        serde_json::from_str(value).map_err(|_| "must be a JSON object of function names and URLs".to_owned())?;
    urls.into_iter().map(|(name, at)| url(&at).map(|at| (name, at))).collect()
}
