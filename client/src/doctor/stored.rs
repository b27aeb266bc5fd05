//! Checks of the stored state: the keychain, the sign-in, the license key and the last answer.

use local::remaining::about;

use crate::core::Core;
use crate::{Check, KeychainFault, Source, last_validation};

pub(super) fn check(core: &Core) -> Vec<Check> {
    let mut checks = vec![keychain(core), sign_in(core)];
    checks.extend(license_key(core));
    checks
}

fn keychain(core: &Core) -> Check {
    const NAME: &str = "keychain";
    match core.vault.keychain() {
        Ok(Ok(())) => Check::good(NAME, "can be used"),
        Ok(Err(KeychainFault::Off)) => Check::good(NAME, "is turned off; the home folder has your secrets, sealed"),
        Ok(Err(KeychainFault::Missing)) => Check::good(NAME, "there is none; the home folder has your secrets, sealed"),
        Ok(Err(fault)) => Check::unknown(NAME, format!("cannot be used, because {fault}. {}", fault.hint())),
        Err(error) => Check::failed(NAME, &error),
    }
}

fn sign_in(core: &Core) -> Check {
    const NAME: &str = "sign-in";
    match crate::sign_in::who(core) {
        Ok(Some(who)) => Check::good(NAME, format!("as {who}, with {}", who.issuer)),
        Ok(None) => Check::good(NAME, "nobody is signed in"),
        Err(error) => Check::failed(NAME, &error),
    }
}

fn license_key(core: &Core) -> Vec<Check> {
    const NAME: &str = "license key";
    match crate::license_key::given(core) {
        Ok(Some(key)) => {
            let given = format!("{}, from CODITECT_LICENSE_KEY, which comes before what is stored", key.redacted());
            return vec![Check::good(NAME, given)];
        }
        Ok(None) => {}
        Err(error) => return vec![Check::failed(NAME, &error)],
    }
    match crate::license_key::stored(core) {
        Ok(Some(key)) => {
            vec![Check::good(NAME, format!("{} is stored, and can be opened", key.redacted())), cache(core)]
        }
        Ok(None) => vec![Check::good(NAME, "none, so the free tier applies")],
        Err(error) => vec![Check::failed(NAME, &error)],
    }
}

fn cache(core: &Core) -> Check {
    const NAME: &str = "last answer";
    match last_validation::license(core) {
        Ok(Some(license)) => {
            let now = core.time.look().map_or_else(|_| core.time.wall(), |moment| moment.now);
            let left = license
                .grace_until
                .map(|until| format!(", and serves offline for {}", about(until.duration_since(now))));
            let state = match license.source {
                Source::Grace => "is old, so the cloud is asked at the next `coditect validate`",
                _ => "is young, so the cloud need not be asked",
            };
            Check::good(NAME, format!("{state}{}", left.unwrap_or_default()))
        }
        Ok(None) => Check::unknown(NAME, "none that serves; `coditect validate` asks the cloud"),
        Err(error) => Check::failed(NAME, &error),
    }
}
