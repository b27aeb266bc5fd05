//! Discovery of the cloud: the address of each function, the issuer, and its keys. Fetched from one address, and stored sealed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use local::clock::{Clock, is_recent};
use local::notice::{Notice, Notify};
use local::vault::Vault;
use protocol::token::{Jwks, KeySet, TokenError};
use protocol::wire::{Discovery, Oidc};
use serde::{Deserialize, Serialize};

use crate::cloud::{Cloud, Effort};
use crate::{Address, Error, Fault};

const FILE: &str = "directory";

/// Age up to which a discovery answer is used without a request: as long as the keys may be cached.
const FRESH: SignedDuration = SignedDuration::from_hours(1);

/// Discovery answer and keys of a cloud, as they are stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Entry {
    cloud_url: String,
    fetched_at: Timestamp,
    discovery: Discovery,
    jwks: Jwks,
}

/// Description of the cloud by itself, with its keys ready for use.
#[derive(Debug)]
pub(crate) struct CloudDiscovery {
    entry: Entry,
    pub(crate) keys: KeySet,
}

impl CloudDiscovery {
    fn new(entry: Entry) -> Self {
        Self { keys: KeySet::from_jwks(&entry.jwks), entry }
    }

    /// Returns the `iss` of the cloud's tokens.
    pub(crate) fn issuer(&self) -> &str {
        &self.entry.discovery.issuer
    }

    /// Returns the address of each function, by its name.
    pub(crate) fn functions(&self) -> &BTreeMap<String, String> {
        &self.entry.discovery.functions
    }

    /// Returns the identity provider, where people sign in.
    pub(crate) fn oidc(&self) -> Option<&Oidc> {
        self.entry.discovery.oidc.as_ref()
    }

    /// Returns the address of a function's endpoint.
    pub(crate) fn endpoint(&self, function: &str, path: &str) -> Result<Address, Error> {
        let Some(base) = self.entry.discovery.functions.get(function) else {
            let cause = format!("it does not say where its function {function:?} is");
            return Err(Error::outage(&self.entry.cloud_url, cause, Fault::Cloud));
        };
        Ok(base.parse::<Address>()?.join(path))
    }

    /// Returns the page where a person without an account chooses a plan, if the cloud has one. Only an address that a browser
    /// opens, and none with plain http to another machine.
    pub(crate) fn register_url(&self) -> Option<String> {
        let url = self.entry.discovery.register_url.as_deref()?;
        let whole = url.split(['?', '#']).next()?.parse::<Address>().is_ok();
        whole.then(|| url.to_owned())
    }

    fn is_fresh(&self, now: Timestamp) -> bool {
        is_recent(self.entry.fetched_at, now, FRESH)
    }
}

/// Discovery answer of the cloud about itself.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Discovered {
    /// Issuer (`iss`) of the cloud's tokens.
    pub issuer: String,
    /// Address of each function, by its name.
    pub functions: BTreeMap<String, String>,
}

impl From<&CloudDiscovery> for Discovered {
    fn from(discovery: &CloudDiscovery) -> Self {
        Self { issuer: discovery.issuer().to_owned(), functions: discovery.functions().clone() }
    }
}

/// Fetches and stores the discovery.
#[derive(Debug)]
pub(crate) struct DiscoveryCache {
    cloud_url: Address,
    cloud: Cloud,
    vault: Vault,
    notify: Notify,
    clock: Clock,
    current: Mutex<Option<Arc<CloudDiscovery>>>,
}

impl DiscoveryCache {
    pub(crate) fn new(cloud_url: Address, cloud: Cloud, vault: Vault, notify: Notify, clock: Clock) -> Self {
        Self { cloud_url, cloud, vault, notify, clock, current: Mutex::new(None) }
    }

    pub(crate) fn cloud_url(&self) -> &Address {
        &self.cloud_url
    }

    /// Returns the stored discovery answer, of whatever age, without a request.
    pub(crate) fn known(&self) -> Result<Option<Arc<CloudDiscovery>>, Error> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.is_none() {
            *current = self.stored()?.map(|entry| Arc::new(CloudDiscovery::new(entry)));
        }
        Ok(current.clone())
    }

    /// Returns a discovery answer that is not older than an hour; or an older one, while the cloud is unavailable.
    pub(crate) fn current(&self, effort: Effort) -> Result<Arc<CloudDiscovery>, Error> {
        let now = self.clock.now();
        match self.known()? {
            Some(known) if known.is_fresh(now) => {
                let age = now.duration_since(known.entry.fetched_at);
                self.cloud.tracer.remembered("where the functions are, and their keys", age);
                Ok(known)
            }
            known => match (self.fetch(effort), known) {
                (Err(error), Some(known)) if error.is_unavailable() => Ok(known),
                (fetched, _) => fetched,
            },
        }
    }

    /// Returns the stored discovery answer, of whatever age; fetches one only if there is none. For calls that must not wait for two
    /// others first, and whose functions were there a moment ago.
    pub(crate) fn at_hand(&self) -> Result<Arc<CloudDiscovery>, Error> {
        self.known()?.map_or_else(|| self.fetch(Effort::Once), Ok)
    }

    /// Checks a token that was signed just now. A key that is not known may be new, so the keys are fetched once more.
    pub(crate) fn check<C>(&self, check: impl Fn(&CloudDiscovery) -> Result<C, TokenError>) -> Result<C, Error> {
        match check(&*self.current(Effort::Once)?) {
            Err(TokenError::UnknownKey { .. }) => check(&*self.fetch(Effort::Once)?),
            other => other,
        }
        .map_err(Error::Untrusted)
    }

    /// Fetches the discovery answer again, and checks that it can be used.
    pub(crate) fn refresh(&self) -> Result<Arc<CloudDiscovery>, Error> {
        let discovery = self.fetch(Effort::Few)?;
        let refuse = |cause: &str| Error::outage(&self.cloud_url, cause, Fault::Foreign);
        if discovery.issuer().trim().is_empty() {
            return Err(refuse("it does not say who signs"));
        }
        if discovery.keys.is_empty() {
            return Err(refuse("it has no key that signatures can be checked with"));
        }
        discovery.endpoint("validate", "")?;
        for url in discovery.functions().values() {
            url.parse::<Address>()?;
        }
        Ok(discovery)
    }

    fn fetch(&self, effort: Effort) -> Result<Arc<CloudDiscovery>, Error> {
        let discovery: Discovery = self.cloud.get(&self.cloud_url.join("/.well-known/coditect.json"), effort)?;
        let jwks: Jwks = self.cloud.get(&discovery.jwks_uri.parse()?, effort)?;
        let entry = Entry { cloud_url: self.cloud_url.to_string(), fetched_at: self.clock.now(), discovery, jwks };
        if let Err(error) = self.vault.seal_json(FILE, &entry) {
            self.notify.send(&Notice::NotStored(error));
        }
        let discovery = Arc::new(CloudDiscovery::new(entry));
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(discovery.clone());
        Ok(discovery)
    }

    /// Reads the stored discovery. One of another cloud is not used, nor one that cannot be opened: the next call fetches one.
    fn stored(&self) -> Result<Option<Entry>, Error> {
        Ok(self.vault.open_json::<Entry>(FILE)?.filter(|entry| entry.cloud_url == self.cloud_url.as_str()))
    }
}

/// Returns the time at which a token was signed.
pub(crate) fn signed_at(iat: i64) -> Result<Timestamp, TokenError> {
    Timestamp::from_second(iat).map_err(|_| TokenError::Malformed)
}
