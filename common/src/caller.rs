//! Authentication of the callers of requests.
//!
//! [`Caller`] is a party that may use a tenant's licenses: a user of a configured issuer, or the holder of a license key
//! (by an access token from `auth/license`). [`SessionCaller`] is one of these or the session itself, by its license
//! token. Handlers take one of them as an argument; a request without a valid credential never reaches them.

mod membership;

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use aws_lc_rs::digest;
use axum::extract::{FromRef, FromRequestParts};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use protocol::id::{HardwareId, LicenseId, SessionId, TenantId, UserId};
use protocol::token::{self, KeySet, TokenError};
use quick_cache::sync::Cache;
use uuid::Uuid;

use crate::config::Setup;
use crate::keys::Keys;
use crate::oidc::{Identity, Issuers};
use crate::postgres::Db;
use crate::problem::Problem;
use crate::request;

pub use membership::TENANT_HEADER;

/// Maximum number of verified tokens in the cache, which exists because heartbeats bring the same one every few minutes.
const REMEMBERED_TOKENS: usize = 20_000;

/// The address a request comes from.
#[derive(Debug, Clone, Copy)]
pub struct ClientAddress(pub IpAddr);

impl ClientAddress {
    /// Returns the entry of `X-Forwarded-For` that the outermost trusted proxy appended (a caller can only invent entries before
    /// it), else the peer's address.
    pub(crate) fn of(peer: Option<SocketAddr>, headers: &HeaderMap, proxy_hops: usize) -> Self {
        let forwarded = headers.get_all("x-forwarded-for").iter().filter_map(|v| v.to_str().ok());
        let entries: Vec<&str> = forwarded.flat_map(|v| v.split(',')).map(str::trim).collect();
        let trusted = proxy_hops.checked_sub(1).and_then(|hops| entries.iter().rev().nth(hops)).and_then(|e| parsed(e));
        Self(trusted.or(peer.map(|p| p.ip())).unwrap_or(IpAddr::from([0, 0, 0, 0])).to_canonical())
    }

    /// Returns the network of one subscriber: the address itself, or its /64 for IPv6.
    #[must_use]
    pub(crate) fn network(self) -> String {
        match self.0 {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
        }
    }
}

/// Parses an address as proxies write it: alone, with its port, in brackets.
fn parsed(entry: &str) -> Option<IpAddr> {
    let entry = entry.trim_matches('"');
    let alone = || entry.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let with_port = || entry.parse::<SocketAddr>().ok().map(|address| address.ip());
    entry.parse().ok().or_else(with_port).or_else(alone)
}

impl<S: Send + Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get().copied().ok_or_else(|| Problem::internal_error("no client address"))
    }
}

/// Role of a user in its tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// May do everything.
    Owner,
    /// May do everything except what concerns the contract.
    Admin,
    /// May use what the tenant has.
    Member,
}

/// A party that may use a tenant's licenses.
#[derive(Debug, Clone, Copy)]
pub enum Caller {
    /// The holder of a license key, who may use that one license.
    License {
        /// The license's tenant.
        tenant: TenantId,
        /// The license.
        license: LicenseId,
    },
    /// A user of the tenant.
    User {
        /// The user's tenant.
        tenant: TenantId,
        /// The user.
        user: UserId,
        /// The user's role.
        role: Role,
        /// True if an active purchase under the user's address waits to be confirmed.
        has_claim: bool,
    },
}

impl Caller {
    /// Returns the tenant whose data the caller may see.
    #[must_use]
    pub fn tenant(&self) -> TenantId {
        match self {
            Self::License { tenant, .. } | Self::User { tenant, .. } => *tenant,
        }
    }

    /// Returns the id that a seat is taken for: the user's, or the license's where only the key is known.
    #[must_use]
    pub fn subject(&self) -> Uuid {
        match self {
            Self::License { license, .. } => license.as_uuid(),
            Self::User { user, .. } => user.as_uuid(),
        }
    }

    /// Returns the user, if the caller is one.
    #[must_use]
    pub fn user(&self) -> Option<UserId> {
        match self {
            Self::License { .. } => None,
            Self::User { user, .. } => Some(*user),
        }
    }

