//! The user's sign-in: stored sealed, and renewed in time, by one process at a time.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use local::notice::Notice;
use protocol::id::TenantId;
use serde::{Deserialize, Serialize};

use super::provider::{Provider, Tokens};
use crate::core::Core;
use crate::{Config, Error, SignInError, Sso, seat_token};

/// The sealed file with the sign-in.
pub(crate) const FILE: &str = "session";

/// Lock file that is held by the process that renews: a refresh token that is used twice is taken for a stolen one, and
/// ends the sign-in.
const LOCK: &str = "session-lock";

/// A token is not used in its last minute, so that it does not expire in transit.
const MARGIN: SignedDuration = SignedDuration::from_mins(1);

/// Difference of clocks above which a notice is sent.
const TOLERANCE: SignedDuration = SignedDuration::from_hours(1);

/// A signed-in user. [`Display`](fmt::Display) writes their e-mail address, else their name, else the subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SignedIn {
    /// The provider's permanent id of the user (`sub`).
    pub subject: String,
    /// Their name.
    pub name: Option<String>,
    /// Their e-mail address.
    pub email: Option<String>,
    /// Their organization; not known before the first seat, unless the provider names it.
    pub tenant_id: Option<TenantId>,
    /// The provider.
    pub issuer: String,
    /// This program's client id at the provider.
    pub client_id: String,
    /// When they signed in.
    pub signed_in_at: Timestamp,
    /// Time until which the ID token is valid.
    pub token_until: Timestamp,
    /// True if the ID token can be renewed without the user.
    pub renewable: bool,
}

impl fmt::Display for SignedIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.email.as_deref().or(self.name.as_deref()).unwrap_or(&self.subject))
    }
}

/// Result of a sign-out.
#[derive(Debug)]
#[non_exhaustive]
pub struct SignedOut {
    /// User who was signed in; `None` if there was none, or if the sign-in could no longer be read.
    pub who: Option<SignedIn>,
    /// Result of revoking the refresh token.
    pub revocation: Revocation,
}

/// Result of revoking the refresh token at the provider.
#[derive(Debug)]
pub enum Revocation {
    /// The token is revoked.
    Done,
    /// There was no token, or the provider revokes none: it ends by itself.
    NotOffered,
    /// The token could not be revoked.
    Failed(Error),
}

/// Content of the sealed file.
#[derive(Serialize, Deserialize)]
struct Session {
    who: SignedIn,
    id_token: String,
    refresh_token: Option<String>,
}

/// Bearer token of requests to the cloud.
pub(crate) struct Bearer {
    pub(crate) token: String,
    pub(crate) tenant: Option<TenantId>,
    /// Time for which the token may be used.
    pub(crate) lifetime: SignedDuration,
}

/// Returns true if a user is signed in, as far as can be seen without opening the file.
pub(crate) fn is_signed_in(core: &Core) -> Result<bool, Error> {
    core.vault.holds(FILE)
}

pub(crate) fn who(core: &Core) -> Result<Option<SignedIn>, Error> {
    Ok(read(core)?.map(|session| session.who))
}

/// Stores the result of a sign-in, and the provider if it is not the cloud's.
pub(super) fn begin(core: &Core, provider: &Provider, tokens: Tokens, sso: Option<Sso>) -> Result<SignedIn, Error> {
    let _lock = lock(core)?;
    let session = session(core, provider, tokens, None);
    if let Ok(Some(before)) = read(core)
        && (before.who.issuer, before.who.subject) != (session.who.issuer.clone(), session.who.subject.clone())
    {
        // The stored license token was granted to the other user.
        seat_token::forget(core)?;
    }
    write(core, &session)?;
    core.tokens.forget();
    Config::in_home(core.home.clone()).set_sso(sso)?;
    Ok(session.who)
}

/// Returns the current ID token, or a renewed one if it has expired or the cloud has refused it.
pub(crate) fn bearer(core: &Core, refused: Option<&str>) -> Result<Bearer, Error> {
    let session = read(core)?.ok_or(SignInError::Ended)?;
    usable(core, &session, refused).map_or_else(|| renewed(core, refused), Ok)
}

/// Stores the user's organization, which a seat's token names.
pub(crate) fn learn_tenant(core: &Core, tenant: TenantId) -> Result<(), Error> {
    match read(core)? {
        Some(session) if session.who.tenant_id != Some(tenant) => {
            let _lock = lock(core)?;
            let Some(mut session) = read(core)? else { return Ok(()) };
            session.who.tenant_id = Some(tenant);
            write(core, &session)
        }
        _ => Ok(()),
    }
}

