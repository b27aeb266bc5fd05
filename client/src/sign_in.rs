//! Signing in with an identity provider (OpenID Connect): by authorization code with PKCE in a browser on this machine, or by
//! a code that is entered in a browser elsewhere.
//!
//! The ID token is what the cloud is asked with. It lives for about an hour; the refresh token that came with it makes the
//! next one, and is replaced each time. Whoever is signed in takes seats as himself, whether there is a license key or not.

mod browser;
mod device;
mod error;
mod id_token;
mod loopback;
mod provider;
mod session;

pub use browser::BrowserSignIn;
pub use device::DeviceSignIn;
pub use error::SignInError;
pub use session::{Revocation, SignedIn, SignedOut};

pub(crate) use session::{FILE, bearer, is_signed_in, learn_tenant, who};

use serde::{Deserialize, Serialize};

use crate::cloud::Effort;
use crate::{Address, Config, Error, LicenseClient};
use provider::Provider;

/// An organization's own identity provider, in place of the one that the cloud names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Sso {
    /// Its issuer URL.
    pub issuer: String,
    /// What this program is to it; what it is to the cloud's own provider, where none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
}

impl LicenseClient {
    /// Begins to sign in with a browser on this machine: open [`BrowserSignIn::url`], then wait in
    /// [`BrowserSignIn::finish`].
    ///
    /// The provider is the one given here, else the one of the last such sign-in, else the cloud's.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), coditect::Error> {
    /// # let client = coditect::LicenseClient::builder().build()?;
    /// let sign_in = client.begin_sign_in(None)?;
    /// println!("Open {}", sign_in.url());
    /// println!("Signed in as {}", sign_in.finish(std::time::Duration::from_secs(300))?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::SignIn`] when there is no provider, or it cannot be used; [`Error::Unavailable`] when the cloud cannot be
    /// asked for one.
    pub fn begin_sign_in(&self, sso: Option<&Sso>) -> Result<BrowserSignIn, Error> {
        let (provider, sso) = self.provider(sso)?;
        BrowserSignIn::begin(self.clone(), provider, sso)
    }

    /// Begins to sign in with a browser elsewhere, for machines that have none.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), coditect::Error> {
    /// # let client = coditect::LicenseClient::builder().build()?;
    /// let sign_in = client.begin_device_sign_in(None)?;
    /// println!("Open {} and enter {}", sign_in.url(), sign_in.code());
    /// println!("Signed in as {}", sign_in.finish()?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`begin_sign_in`](Self::begin_sign_in), and when the provider has no such sign-in.
    pub fn begin_device_sign_in(&self, sso: Option<&Sso>) -> Result<DeviceSignIn, Error> {
        let (provider, sso) = self.provider(sso)?;
        DeviceSignIn::begin(self.clone(), provider, sso)
    }

    /// Who is signed in, without asking anybody.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), coditect::Error> {
    /// # let client = coditect::LicenseClient::builder().build()?;
    /// if let Some(who) = client.signed_in()? {
    ///     println!("{who}, of {}", who.issuer);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When what is kept cannot be opened.
    pub fn signed_in(&self) -> Result<Option<SignedIn>, Error> {
        who(&self.inner)
    }

    /// Whether somebody is signed in. Nothing is opened for it.
    ///
    /// # Errors
    /// When others can read what is kept.
    pub fn is_signed_in(&self) -> Result<bool, Error> {
        is_signed_in(&self.inner)
    }

    /// Forgets who was signed in, and asks the provider to revoke what it gave. Its answer is not waited for in vain: what is
    /// kept here is gone in any case.
    ///
    /// # Errors
    /// When the files cannot be removed.
    pub fn sign_out(&self) -> Result<SignedOut, Error> {
        session::sign_out(&self.inner)
    }

    /// The provider, and whether it is another than the cloud's.
    fn provider(&self, asked: Option<&Sso>) -> Result<(Provider, Option<Sso>), Error> {
        let remembered = Config::in_home(self.inner.home.clone()).sso()?;
        let sso = match (asked, remembered) {
            // Asked for by its address alone, it has the client id that it had.
            (Some(asked), Some(last)) if asked.client_id.is_none() && asked.issuer == last.issuer => Some(last),
            (Some(asked), _) => Some(asked.clone()),
            (None, last) => last,
        };
        let (issuer, client_id) = match &sso {
            Some(Sso { issuer, client_id: Some(client_id) }) => (issuer.clone(), client_id.clone()),
            Some(Sso { issuer, client_id: None }) => {
                let oidc = self.oidc()?.ok_or(SignInError::NoClientId)?;
                (issuer.clone(), oidc.client_id)
            }
            None => {
                let oidc = self.oidc()?.ok_or(SignInError::NotOffered)?;
                (oidc.issuer, oidc.client_id)
            }
        };
        Ok((Provider::find(&self.inner.cloud, &issuer, client_id)?, sso))
    }

    fn oidc(&self) -> Result<Option<protocol::wire::Oidc>, Error> {
        let directory = self.inner.directories.current(self.inner.time.wall(), Effort::Few)?;
        Ok(directory.oidc().cloned())
    }
}

/// An address that the provider named: with what [`Address`] demands, but it may have a query or end with a slash.
fn endpoint(text: &str) -> Result<Address, Error> {
    let base = text.find('?').map_or(text, |query| &text[..query]);
    let base = base.trim_end_matches('/');
    Ok(base.parse::<Address>()?.join(&text[base.len()..]))
}
