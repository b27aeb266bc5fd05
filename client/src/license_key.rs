//! The license key: the environment's, and the one that is stored on this machine.

use protocol::key::LicenseKey;

use crate::Error;
use crate::core::Core;

/// The sealed file with the license key.
pub(crate) const FILE: &str = "license";

/// Returns the license key of the environment.
pub(crate) fn given(core: &Core) -> Result<Option<&LicenseKey>, Error> {
    core.given_key.as_ref().map(Result::as_ref).transpose().map_err(|error| Error::KeyVariable(*error))
}

/// Returns the license key that is stored here.
pub(crate) fn stored(core: &Core) -> Result<Option<LicenseKey>, Error> {
    let Some(text) = core.vault.open(FILE)? else { return Ok(None) };
    let key = std::str::from_utf8(&text).ok().and_then(|text| LicenseKey::parse(text).ok());
    key.map(Some).ok_or_else(|| Error::Sealed { path: core.home.file(FILE) })
}

/// Returns true if a license key is stored, without opening it.
pub(crate) fn is_stored(core: &Core) -> Result<bool, Error> {
    core.vault.holds(FILE)
}

pub(crate) fn store(core: &Core, key: &LicenseKey) -> Result<(), Error> {
    core.vault.seal_secretly(FILE, key.to_string().as_bytes())
}

pub(crate) fn forget(core: &Core) -> Result<(), Error> {
    core.vault.remove(FILE)
}
