//! `POST /api/v1/auth/license`: a license key becomes an access token; beside it, in `claim.rs`, the confirmation of a
//! purchase, and in `keys.rs`, what clients need to find the functions and check their signatures.
//!
//! Round trips: Redis 1 (how often has this address failed?) → Postgres 1 (the license) → KMS 1 (the signature). A failed
//! attempt costs Redis two more.
//!
//! Crashes: nothing is written but the count of failed attempts.

mod claim;
mod keys;
mod queries;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{self, FromRef};
use common::auth_rate_limit::{self, AuthRateLimit, FailedAttempt};
use common::keys::Keys;
use common::license_key::KeyHasher;
use common::oidc::Issuers;
use common::{Answer, Body, Db, Problem, Setup, config, other_license, request};
use jiff::{SignedDuration, Timestamp};
use protocol::key::LicenseKey;
use protocol::token::{ACCESS_AUDIENCE, AccessClaims};
use protocol::wire::{AuthAnswer, AuthRequest, Discovery, Oidc, TokenType, UnverifiedKey};
use signing::TokenSigner;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Time for which an access token is valid.
const ACCESS_TOKEN_TTL: SignedDuration = SignedDuration::from_hours(1);
/// Scope of an access token: everything that a license key gives a right to.
const SCOPE: &str = "licenses context";
/// The functions that clients look for.
const FUNCTIONS: [&str; 8] =
    ["validate", "acquire", "heartbeat", "release", "auth", "sync-push", "sync-pull", "telemetry"];

/// State of the auth function: licenses by key, the signing key, the public keys, and the limit on guessing.
#[derive(Debug, Clone)]
pub struct State {
    db: Db,
    hasher: KeyHasher,
    rate_limit: AuthRateLimit,
    signer: TokenSigner,
    keys: Keys,
    issuers: Issuers,
    discovery: Arc<Discovery>,
}

impl State {
    /// Makes the state from the configuration; `None` where that has mistakes.
    pub fn connect(setup: &mut Setup) -> Option<Self> {
        let (db, hasher, rate_limit) =
            (Db::from_setup(setup), KeyHasher::from_setup(setup), AuthRateLimit::from_setup(setup));
        let signer = TokenSigner::from_setup(setup);
        let issuers = Issuers::from_setup(setup);
        let urls = setup.optional(&config::FUNCTION_URLS, config::function_urls);
        let (db, issuers) = (db?, issuers?);
        let register_url = setup.optional(&config::REGISTER_URL, config::url);
        let discovery = Discovery { register_url: register_url?, ..discovery(&issuers, urls?.unwrap_or_default()) };
        Some(Self {
            hasher: hasher?,
            rate_limit: rate_limit?,
            signer: signer?,
            keys: Keys::new(db.clone()),
            discovery: Arc::new(discovery),
            db,
            issuers,
        })
    }
}

impl FromRef<State> for Issuers {
    fn from_ref(state: &State) -> Self {
        state.issuers.clone()
    }
}

impl FromRef<State> for AuthRateLimit {
    fn from_ref(state: &State) -> Self {
        state.rate_limit.clone()
    }
}

fn discovery(issuers: &Issuers, mut functions: BTreeMap<String, String>) -> Discovery {
    for name in FUNCTIONS {
        functions.entry(name.to_owned()).or_insert_with(|| issuers.own().to_owned());
    }
    let own = functions["auth"].clone();
    Discovery {
        issuer: issuers.own().to_owned(),
        functions,
        jwks_uri: format!("{own}/.well-known/jwks.json"),
        oidc: issuers.first().map(|i| Oidc { issuer: i.name().to_owned(), client_id: i.audience().to_owned() }),
        register_url: None,
    }
}

/// This function's routes; those that take keys are guarded against guessing.
pub fn routes(state: &State) -> OpenApiRouter<State> {
    let guarded = OpenApiRouter::new()
        .routes(routes!(license))
        .routes(routes!(claim::claim))
        .route_layer(axum::middleware::from_fn_with_state(state.clone(), auth_rate_limit::limit));
    guarded.routes(routes!(keys::public_key)).routes(routes!(keys::jwks)).routes(routes!(keys::discovery))
}

/// Exchange a license key for an access token that is good for an hour.
#[utoipa::path(
    post, path = "/api/v1/auth/license", tag = "auth", operation_id = "auth_license",
    request_body = AuthRequest,
    responses(
        (status = 200, description = "An access token.", body = AuthAnswer),
        (status = 401, description = "The key can't be used.",
            body = protocol::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 429, description = "Too many failed attempts from this address.",
            body = protocol::problem::ProblemDocument, content_type = "application/problem+json"),
    ),
)]
async fn license(
    extract::State(app): extract::State<State>,
    Body { value: request, .. }: Body<AuthRequest>,
) -> Result<Answer<AuthAnswer>, Refusal> {
    let license = usable_license(&app, &request.license_key).await?;
    request::set_tenant(license.tenant);
    let now = Timestamp::now();
    let expires = license.expires_at.map_or(now + ACCESS_TOKEN_TTL, |end| end.min(now + ACCESS_TOKEN_TTL));
    let claims = AccessClaims {
        iss: app.issuers.own().to_owned(),
        sub: license.id.to_string(),
        aud: ACCESS_AUDIENCE.to_owned(),
        iat: now.as_second(),
        exp: expires.as_second(),
        tenant_id: license.tenant,
        license_id: license.id,
        tier: license.tier,
        scope: SCOPE.to_owned(),
    };
    Ok(Answer::ok(AuthAnswer {
        access_token: app.signer.sign(&claims).await.map_err(uncounted)?,
        token_type: TokenType::Bearer,
        expires_in: u64::try_from(claims.exp - claims.iat).unwrap_or(0),
        tenant_id: license.tenant,
        tier: license.tier,
    }))
}

/// A problem; the mark is on those of keys that no license has.
type Refusal = (Option<FailedAttempt>, Problem);

fn uncounted(problem: Problem) -> Refusal {
    (None, problem)
}

/// Returns the license of a key, if it can be used.
async fn usable_license(app: &State, sent: &UnverifiedKey) -> Result<queries::License, Refusal> {
    let unknown = |hash| (Some(FailedAttempt(hash)), Problem::invalid_license_key());
    let key = sent.parse().map_err(|_| unknown(app.hasher.hash_text(sent.as_str())))?;
    let found = license_of(app, &key).await.map_err(uncounted)?;
    let license = found.ok_or_else(|| unknown(app.hasher.hash(&key)))?;
    if license.state == "active" { Ok(license) } else { Err(uncounted(unusable(app, &license).await)) }
}

/// Returns the problem of a genuine key that can't be used now, with the key or license to use instead.
async fn unusable(app: &State, license: &queries::License) -> Problem {
    if license.state == "key_replaced" {
        return Problem::replaced_license_key();
    }
    match other_license::find(&app.db, license.tenant, license.id, None).await {
        Ok(other) => Problem::invalid_license_key().with_other_license(other),
        Err(problem) => problem,
    }
}

/// Finds the license of a key, under any of the configured peppers.
async fn license_of(app: &State, key: &LicenseKey) -> Result<Option<queries::License>, Problem> {
    for hash in app.hasher.hashes(key) {
        if let Some(license) = queries::license_by_key(&app.db, &hash).await? {
            app.hasher.request_rehash(&app.db, key, hash).await;
            return Ok(Some(license));
        }
    }
    Ok(None)
}
