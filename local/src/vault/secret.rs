//! The two secrets of a vault: made once, and found again.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::home::Home;
use crate::keychain;
use crate::{Error, KeychainFault, random};

/// The file with the secret that lies beside the others.
const BESIDE: &str = "secret";

/// The file with the name of the keychain's item.
const ITEM: &str = "keychain";

/// Lock held while the item is made, so that no two processes make two.
const LOCK: &str = "keychain-lock";

const LEN: usize = 32;

/// A secret.
#[derive(Clone)]
pub(super) struct Secret(Vec<u8>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Returns the secret beside the files, if there is one.
pub(super) fn beside(home: &Home) -> Result<Option<Secret>, Error> {
    Ok(home.read(BESIDE)?.map(Secret))
}

/// Returns the secret beside the files, made if there is none.
pub(super) fn beside_or_new(home: &Home) -> Result<Secret, Error> {
    if let Some(secret) = beside(home)? {
        return Ok(secret);
    }
    // Another process may do the same at this moment; the second one uses the first one's.
    home.write_new(BESIDE, &random::bytes::<LEN>())?;
    beside(home)?.ok_or_else(|| Error::Sealed { path: home.file(BESIDE) })
}

/// Returns the keychain's secret, if it has one for this folder.
pub(super) fn kept(home: &Home) -> Result<Result<Secret, KeychainFault>, Error> {
    let Some(item) = item(home)? else { return Ok(Err(KeychainFault::Gone)) };
    Ok(keychain::read(&item).and_then(|text| decoded(&text).ok_or(KeychainFault::Gone)))
}

/// Returns the keychain's secret, made if it has none for this folder.
pub(super) fn kept_or_new(home: &Home) -> Result<Result<Secret, KeychainFault>, Error> {
    match kept(home)? {
        Err(KeychainFault::Gone) => {}
        other => return Ok(other),
    }
    if !keychain::is_there() {
        return Ok(Err(KeychainFault::Missing));
    }
    let _held = home.lock(LOCK)?;
    // Another process may have been first.
    match kept(home)? {
        Err(KeychainFault::Gone) => {}
        other => return Ok(other),
    }
    let name = item(home)?.unwrap_or_else(random::name);
    let secret = Secret(random::bytes::<LEN>().to_vec());
    let label = format!("CODITECT secrets of {}", home.path().display());
    if let Err(fault) = keychain::write(&name, &label, &encoded(&secret)) {
        return Ok(Err(fault));
    }
    home.write(ITEM, name.as_bytes())?;
    Ok(Ok(secret))
}

/// Checks that there is a keychain that answers, whatever it has.
pub(super) fn look(home: &Home) -> Result<Result<(), KeychainFault>, Error> {
    let name = item(home)?.unwrap_or_else(|| "none".to_owned());
    Ok(match keychain::read(&name) {
        Ok(_) | Err(KeychainFault::Gone) => Ok(()),
        Err(fault) => Err(fault),
    })
}

/// Removes the keychain's secret. All that is sealed under it is lost.
pub(super) fn leave_keychain(home: &Home) -> Result<Result<(), KeychainFault>, Error> {
    let Some(item) = item(home)? else { return Ok(Ok(())) };
    let removed = keychain::remove(&item);
    home.remove(ITEM)?;
    Ok(removed)
}

fn item(home: &Home) -> Result<Option<String>, Error> {
    Ok(home.read(ITEM)?.and_then(|name| String::from_utf8(name).ok()))
}

/// Encodes a secret as text, since some keychains keep texts alone.
fn encoded(secret: &Secret) -> String {
    URL_SAFE_NO_PAD.encode(&secret.0)
}

fn decoded(text: &str) -> Option<Secret> {
    URL_SAFE_NO_PAD.decode(text).ok().filter(|bytes| bytes.len() == LEN).map(Secret)
}