/// Signs the user out, and asks the provider to revoke the refresh token. The caller holds the [`lock`].
pub(crate) fn sign_out(core: &Core) -> Result<SignedOut, Error> {
    let (session, closed) = match read(core) {
        // A file that cannot be opened is removed as well.
        Err(error @ (Error::Sealed { .. } | Error::Keychain { .. })) => (None, Some(error)),
        other => (other?, None),
    };
    let refresh = session.as_ref().and_then(|session| session.refresh_token.clone());
    let revocation = match (&session, refresh) {
        (Some(session), Some(refresh)) => {
            let provider = Provider::find(&core.cloud, &session.who.issuer, session.who.client_id.clone());
            match provider.and_then(|provider| provider.revoke(&refresh)) {
                Ok(true) => Revocation::Done,
                Ok(false) => Revocation::NotOffered,
                Err(error) => Revocation::Failed(error),
            }
        }
        _ => closed.map_or(Revocation::NotOffered, Revocation::Failed),
    };
    core.vault.remove(FILE)?;
    Ok(SignedOut { who: session.map(|session| session.who), revocation })
}

fn renewed(core: &Core, refused: Option<&str>) -> Result<Bearer, Error> {
    let _lock = lock(core)?;
    // Another process may have been first, or have signed out.
    let session = read(core)?.ok_or(SignInError::Ended)?;
    if let Some(bearer) = usable(core, &session, refused) {
        return Ok(bearer);
    }
    let Some(refresh) = session.refresh_token.clone() else { return Err(SignInError::Ended.into()) };
    // The old refresh token is used up when the new one arrives, so this first makes sure that the new one can be stored.
    write(core, &session)?;
    let provider = Provider::find(&core.cloud, &session.who.issuer, session.who.client_id.clone())?;
    let form =
        [("grant_type", "refresh_token"), ("client_id", session.who.client_id.as_str()), ("refresh_token", &refresh)];
    let tokens = match provider.tokens(&form, None)? {
        Ok(tokens) if tokens.id.claims.sub == session.who.subject => tokens,
        Ok(_) => return Err(SignInError::Ended.into()),
        Err(refusal) if refusal.error == "invalid_grant" => return Err(SignInError::Ended.into()),
        Err(refusal) => return Err(refusal.into_error()),
    };
    let next = self::session(core, &provider, tokens, Some(session));
    if let Err(error) = write(core, &next) {
        core.notify.send(&Notice::NotStored(error));
    }
    let lifetime = next.who.token_until.duration_since(core.time.wall());
    Ok(Bearer { token: next.id_token, tenant: next.who.tenant_id, lifetime })
}

/// Returns the session to store; a renewal keeps the values that the provider does not repeat.
fn session(core: &Core, provider: &Provider, tokens: Tokens, before: Option<Session>) -> Session {
    let now = core.time.wall();
    let claims = tokens.id.claims;
    let ahead = claims.signed().map_or(SignedDuration::ZERO, |signed| now.duration_since(signed));
    if ahead.abs() > TOLERANCE {
        core.notify.send(&Notice::ClockApart { ahead });
    }
    let tenant_id = claims.tenant();
    let token_until = now.saturating_add(claims.lifetime()).unwrap_or(now);
    let (kept, kept_refresh) = before.map(|before| (before.who, before.refresh_token)).unzip();
    let refresh_token = tokens.refresh.or(kept_refresh.flatten());
    let who = SignedIn {
        name: claims.name.or_else(|| kept.as_ref()?.name.clone()),
        email: claims.email.or_else(|| kept.as_ref()?.email.clone()),
        tenant_id: tenant_id.or_else(|| kept.as_ref()?.tenant_id),
        signed_in_at: kept.as_ref().map_or(now, |kept| kept.signed_in_at),
        subject: claims.sub,
        issuer: provider.issuer().to_owned(),
        client_id: provider.client_id.clone(),
        token_until,
        renewable: refresh_token.is_some(),
    };
    Session { who, id_token: tokens.id.text, refresh_token }
}

fn usable(core: &Core, session: &Session, refused: Option<&str>) -> Option<Bearer> {
    let lifetime = session.who.token_until.duration_since(core.time.wall()).saturating_sub(MARGIN);
    let good = lifetime.is_positive() && refused != Some(session.id_token.as_str());
    good.then(|| Bearer { token: session.id_token.clone(), tenant: session.who.tenant_id, lifetime })
}

/// Keeps other processes from renewing or ending the sign-in.
pub(crate) fn lock(core: &Core) -> Result<std::fs::File, Error> {
    core.home.lock(LOCK)
}

fn read(core: &Core) -> Result<Option<Session>, Error> {
    let Some(json) = core.vault.open(FILE)? else { return Ok(None) };
    serde_json::from_slice(&json).map(Some).map_err(|_| Error::Sealed { path: core.vault.path(FILE) })
}

fn write(core: &Core, session: &Session) -> Result<(), Error> {
    let json = serde_json::to_vec(session).expect("a session is text with names");
    core.vault.seal_secretly(FILE, &json)
}