    /// Returns the holder of a seat: one subject on one device.
    #[must_use]
    pub fn holder(&self, device: &HardwareId) -> String {
        format!("{}/{}", self.subject(), device.as_str())
    }
}

/// A party that may keep a session, or release it.
#[derive(Debug, Clone, Copy)]
pub enum SessionCaller {
    /// The session itself.
    Session {
        /// The session's tenant.
        tenant: TenantId,
        /// The session's license.
        license: LicenseId,
        /// The session.
        session: SessionId,
    },
    /// The subject the session was taken for.
    Subject(Caller),
}

impl SessionCaller {
    /// Returns the tenant whose data the caller may see.
    #[must_use]
    pub fn tenant(&self) -> TenantId {
        match self {
            Self::Session { tenant, .. } => *tenant,
            Self::Subject(caller) => caller.tenant(),
        }
    }
}

/// A person with an ID token of a configured issuer, who may be no user of any tenant yet.
#[derive(Debug, Clone)]
pub struct SignedIn(pub Identity);

/// Checks credentials; clones share the cache of verified tokens.
#[derive(Debug, Clone)]
pub struct Callers(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    issuers: Issuers,
    keys: Keys,
    db: Db,
    needs_named_tenant: bool,
    remembered: Cache<[u8; 32], Remembered>,
}

/// Claims of a token of ours whose signature was verified, for the cache.
#[derive(Debug, Clone, Copy)]
struct Remembered {
    caller: SessionCaller,
    starts: i64,
    expires: i64,
    /// Version of the key set that verified it: with another set it is verified again, because the key may be retired.
    keys_version: u64,
}

impl Callers {
    /// Reads the configuration for checking credentials: the database for keys and users, the issuers.
    pub fn from_setup(setup: &mut Setup) -> Option<Self> {
        Self::new(setup, false)
    }

    /// Reads the configuration for a function that reads or writes contents: a person of several tenants has to name the tenant,
    /// because the end of a license must not send one tenant's contents to another.
    pub fn from_setup_for_contents(setup: &mut Setup) -> Option<Self> {
        Self::new(setup, true)
    }

    fn new(setup: &mut Setup, needs_named_tenant: bool) -> Option<Self> {
        let (db, issuers) = (Db::from_setup(setup), Issuers::from_setup(setup));
        let (db, issuers) = (db?, issuers?);
        let keys = Keys::new(db.clone());
        setup.at_start(keys.clone().prepare());
        setup.ready_when("signing_keys", {
            let keys = keys.clone();
            move || {
                let keys = keys.clone();
                async move { keys.check().await }
            }
        });
        let remembered = Cache::new(REMEMBERED_TOKENS);
        Some(Self(Arc::new(Inner { issuers, keys, db, needs_named_tenant, remembered })))
    }

    async fn session_caller(&self, headers: &HeaderMap) -> Result<SessionCaller, Problem> {
        let bearer = bearer(headers)?;
        let now = Timestamp::now();
        let digest = digest::digest(&digest::SHA256, bearer.as_bytes());
        let digest: [u8; 32] = digest.as_ref().try_into().expect("SHA-256 has 32 bytes");
        // Read before the keys: at worst, a token that newer keys verified is verified again.
        let version = self.0.keys.version();
        if let Some(known) = self.0.remembered.get(&digest).filter(|r| r.keys_version == version) {
            return token::check_times(now, Some(known.starts), known.expires).map(|()| known.caller).map_err(refused);
        }
        let issuer = unverified_issuer(bearer).map_err(refused)?;
        if issuer == self.0.issuers.own() {
            let verified = match self.verify(bearer, &*self.0.keys.current().await?, version, now) {
                Err(TokenError::UnknownKey { .. }) => self.verify(bearer, &*self.0.keys.newer().await?, version, now),
                verified => verified,
            };
            let known = verified.map_err(refused)?;
            self.0.remembered.insert(digest, known);
            return Ok(known.caller);
        }
        let identity = self.0.issuers.verify(&issuer, bearer, now.as_second()).await?;
        let named = headers.get(TENANT_HEADER);
        let caller = membership::of_person(&self.0.db, identity, named, self.0.needs_named_tenant).await?;
        Ok(SessionCaller::Subject(caller))
    }

