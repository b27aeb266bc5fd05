//! Validation of a license, as product.md describes it: the last answer while it is young, else the cloud, else the grace period.

use jiff::{SignedDuration, Timestamp};
use protocol::id::ClientVersion;
use protocol::key::LicenseKey;
use protocol::problem::Code;
use protocol::token::{TokenError, ValidationClaims, verify_claims, verify_validation};
use protocol::wire::{
    AuthRequest, ClaimAnswer, DeactivateAnswer, DeactivateRequest, ValidLicense, ValidateAnswer, ValidateRequest,
};

use crate::client::Inner;
use crate::clock::Moment;
use crate::cloud::{Ask, Effort};
use crate::discovery::CloudDiscovery;
use crate::license::{License, Source, Verdict};
use crate::notice::Notice;
use crate::{Error, LastError, LicenseClient, last_refusal, sign_in};

/// Sealed file with the token of the last answer. Only the token is stored: it is checked at every use.
const FILE: &str = "validation";

/// Age below which an answer is used without a call, unless the answer itself asks for an earlier one.
const YOUNG: SignedDuration = SignedDuration::from_hours(24);

impl LicenseClient {
    /// Asks whether this machine may run, and with what.
    ///
    /// An answer of the last 24 hours is used without a call. While the cloud cannot be reached, the last answer serves
    /// for 7 days from when it was made. Without a license key the signed-in user's seat decides: it is taken for the
    /// answer and given back, unless its last token is still good; without a sign-in, the free tier applies. With a key
    /// of the environment (`CODITECT_LICENSE_KEY`) a seat is taken and given back each time, so the machine needs no
    /// place of its own on the license; there is no grace, and no free tier.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let home = folder.path().join("home");
    /// # let client = coditect::LicenseClient::builder().home(&home).build()?;
    /// if client.validate()?.is_valid() {
    ///     println!("go");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the question could not be answered for another reason than an unavailable cloud: files that others can read,
    /// an answer that is not signed by the cloud, a request that it refused.
    pub fn validate(&self) -> Result<Verdict, Error> {
        if self.given_key()?.is_some() {
            return self.acquire().map(|seat| Verdict::Valid(seat.license()));
        }
        if !self.has_license_key()? {
            return self.validate_without_key();
        }
        let moment = self.inner.time.look()?;
        let stored = self.stored_validation(moment.now)?;
        if let Some(claims) = &stored
            && moment.steady
            && is_young(claims, moment.now)
        {
            let age = SignedDuration::from_secs(moment.now.as_second().saturating_sub(claims.iat));
            self.inner.cloud.tracer.remembered("the validation", age);
            return Ok(Verdict::Valid(License::of(claims.clone(), Source::Cache)));
        }
        // Not read before, so that the keychain is not asked when a stored answer is used.
        let Some(key) = self.license_key()? else { return self.validate_without_key() };
        match self.ask_for_validation(&key) {
            Ok((verdict, Some(token))) => {
                self.store_validation(&token);
                Ok(verdict)
            }
            Ok((no, None)) => {
                // A definite no ends the grace, whatever the last yes had promised.
                self.inner.vault.remove(FILE)?;
                self.forget_seat_token()?;
                if let Verdict::Invalid(answer) = &no {
                    last_refusal::keep(&self.inner, answer);
                }
                Ok(no)
            }
            Err(outage) if outage.is_unavailable() => self.fall_back(stored, moment, outage),
            Err(error) => Err(error),
        }
    }

    fn validate_without_key(&self) -> Result<Verdict, Error> {
        if !self.is_signed_in()? {
            return Ok(Verdict::Valid(License::free()));
        }
        if let Some(license) = self.seat_license()? {
            return Ok(Verdict::Valid(license));
        }
        match self.acquire() {
            Ok(seat) => {
                let license = seat.license();
                drop(seat);
                Ok(Verdict::Valid(license))
            }
            Err(outage) if outage.is_unavailable() => Ok(Verdict::Lapsed { outage }),
            Err(error) => Err(error),
        }
    }

