//! Validation of a license: the last answer while it is young, else the cloud, else the grace period.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use local::clock::Moment;
use local::notice::Notice;
use protocol::id::ClientVersion;
use protocol::key::LicenseKey;
use protocol::problem::Code;
use protocol::token::{ValidationClaims, verify_claims};
use protocol::wire::{
    AuthRequest, ClaimAnswer, DeactivateAnswer, DeactivateRequest, Quotas, ValidLicense, ValidateAnswer,
    ValidateRequest,
};

use crate::cloud::{Ask, Effort};
use crate::core::Core;
use crate::discovery::signed_at;
use crate::{
    Error, LastError, LastRefusal, License, Source, Verdict, last_validation, license_key, seat, seat_token, sign_in,
};

/// Asks whether this machine may run.
pub(crate) fn validate(core: &Arc<Core>) -> Result<Verdict, Error> {
    if license_key::given(core)?.is_some() {
        return seat::acquire(core).map(|seat| Verdict::Valid(seat.license()));
    }
    if !license_key::is_stored(core)? {
        return validate_without_key(core);
    }
    let moment = core.time.look()?;
    let stored = last_validation::read(core, moment.now)?;
    if let Some(claims) = &stored
        && moment.steady
        && last_validation::is_young(claims, moment.now)
    {
        let age = SignedDuration::from_secs(moment.now.as_second().saturating_sub(claims.iat));
        core.cloud.tracer.remembered("the validation", age);
        return Ok(Verdict::Valid(License::of(claims.clone(), Source::Cache)));
    }
    // Not read before, so that the keychain is not asked when a stored answer is used.
    let Some(key) = license_key::stored(core)? else { return validate_without_key(core) };
    match ask(core, &key) {
        Ok((verdict, Some(token))) => {
            last_validation::store(core, &token);
            Ok(verdict)
        }
        Ok((no, None)) => {
            // A definite no ends the grace, whatever the last yes had promised.
            last_validation::forget(core)?;
            seat_token::forget(core)?;
            if let Verdict::Invalid(answer) = &no {
                LastRefusal::keep(&core.vault, core.time.wall(), answer);
            }
            Ok(no)
        }
        Err(outage) if outage.is_unavailable() => fall_back(core, stored, moment, outage),
        Err(error) => Err(error),
    }
}

fn validate_without_key(core: &Arc<Core>) -> Result<Verdict, Error> {
    if !sign_in::is_signed_in(core)? {
        return Ok(Verdict::Valid(License::free()));
    }
    if let Some(license) = seat::last_license(core)? {
        return Ok(Verdict::Valid(license));
    }
    match seat::acquire(core) {
        Ok(seat) => Ok(Verdict::Valid(seat.license())),
        Err(outage) if outage.is_unavailable() => Ok(Verdict::Lapsed { outage }),
        Err(error) => Err(error),
    }
}

/// Asks whether a key is valid on this machine, and if it is, stores it and the answer.
pub(crate) fn activate(core: &Core, key: &LicenseKey) -> Result<Verdict, Error> {
    let (verdict, token) = ask(core, key)?;
    if let Some(token) = token {
        // Answers for the former key are deleted first, so that a crash leaves no answer that is another key's.
        last_validation::forget(core)?;
        seat_token::forget(core)?;
        license_key::store(core, key)?;
        last_validation::store(core, &token);
        // The key works without it, and activating it again repeats it.
        let _ = confirm_purchase(core, key);
    }
    Ok(verdict)
}

/// Makes the signed-in user the owner of a license that was bought under the user's email address. The cloud refuses that for
/// keys of any other origin.
fn confirm_purchase(core: &Core, key: &LicenseKey) -> Result<(), Error> {
    if !sign_in::is_signed_in(core)? {
        return Ok(());
    }
    let body = AuthRequest { license_key: key.into(), machine_id: None };
    let to = core.discovery.current(Effort::Once)?.endpoint("auth", "/api/v1/auth/claim")?;
    let bearer = sign_in::bearer(core, None)?;
    let ask = Ask { to, body: &body, bearer: Some(&bearer.token), idempotency_key: None };
    core.cloud.post::<_, ClaimAnswer>(&ask, Effort::Once).map(drop)
}