    /// Verifies an access token or a license token, which differ by their audience; each gets its complete check.
    fn verify(&self, bearer: &str, keys: &KeySet, keys_version: u64, now: Timestamp) -> Result<Remembered, TokenError> {
        match token::verify_access(bearer, keys, self.0.issuers.own(), now) {
            Err(TokenError::Audience) => {
                let c = token::verify_license(bearer, keys, self.0.issuers.own(), None, now)?;
                let caller =
                    SessionCaller::Session { tenant: c.tenant_id, license: c.license_id, session: c.session_id };
                Ok(Remembered { caller, starts: c.nbf, expires: c.exp, keys_version })
            }
            access => {
                let c = access?;
                let caller = SessionCaller::Subject(Caller::License { tenant: c.tenant_id, license: c.license_id });
                Ok(Remembered { caller, starts: c.iat, expires: c.exp, keys_version })
            }
        }
    }
}

/// Returns the issuer that a token names, to choose the keys that it is then verified with.
fn unverified_issuer(token: &str) -> Result<String, TokenError> {
    #[derive(serde::Deserialize)]
    struct Claims {
        iss: String,
    }
    let claims =
        token.split('.').nth(1).filter(|_| token.len() <= token::MAX_TOKEN_LEN).ok_or(TokenError::Malformed)?;
    let claims = URL_SAFE_NO_PAD.decode(claims).map_err(|_| TokenError::Malformed)?;
    serde_json::from_slice(&claims).map(|Claims { iss }| iss).map_err(|_| TokenError::Malformed)
}

fn refused(error: TokenError) -> Problem {
    Problem::invalid_token(error.to_string())
}

fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let value = headers.get(AUTHORIZATION).and_then(|v| v.to_str().ok());
    value
        .and_then(|v| v.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .ok_or_else(|| Problem::invalid_token("This route needs a credential. Send one as `Authorization: Bearer …`."))
}

impl<S: Send + Sync> FromRequestParts<S> for SessionCaller
where
    Callers: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = Callers::from_ref(state).session_caller(&parts.headers).await?;
        request::set_tenant(caller.tenant());
        Ok(caller)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for SignedIn
where
    Issuers: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let bearer = bearer(&parts.headers)?;
        let issuers = Issuers::from_ref(state);
        let named = unverified_issuer(bearer).map_err(refused)?;
        if named == issuers.own() {
            return Err(refused(TokenError::Type));
        }
        issuers.verify(&named, bearer, Timestamp::now().as_second()).await.map(Self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller
where
    Callers: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match SessionCaller::from_request_parts(parts, state).await? {
            SessionCaller::Subject(caller) => Ok(caller),
            SessionCaller::Session { .. } => Err(refused(TokenError::Type)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_however_a_proxy_writes_it() {
        let of = |entry: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("x-forwarded-for", format!("203.0.113.9, {entry}").parse().unwrap());
            let address = ClientAddress::of(Some(SocketAddr::from(([127, 0, 0, 1], 9))), &headers, 1);
            (address.0.to_string(), address.network())
        };
        for (entry, address, network) in [
            ("198.51.100.1", "198.51.100.1", "198.51.100.1"),
            ("198.51.100.1:50123", "198.51.100.1", "198.51.100.1"),
            ("::ffff:198.51.100.1", "198.51.100.1", "198.51.100.1"),
            ("[::ffff:198.51.100.1]:443", "198.51.100.1", "198.51.100.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("[2001:db8:1:2:9::1]", "2001:db8:1:2:9::1", "2001:db8:1:2::/64"),
            ("\"[2001:db8:1:2::7]:8080\"", "2001:db8:1:2::7", "2001:db8:1:2::/64"),
            ("unknown", "127.0.0.1", "127.0.0.1"),
            ("", "127.0.0.1", "127.0.0.1"),
        ] {
            assert_eq!(of(entry), (address.to_owned(), network.to_owned()), "{entry}");
        }
    }
}