    /// Asks whether a key is valid on this machine, and if it is, stores it and the answer.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let client = coditect::LicenseClient::builder().build()?;
    /// let key = coditect::LicenseKey::parse("CODITECT-PRO-A7F3E9D2C4B1-D3W4")?; // a typing error ends here
    /// if client.activate(&key)?.is_valid() {
    ///     println!("{} is kept on this machine", key.redacted());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`validate`](Self::validate), and when the cloud cannot be reached: an activation has no grace.
    pub fn activate(&self, key: &LicenseKey) -> Result<Verdict, Error> {
        let (verdict, token) = self.ask_for_validation(key)?;
        if let Some(token) = token {
            // Answers for the former key are deleted first, so that a crash leaves no answer that is another key's.
            self.inner.vault.remove(FILE)?;
            self.forget_seat_token()?;
            self.store_key(key)?;
            self.store_validation(&token);
            // The key works without it, and activating it again repeats it.
            let _ = self.confirm_purchase(key);
        }
        Ok(verdict)
    }

    /// Makes the signed-in user the owner of a license that was bought under the user's email address. The cloud refuses that for
    /// keys of any other origin.
    fn confirm_purchase(&self, key: &LicenseKey) -> Result<(), Error> {
        if !self.is_signed_in()? {
            return Ok(());
        }
        let client = &self.inner;
        let directory = client.directories.current(client.time.wall(), Effort::Once)?;
        let body = AuthRequest { license_key: key.into(), machine_id: None };
        let to = directory.endpoint("auth", "/api/v1/auth/claim")?;
        let bearer = sign_in::bearer(client, None)?;
        let ask = Ask { to, body: &body, bearer: Some(&bearer.token), idempotency_key: None };
        client.cloud.post::<_, ClaimAnswer>(&ask, Effort::Once).map(drop)
    }

    /// Gives this machine's place on the license back, so that another one can be activated, and deletes the license key and
    /// all answers about it. Returns the time from which on another machine can be activated; none: now.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let client = coditect::LicenseClient::builder().build()?;
    /// match client.deactivate()? {
    ///     None => println!("another machine can be activated now"),
    ///     Some(time) => println!("another machine can be activated from {time} on"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::NoKey`] where none is stored; [`Error::Unavailable`] when the cloud cannot be reached: then everything stays, for
    /// the place could not be given back any more.
    pub fn deactivate(&self) -> Result<Option<Timestamp>, Error> {
        let key = self.license_key()?.ok_or(Error::NoKey)?;
        let client = &self.inner;
        let directory = client.directories.current(client.time.wall(), Effort::Few)?;
        let body = DeactivateRequest { license_key: (&key).into(), machine_id: client.machine.clone() };
        let to = directory.endpoint("validate", "/api/v1/licenses/deactivate")?;
        let ask = Ask { to, body: &body, bearer: None, idempotency_key: None };
        let next = match client.cloud.post::<_, DeactivateAnswer>(&ask, Effort::Few) {
            Ok(answer) => answer.next_activation_at,
            // A key that is not valid any more has no places either.
            Err(Error::Refused(refusal)) if refusal.problem.known_code() == Some(Code::InvalidLicenseKey) => None,
            Err(error) => return Err(error),
        };
        // The key is deleted last, so that after a crash it can be deactivated again.
        client.vault.remove(FILE)?;
        last_refusal::forget(client);
        self.forget_seat_token()?;
        self.forget_key()?;
        Ok(next)
    }

    /// Returns the license that applies, as far as it is known without a request; none if no answer is valid any more.
    pub(crate) fn known_license(&self) -> Result<Option<License>, Error> {
        if self.given_key()?.is_some() {
            return Ok(None);
        }
        match (self.has_license_key()?, self.is_signed_in()?) {
            (true, _) => self.remembered_license(),
            (false, true) => self.seat_license(),
            (false, false) => Ok(Some(License::free())),
        }
    }

    /// Returns the license of the last answer, without a request; none if there is no key, or the answer is not valid any more.
    pub(crate) fn remembered_license(&self) -> Result<Option<License>, Error> {
        let moment = self.inner.time.look()?;
        let stored = self.stored_validation(moment.now)?.filter(|_| moment.anchored);
        Ok(stored.map(|claims| {
            let source = if moment.steady && is_young(&claims, moment.now) { Source::Cache } else { Source::Grace };
            License::of(claims, source)
        }))
    }

