//! Who is signed in: kept sealed, renewed in time, and by one process at once.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use protocol::id::TenantId;
use serde::{Deserialize, Serialize};

use super::Sso;
use super::error::SignInError;
use super::provider::{Provider, Tokens};
use crate::client::Inner;
use crate::notice::Notice;
use crate::{Config, Error, access, seat};

/// The sealed file.
pub(crate) const FILE: &str = "session";

/// Held by the process that renews: a refresh token that is used twice is taken for a stolen one, and ends the sign-in.
const LOCK: &str = "session-lock";

/// A token is not used in its last minute, so that it does not end on the way.
const MARGIN: SignedDuration = SignedDuration::from_mins(1);

/// Clocks that are further apart are told about.
const TOLERANCE: SignedDuration = SignedDuration::from_hours(1);

/// Somebody who is signed in. [`Display`](fmt::Display) writes the name that people know them by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SignedIn {
    /// What the provider calls them, for good.
    pub subject: String,
    /// Their name.
    pub name: Option<String>,
    /// Their e-mail address.
    pub email: Option<String>,
    /// Their organization; not known before the first seat, unless the provider says it.
    pub tenant_id: Option<TenantId>,
    /// The provider.
    pub issuer: String,
    /// What this program is to it.
    pub client_id: String,
    /// When they signed in.
    pub signed_in_at: Timestamp,
    /// Until when the ID token is good.
    pub token_until: Timestamp,
    /// Whether there will be another one by then, without anybody's help.
    pub renewable: bool,
}

impl fmt::Display for SignedIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.email.as_deref().or(self.name.as_deref()).unwrap_or(&self.subject))
    }
}

/// How a sign-out went.
#[derive(Debug)]
#[non_exhaustive]
pub struct SignedOut {
    /// Who was signed in; none if nobody was, or if it could not be read any more.
    pub who: Option<SignedIn>,
    /// What became of the refresh token.
    pub revocation: Revocation,
}

/// What became of the refresh token at the provider.
#[derive(Debug)]
pub enum Revocation {
    /// It is of no more use to anybody.
    Done,
    /// There was none, or the provider revokes none: it ends by itself.
    NotOffered,
    /// The provider could not be told.
    Failed(Error),
}

/// The file.
#[derive(Serialize, Deserialize)]
struct Session {
    who: SignedIn,
    id_token: String,
    refresh_token: Option<String>,
}

/// What the cloud is asked with.
pub(crate) struct Bearer {
    pub(crate) token: String,
    pub(crate) tenant: Option<TenantId>,
    /// How long it may be used.
    pub(crate) lifetime: SignedDuration,
}

/// Whether somebody is, as far as one can see without opening anything.
pub(crate) fn is_signed_in(client: &Inner) -> Result<bool, Error> {
    client.vault.holds(FILE)
}

pub(crate) fn who(client: &Inner) -> Result<Option<SignedIn>, Error> {
    Ok(read(client)?.map(|session| session.who))
}

/// Keeps what a sign-in has given, and which provider it was, if it was not the cloud's.
pub(super) fn begin(client: &Inner, provider: &Provider, tokens: Tokens, sso: Option<Sso>) -> Result<SignedIn, Error> {
    let _lock = lock(client)?;
    let session = session(client, provider, tokens, None);
    if let Ok(Some(before)) = read(client)
        && (before.who.issuer, before.who.subject) != (session.who.issuer.clone(), session.who.subject.clone())
    {
        // What the other one was granted.
        seat::forget(client)?;
    }
    write(client, &session)?;
    access::forget(client);
    Config::in_home(client.home.clone()).set_sso(sso)?;
    Ok(session.who)
}

/// The ID token at hand, or the next one. One that the cloud has refused is at hand no more.
pub(crate) fn bearer(client: &Inner, refused: Option<&str>) -> Result<Bearer, Error> {
    let session = read(client)?.ok_or(SignInError::Ended)?;
    usable(client, &session, refused).map_or_else(|| renewed(client, refused), Ok)
}

/// A seat's token says whose it is.
pub(crate) fn learn_tenant(client: &Inner, tenant: TenantId) -> Result<(), Error> {
    match read(client)? {
        Some(session) if session.who.tenant_id != Some(tenant) => {
            let _lock = lock(client)?;
            let Some(mut session) = read(client)? else { return Ok(()) };
            session.who.tenant_id = Some(tenant);
            write(client, &session)
        }
        _ => Ok(()),
    }
}

