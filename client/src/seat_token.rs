//! The license token of the last seat, stored for the next time that the cloud is unreachable.

use jiff::Timestamp;
use local::clock::Moment;
use local::notice::Notice;
use protocol::token::{LicenseClaims, verify_license};

use crate::Error;
use crate::core::Core;

/// The sealed file with the token. It is verified at every use.
const FILE: &str = "seat";

/// Stores a token, as far as that is possible.
pub(crate) fn store(core: &Core, token: &str) {
    if core.keeps_answers()
        && let Err(error) = core.vault.seal(FILE, token.as_bytes())
    {
        core.notify.send(&Notice::NotStored(error));
    }
}

/// Returns the token and its claims, if it is valid at this time.
pub(crate) fn read(core: &Core, moment: Moment, at: Timestamp) -> Result<Option<(String, LicenseClaims)>, Error> {
    if !core.keeps_answers() {
        return Ok(None);
    }
    let Some(token) = core.vault.open_if_whole(FILE)?.and_then(|token| String::from_utf8(token).ok()) else {
        return Ok(None);
    };
    let Some(discovery) = core.discovery.known()?.filter(|_| moment.anchored) else { return Ok(None) };
    let claims = verify_license(&token, &discovery.keys, discovery.issuer(), Some(&core.machine), at);
    Ok(claims.ok().map(|claims| (token, claims)))
}

/// Deletes the stored token.
pub(crate) fn forget(core: &Core) -> Result<(), Error> {
    core.vault.remove(FILE)
}