/// Gives this machine's place on the license back, and deletes the license key and all answers about it.
pub(crate) fn deactivate(core: &Core) -> Result<Option<Timestamp>, Error> {
    let key = license_key::stored(core)?.ok_or(Error::NoKey)?;
    let body = DeactivateRequest { license_key: (&key).into(), machine_id: core.machine.clone() };
    let to = core.discovery.current(Effort::Few)?.endpoint("validate", "/api/v1/licenses/deactivate")?;
    let ask = Ask { to, body: &body, bearer: None, idempotency_key: None };
    let next = match core.cloud.post::<_, DeactivateAnswer>(&ask, Effort::Few) {
        Ok(answer) => answer.next_activation_at,
        // A key that is not valid any more has no places either.
        Err(Error::Refused(refusal)) if refusal.problem.known_code() == Some(Code::InvalidLicenseKey) => None,
        Err(error) => return Err(error),
    };
    // The key is deleted last, so that after a crash it can be deactivated again.
    last_validation::forget(core)?;
    LastRefusal::forget(&core.vault);
    seat_token::forget(core)?;
    license_key::forget(core)?;
    Ok(next)
}

/// Returns the license that applies, as far as it is known without a request; none if no answer is valid any more.
pub(crate) fn known_license(core: &Core) -> Result<Option<License>, Error> {
    if license_key::given(core)?.is_some() {
        return Ok(None);
    }
    match (license_key::is_stored(core)?, sign_in::is_signed_in(core)?) {
        (true, _) => last_validation::license(core),
        (false, true) => seat::last_license(core),
        (false, false) => Ok(Some(License::free())),
    }
}

/// Returns the limits of the license that applies, as far as they are known without a request; else the free tier's.
pub(crate) fn quotas(core: &Core) -> Result<Quotas, Error> {
    if license_key::given(core)?.is_some() {
        // The limit comes with each seat, and without a seat nothing runs.
        return Ok(Quotas::default());
    }
    Ok(known_license(core)?.unwrap_or_else(License::free).quotas)
}

/// Asks the cloud. Returns its answer, and the answer's token if it is a yes.
fn ask(core: &Core, key: &LicenseKey) -> Result<(Verdict, Option<String>), Error> {
    let body = ValidateRequest {
        license_key: key.into(),
        machine_id: core.machine.clone(),
        version: ClientVersion::parse(env!("CARGO_PKG_VERSION")).expect("a crate's version is short and ASCII"),
    };
    let to = core.discovery.current(Effort::Few)?.endpoint("validate", "/api/v1/licenses/validate")?;
    let ask = Ask { to, body: &body, bearer: None, idempotency_key: None };
    match core.cloud.post(&ask, Effort::Few)? {
        ValidateAnswer::Invalid(no) => Ok((Verdict::Invalid(no), None)),
        ValidateAnswer::Valid(ValidLicense { validation_token: token, key_replaced_until, .. }) => {
            if let Some(until) = key_replaced_until {
                core.notify.send(&Notice::KeyReplaced { until });
            }
            let claims = core.discovery.check(|discovery| {
                // Signed just now, so the time is the cloud's: a wrong clock here is no reason to refuse.
                let signed: ValidationClaims = verify_claims(&token, &discovery.keys)?;
                last_validation::verify(core, &token, discovery, signed_at(signed.iat)?)
            })?;
            core.time.learn(signed_at(claims.iat).map_err(Error::Untrusted)?);
            Ok((Verdict::Valid(License::of(claims, Source::Cloud)), Some(token)))
        }
    }
}

fn fall_back(core: &Core, stored: Option<ValidationClaims>, moment: Moment, outage: Error) -> Result<Verdict, Error> {
    LastError::keep_in(&core.home, core.time.wall(), &outage);
    // Without a stored mark of the time, it is not known how much of the grace period is over.
    let Some(claims) = stored.filter(|_| moment.anchored) else {
        last_validation::tell_doubt(core, moment)?;
        return Ok(Verdict::Lapsed { outage });
    };
    let license = License::of(claims, Source::Grace);
    let remaining = license.grace_until.unwrap_or(moment.now).duration_since(moment.now);
    core.notify.send(&Notice::CloudUnavailable { remaining });
    Ok(Verdict::Valid(license))
}