    /// Asks the cloud. Returns its answer, and the answer's token if it is a yes.
    fn ask_for_validation(&self, key: &LicenseKey) -> Result<(Verdict, Option<String>), Error> {
        let client = &self.inner;
        let directory = client.directories.current(client.time.wall(), Effort::Few)?;
        let body = ValidateRequest {
            license_key: key.into(),
            machine_id: client.machine.clone(),
            version: ClientVersion::parse(env!("CARGO_PKG_VERSION")).expect("a crate's version is short and ASCII"),
        };
        let to = directory.endpoint("validate", "/api/v1/licenses/validate")?;
        let ask = Ask { to, body: &body, bearer: None, idempotency_key: None };
        match client.cloud.post(&ask, Effort::Few)? {
            ValidateAnswer::Invalid(no) => Ok((Verdict::Invalid(no), None)),
            ValidateAnswer::Valid(ValidLicense { validation_token: token, key_replaced_until, .. }) => {
                if let Some(until) = key_replaced_until {
                    self.inner.notify.send(&Notice::KeyReplaced { until });
                }
                let claims = client.directories.check(client.time.wall(), |directory| {
                    // Signed just now, so the time is the cloud's: a wrong clock here is no reason to refuse.
                    let signed: ValidationClaims = verify_claims(&token, &directory.keys)?;
                    self.verify_validation(&token, directory, signed_at(signed.iat)?)
                })?;
                client.time.learn(signed_at(claims.iat).map_err(Error::Untrusted)?);
                Ok((Verdict::Valid(License::of(claims, Source::Cloud)), Some(token)))
            }
        }
    }

    fn fall_back(&self, stored: Option<ValidationClaims>, moment: Moment, outage: Error) -> Result<Verdict, Error> {
        LastError::keep_in(&self.inner.home, self.inner.time.wall(), &outage);
        // Without a stored mark of the time, it is not known how much of the grace period is over.
        let Some(claims) = stored.filter(|_| moment.anchored) else {
            self.tell_doubt(moment)?;
            return Ok(Verdict::Lapsed { outage });
        };
        let license = License::of(claims, Source::Grace);
        let remaining = license.grace_until.unwrap_or(moment.now).duration_since(moment.now);
        self.inner.notify.send(&Notice::CloudUnavailable { remaining });
        Ok(Verdict::Valid(license))
    }

    /// Sends a notice that the clock may be wrong, if the last answer is still valid at the earliest possible time.
    pub(crate) fn tell_doubt(&self, moment: Moment) -> Result<(), Error> {
        if moment.anchored && self.stored_validation(moment.floor)?.is_some() {
            self.inner.time.doubt(moment);
        }
        Ok(())
    }

    /// Returns the last answer, if it is valid at this time. One that is not genuine is deleted, with a notice.
    fn stored_validation(&self, now: Timestamp) -> Result<Option<ValidationClaims>, Error> {
        let token = match self.inner.vault.open(FILE) {
            Err(error @ Error::Sealed { .. }) => return self.drop_validation(error.to_string()),
            other => other?,
        };
        let Some(token) = token else { return Ok(None) };
        let Some(directory) = self.inner.directories.known()? else { return Ok(None) };
        let token = String::from_utf8_lossy(&token);
        match self.verify_validation(&token, &directory, now) {
            Ok(claims) => Ok(Some(claims)),
            Err(TokenError::Expired) => Ok(None),
            Err(error) => self.drop_validation(error.to_string()),
        }
    }

    fn verify_validation(
        &self,
        token: &str,
        directory: &CloudDiscovery,
        now: Timestamp,
    ) -> Result<ValidationClaims, TokenError> {
        verify_validation(token, &directory.keys, directory.issuer(), &self.inner.machine, now)
    }

    fn drop_validation(&self, cause: String) -> Result<Option<ValidationClaims>, Error> {
        self.inner.notify.send(&Notice::CacheRefused { cause });
        self.inner.vault.remove(FILE)?;
        Ok(None)
    }

    fn store_validation(&self, token: &str) {
        last_refusal::forget(&self.inner);
        if let Err(error) = self.inner.vault.seal(FILE, token.as_bytes()) {
            self.inner.notify.send(&Notice::NotStored(error));
        }
    }
}

fn is_young(claims: &ValidationClaims, now: Timestamp) -> bool {
    let age = now.as_second().saturating_sub(claims.iat);
    age < YOUNG.as_secs() && now.as_second() < claims.refresh_after
}

/// Deletes the last answer, so that the next validation asks the cloud, which has just refused the license elsewhere.
pub(crate) fn forget(client: &Inner) -> Result<(), Error> {
    client.vault.remove(FILE)
}

/// Returns the time at which a token was signed.
pub(crate) fn signed_at(iat: i64) -> Result<Timestamp, TokenError> {
    Timestamp::from_second(iat).map_err(|_| TokenError::Malformed)
}
