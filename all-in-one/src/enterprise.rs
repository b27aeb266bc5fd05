//! Checks the enterprise license file of an on-premise installation: at startup, offline, with the vendor's public keys.
//!
//! Where keys are built in or configured, a valid file is required: without one the process refuses to start. From 30 days
//! before the license ends, a warning is logged once a day. After it has ended, no new seat is granted and no key is valid;
//! a session keeps its seat as long as its token is valid, a day at most; seats can be released and context synced as before.

use std::time::Duration;

use common::{Setup, config, metrics};
use jiff::Timestamp;
use protocol::token::{EnterpriseClaims, EnterpriseLicense, Jwks, KeySet, read_enterprise_license};

/// The vendor's public keys: a JWKS document, built into releases for customers. A licensee must not be able to choose which
/// keys are trusted.
pub(crate) const VENDOR_KEYS: Option<&str> = match option_env!("CODITECT_VENDOR_JWKS") {
    Some(keys) if !keys.is_empty() => Some(keys),
    _ => None,
};

/// Number of days before the end from which a warning is logged.
const WARN_DAYS: i64 = 30;
const DAY_SECONDS: i64 = 86_400;
/// Interval at which the days left are computed again.
const CHECK_INTERVAL: Duration = Duration::from_secs(3600);

/// Limits of the installation.
#[derive(Debug)]
pub(crate) enum Limits {
    /// The limits of a license file.
    Licensed(EnterpriseClaims),
    /// No license file is required, and none is there.
    Unlimited,
}

/// Reads the license file. `None` if it is missing or invalid, which the setup has noted.
pub(crate) fn from_setup(setup: &mut Setup, built_in: Option<&str>) -> Option<Limits> {
    let keys = match built_in {
        Some(jwks) => {
            setup.optional(&config::ENTERPRISE_KEYS, |_| {
                Err::<(), _>("this release has the vendor's keys built in; leave it out".to_owned())
            })?;
            Some(setup.required(&config::ENTERPRISE_LICENSE, |_| keys_of(jwks))?)
        }
        None => setup.optional(&config::ENTERPRISE_KEYS, |path| keys_of(&read(path)?))?,
    };
    let Some(keys) = keys else {
        setup.optional(&config::ENTERPRISE_LICENSE, |_| {
            Err::<(), _>("can't be checked without the vendor's public keys; name them in ENTERPRISE_KEYS".to_owned())
        })?;
        tracing::info!(
            "no ENTERPRISE_LICENSE: this process serves whatever its licenses allow, for development and tests"
        );
        return Some(Limits::Unlimited);
    };
    let license = setup.required(&config::ENTERPRISE_LICENSE, |path| {
        read_enterprise_license(&read(path)?, &keys, Timestamp::now()).map_err(|e| e.to_string())
    })?;
    let claims = license.claims.clone();
    setup.at_start(watch(license));
    Some(Limits::Licensed(claims))
}

fn read(path: &str) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|e| format!("{path} can't be read: {e}"))
}

fn keys_of(jwks: &str) -> Result<KeySet, String> {
    let jwks: Jwks = serde_json::from_str(jwks).map_err(|e| format!("is not a JWKS document: {e}"))?;
    let keys = KeySet::from_jwks(&jwks);
    if keys.is_empty() { Err("has no RSA key for signatures".to_owned()) } else { Ok(keys) }
}

/// Logs the license's owner, and then once a day the days left, from `WARN_DAYS` before the end.
async fn watch(license: EnterpriseLicense) {
    let (name, claims) = (license.short_name, license.claims);
    let ends = claims.ends().map(|end| end.to_string());
    tracing::info!(license = name, customer = claims.customer, users = claims.users, ends, "enterprise license");
    metrics::enterprise_license("users", claims.users.into());
    let Some(ends) = claims.ends() else { return };
    let mut logged_days = None;
    loop {
        let days = days_left(ends, Timestamp::now());
        metrics::enterprise_license("days_left", days);
        if days <= WARN_DAYS && logged_days != Some(days) {
            logged_days = Some(days);
            let ends = ends.to_string();
            if days <= 0 {
                tracing::error!(
                    license = name,
                    ends,
                    "The enterprise license has ended: nobody new gets a seat, and who sits goes on. Put the next file in its \
                     place and start again."
                );
            } else {
                tracing::warn!(
                    license = name,
                    ends,
                    days,
                    "The enterprise license ends soon. Ask the vendor for the next file, put it in its place and start again."
                );
            }
        }
        tokio::time::sleep(CHECK_INTERVAL).await;
    }
}

/// Days until the end, rounded up: 0 once it has come.
fn days_left(ends: Timestamp, now: Timestamp) -> i64 {
    let seconds = ends.as_second() - now.as_second();
    if seconds <= 0 { 0 } else { (seconds + DAY_SECONDS - 1) / DAY_SECONDS }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of RFC 7638, section 3.1.
    const VENDOR: &str = concat!(
        r#"{"keys":[{"kty":"RSA","alg":"RS256","kid":"vendor","e":"AQAB","n":""#,
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJE",
        "CPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2Q",
        "vzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6",
        "WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
        r#""}]}"#
    );

    fn mistakes(variables: &[(&str, &str)], built_in: Option<&str>) -> String {
        let mut setup = Setup::from_variables(variables.iter().copied());
        let asked = from_setup(&mut setup, built_in);
        assert_eq!(asked.is_none(), !setup.mistakes().is_empty());
        setup.mistakes().iter().map(|m| format!("{m}\n")).collect()
    }

    #[test]
    fn a_release_for_customers_needs_a_license_and_believes_no_other_keys() {
        assert!(mistakes(&[], Some(VENDOR)).starts_with("ENTERPRISE_LICENSE: is not set"));
        let own = mistakes(&[("ENTERPRISE_KEYS", "/mine"), ("ENTERPRISE_LICENSE", "/mine")], Some(VENDOR));
        assert!(own.starts_with("ENTERPRISE_KEYS: this release has the vendor's keys built in"), "{own}");
        let missing = mistakes(&[("ENTERPRISE_LICENSE", "/nowhere")], Some(VENDOR));
        assert!(missing.starts_with("ENTERPRISE_LICENSE: /nowhere can't be read"), "{missing}");
        assert_eq!(mistakes(&[], None), "");
    }

    #[test]
    fn a_day_that_has_begun_is_a_day_left() {
        let now = Timestamp::UNIX_EPOCH;
        let left = |seconds| days_left(Timestamp::from_second(seconds).unwrap(), now);
        assert_eq!([left(-1), left(0), left(1), left(DAY_SECONDS), left(DAY_SECONDS + 1)], [0, 0, 1, 1, 2]);
    }
}
