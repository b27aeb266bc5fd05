//! Calls of the cloud on behalf of the tenant whose context is kept here.

use protocol::id::{RecordId, TenantId};
use protocol::problem::Code;
use protocol::wire::{HistoryPage, Kind};
use serde::de::DeserializeOwned;

use super::Context;
use crate::cloud::Effort;
use crate::{Address, ContextError, Error, SignInError, access, seat};

/// Purpose of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// To see something.
    Look,
    /// To send or fetch records: from then on this is the tenant's context.
    Exchange,
}

impl Context {
    /// Asks the cloud about its records, which does not bind this context to a tenant.
    pub(super) fn ask<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<T, Error> {
        self.get(path, query, Purpose::Look)
    }

    /// Fetches something from the cloud that is kept here.
    pub(super) fn fetch<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<T, Error> {
        self.get(path, query, Purpose::Exchange)
    }

    fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)], purpose: Purpose) -> Result<T, Error> {
        let question: Vec<String> = query.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let path = if query.is_empty() { path.to_owned() } else { format!("{path}?{}", question.join("&")) };
        let cloud = &self.core.cloud;
        self.authorized("sync-pull", &path, purpose, |to, bearer| cloud.get_page(to, bearer, Effort::Few))
    }

    /// Sends something to the cloud.
    pub(super) fn tell<T: DeserializeOwned>(&self, path: &str, json: &[u8]) -> Result<T, Error> {
        let cloud = &self.core.cloud;
        self.authorized("sync-push", path, Purpose::Exchange, |to, bearer| {
            cloud.post_packed(to, bearer, json, Effort::Few)
        })
    }

    pub(super) fn ask_history(
        &self,
        kind: Kind,
        id: &RecordId,
        limit: u16,
        cursor: Option<&str>,
    ) -> Result<HistoryPage, Error> {
        let limit = limit.to_string();
        let mut query = vec![("kind", kind.as_str()), ("id", id.as_str()), ("limit", &limit)];
        query.extend(cursor.map(|cursor| ("cursor", cursor)));
        let mut page: HistoryPage = self.ask("/api/v1/context/history", &query)?;
        for entry in &mut page.data {
            self.open_history(kind, id, entry)?;
        }
        Ok(page)
    }

    /// Calls with an access token; once more with a new one, if the cloud does not accept the one at hand.
    fn authorized<T>(
        &self,
        function: &str,
        path: &str,
        purpose: Purpose,
        call: impl Fn(&Address, (&str, TenantId)) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let attempt = || {
            let (bearer, tenant) = self.bearer(purpose)?;
            let to = self.core.discovery.current(Effort::Few)?.endpoint(function, path)?;
            call(&to, (&bearer, tenant))
        };
        match attempt() {
            Err(Error::Refused(refusal)) if refusal.problem.known_code() == Some(Code::InvalidToken) => {
                self.core.tokens.forget();
                attempt()
            }
            other => other,
        }
    }

    /// Returns an access token, and the tenant whose context this is: the first one that it is synced with. Another tenant
    /// must never receive records that belong to this one.
    fn bearer(&self, purpose: Purpose) -> Result<(String, TenantId), Error> {
        let credential = access::credential(&self.core)?;
        let token = || access::token(&self.core, &credential, Effort::Few);
        let mut bearer = token()?;
        if bearer.tenant.is_none() {
            // A seat names its tenant.
            seat::acquire(&self.core)?.release()?;
            bearer = token()?;
        }
        let tenant = bearer.tenant.ok_or(SignInError::NoTenant)?;
        let mut known = self.store.progress()?.tenant;
        if known.is_none() && purpose == Purpose::Exchange {
            // Unless another process was first.
            self.store.set_progress(|progress| known = Some(*progress.tenant.get_or_insert(tenant)))?;
        }
        if known.is_some_and(|known| known != tenant) {
            return Err(ContextError::OtherTenant.into());
        }
        Ok((bearer.token, tenant))
    }
}

/// Percent-encodes a value for a query.
fn encoded(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    let one = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    value.bytes().map(one).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_value_stays_in_its_place() {
        assert_eq!(super::encoded("a-Z_0.~ &=?#/ü"), "a-Z_0.~%20%26%3D%3F%23%2F%C3%BC");
    }
}
