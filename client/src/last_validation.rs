//! The cloud's last answer to a validation. Only its token is stored, and checked at every use.

use jiff::{SignedDuration, Timestamp};
use local::clock::Moment;
use local::notice::Notice;
use protocol::token::{TokenError, ValidationClaims, verify_validation};

use crate::core::Core;
use crate::discovery::CloudDiscovery;
use crate::{Error, LastRefusal, License, Source};

/// The sealed file with the token.
const FILE: &str = "validation";

/// Age below which an answer is used without a call, unless the answer itself asks for an earlier one.
const YOUNG: SignedDuration = SignedDuration::from_hours(24);

/// Returns true if the answer is used without a call.
pub(crate) fn is_young(claims: &ValidationClaims, now: Timestamp) -> bool {
    let age = now.as_second().saturating_sub(claims.iat);
    age < YOUNG.as_secs() && now.as_second() < claims.refresh_after
}

/// Returns the last answer, if it is valid at this time. One that is not genuine is deleted, with a notice.
pub(crate) fn read(core: &Core, now: Timestamp) -> Result<Option<ValidationClaims>, Error> {
    let token = match core.vault.open(FILE) {
        Err(error @ Error::Sealed { .. }) => return refuse(core, error.to_string()),
        other => other?,
    };
    let Some(token) = token else { return Ok(None) };
    let Some(discovery) = core.discovery.known()? else { return Ok(None) };
    match verify(core, &String::from_utf8_lossy(&token), &discovery, now) {
        Ok(claims) => Ok(Some(claims)),
        Err(TokenError::Expired) => Ok(None),
        Err(error) => refuse(core, error.to_string()),
    }
}

fn refuse(core: &Core, cause: String) -> Result<Option<ValidationClaims>, Error> {
    core.notify.send(&Notice::CacheRefused { cause });
    forget(core).map(|()| None)
}

/// Returns the license of the last answer, without a request; none if there is no key, or the answer is not valid any more.
pub(crate) fn license(core: &Core) -> Result<Option<License>, Error> {
    let moment = core.time.look()?;
    Ok(read(core, moment.now)?.filter(|_| moment.anchored).map(|claims| {
        let source = if moment.steady && is_young(&claims, moment.now) { Source::Cache } else { Source::Grace };
        License::of(claims, source)
    }))
}

/// Verifies the token of an answer, as of this time.
pub(crate) fn verify(
    core: &Core,
    token: &str,
    discovery: &CloudDiscovery,
    now: Timestamp,
) -> Result<ValidationClaims, TokenError> {
    verify_validation(token, &discovery.keys, discovery.issuer(), &core.machine, now)
}

/// Stores an answer, as far as that is possible.
pub(crate) fn store(core: &Core, token: &str) {
    LastRefusal::forget(&core.vault);
    if let Err(error) = core.vault.seal(FILE, token.as_bytes()) {
        core.notify.send(&Notice::NotStored(error));
    }
}

/// Deletes the last answer, so that the next validation asks the cloud.
pub(crate) fn forget(core: &Core) -> Result<(), Error> {
    core.vault.remove(FILE)
}

/// Sends a notice that the clock may be wrong, if the last answer is still valid at the earliest possible time.
pub(crate) fn tell_doubt(core: &Core, moment: Moment) -> Result<(), Error> {
    if moment.anchored && read(core, moment.floor)?.is_some() {
        core.time.doubt(moment);
    }
    Ok(())
}
