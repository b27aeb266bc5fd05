//! Signing in with an identity provider (OpenID Connect): by authorization code with PKCE in a browser on this machine, or
//! by a code that is entered in a browser elsewhere (device authorization grant).
//!
//! The ID token is the bearer token of requests to the cloud. It lives for about an hour; the refresh token that came with
//! it gets the next one, and is replaced each time (rotation). A signed-in user takes seats under their own name, whether a
//! license key is stored or not.

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
    /// This program's client id at the provider; that at the cloud's own provider, if none is given.
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
    /// Those of [`begin_sign_in`](Self::begin_sign_in), and an error when the provider has no such sign-in.
    pub fn begin_device_sign_in(&self, sso: Option<&Sso>) -> Result<DeviceSignIn, Error> {
        let (provider, sso) = self.provider(sso)?;
        DeviceSignIn::begin(self.clone(), provider, sso)
    }

    /// Returns the signed-in user, without a network request.
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
    /// When the stored sign-in cannot be opened.
    pub fn signed_in(&self) -> Result<Option<SignedIn>, Error> {
        who(&self.inner)
    }

    /// Returns true if a user is signed in, without opening the stored sign-in.
    ///
    /// # Errors
    /// When other users can read the stored sign-in.
    pub fn is_signed_in(&self) -> Result<bool, Error> {
        is_signed_in(&self.inner)
    }

    /// Signs the user out, and asks the provider to revoke the refresh token. The stored sign-in is deleted whatever the
    /// provider answers.
    ///
    /// # Errors
    /// When the files cannot be removed.
    pub fn sign_out(&self) -> Result<SignedOut, Error> {
        session::sign_out(&self.inner)
    }

    /// Returns the provider, and its [`Sso`] if it is not the cloud's.
    fn provider(&self, asked: Option<&Sso>) -> Result<(Provider, Option<Sso>), Error> {
        let remembered = Config::in_home(self.inner.home.clone()).sso()?;
        let sso = match (asked, remembered) {
            // A provider that is given by its issuer alone keeps its previous client id.
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

/// Parses an address that the provider named: it must meet the demands of [`Address`], but may have a query or end with a
/// slash.
fn endpoint(text: &str) -> Result<Address, Error> {
    let base = text.find('?').map_or(text, |query| &text[..query]);
    let base = base.trim_end_matches('/');
    Ok(base.parse::<Address>()?.join(&text[base.len()..]))
}