pub(super) fn sign_out(client: &Inner) -> Result<SignedOut, Error> {
    let _lock = lock(client)?;
    let (session, closed) = match read(client) {
        // What cannot be opened goes as well.
        Err(error @ (Error::Sealed { .. } | Error::Keychain { .. })) => (None, Some(error)),
        other => (other?, None),
    };
    let refresh = session.as_ref().and_then(|session| session.refresh_token.clone());
    let revocation = match (&session, refresh) {
        (Some(session), Some(refresh)) => {
            let provider = Provider::find(&client.cloud, &session.who.issuer, session.who.client_id.clone());
            match provider.and_then(|provider| provider.revoke(&refresh)) {
                Ok(true) => Revocation::Done,
                Ok(false) => Revocation::NotOffered,
                Err(error) => Revocation::Failed(error),
            }
        }
        _ => closed.map_or(Revocation::NotOffered, Revocation::Failed),
    };
    if is_signed_in(client)? {
        client.vault.remove(FILE)?;
        seat::forget(client)?;
        access::forget(client);
    }
    Ok(SignedOut { who: session.map(|session| session.who), revocation })
}

fn renewed(client: &Inner, refused: Option<&str>) -> Result<Bearer, Error> {
    let _lock = lock(client)?;
    // Another process may have been first, or have signed out.
    let session = read(client)?.ok_or(SignInError::Ended)?;
    if let Some(bearer) = usable(client, &session, refused) {
        return Ok(bearer);
    }
    let Some(refresh) = session.refresh_token.clone() else { return Err(SignInError::Ended.into()) };
    // The old one is used up when the new one arrives, so first it must be sure that the new one can be kept.
    write(client, &session)?;
    let provider = Provider::find(&client.cloud, &session.who.issuer, session.who.client_id.clone())?;
    let form =
        [("grant_type", "refresh_token"), ("client_id", session.who.client_id.as_str()), ("refresh_token", &refresh)];
    let tokens = match provider.tokens(&form, None)? {
        Ok(tokens) if tokens.id.claims.sub == session.who.subject => tokens,
        Ok(_) => return Err(SignInError::Ended.into()),
        Err(refusal) if refusal.error == "invalid_grant" => return Err(SignInError::Ended.into()),
        Err(refusal) => return Err(refusal.into_error()),
    };
    let next = self::session(client, &provider, tokens, Some(session));
    if let Err(error) = write(client, &next) {
        client.notify.send(&Notice::NotStored(error));
    }
    let lifetime = next.who.token_until.duration_since(client.time.wall());
    Ok(Bearer { token: next.id_token, tenant: next.who.tenant_id, lifetime })
}

/// What is to be kept; a renewal keeps what the provider does not say again.
fn session(client: &Inner, provider: &Provider, tokens: Tokens, before: Option<Session>) -> Session {
    let now = client.time.wall();
    let claims = tokens.id.claims;
    let ahead = claims.signed().map_or(SignedDuration::ZERO, |signed| now.duration_since(signed));
    if ahead.abs() > TOLERANCE {
        client.notify.send(&Notice::ClockApart { ahead });
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

fn usable(client: &Inner, session: &Session, refused: Option<&str>) -> Option<Bearer> {
    let lifetime = session.who.token_until.duration_since(client.time.wall()).saturating_sub(MARGIN);
    let good = lifetime.is_positive() && refused != Some(session.id_token.as_str());
    good.then(|| Bearer { token: session.id_token.clone(), tenant: session.who.tenant_id, lifetime })
}

fn lock(client: &Inner) -> Result<std::fs::File, Error> {
    client.home.lock(LOCK)
}

fn read(client: &Inner) -> Result<Option<Session>, Error> {
    let Some(json) = client.vault.open(FILE)? else { return Ok(None) };
    serde_json::from_slice(&json).map(Some).map_err(|_| Error::Sealed { path: client.vault.path(FILE) })
}

fn write(client: &Inner, session: &Session) -> Result<(), Error> {
    let json = serde_json::to_vec(session).expect("a session is text with names");
    client.vault.seal_secretly(FILE, &json)
}
