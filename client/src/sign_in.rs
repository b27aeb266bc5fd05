//! Signing in with an identity provider (OpenID Connect): by authorization code with PKCE in a browser on this machine, or
//! by a code that is entered in a browser elsewhere (device authorization grant).
//!
//! The ID token is the bearer token of requests to the cloud. It lives for about an hour; the refresh token that came with
//! it gets the next one, and is replaced each time (rotation). A signed-in user takes seats under their own name, whether a
//! license key is stored or not.

mod browser;
mod device;
mod id_token;
mod loopback;
mod provider;
mod session;

pub use browser::BrowserSignIn;
pub use device::DeviceSignIn;
pub use session::{Revocation, SignedIn, SignedOut};

pub(crate) use session::{FILE, bearer, is_signed_in, learn_tenant, lock, sign_out, who};

use std::sync::Arc;

use crate::cloud::Effort;
use crate::core::Core;
use crate::{Config, Error, SignInError, Sso};
use provider::Provider;

/// Begins to sign in with a browser on this machine.
pub(crate) fn begin(core: &Arc<Core>, sso: Option<&Sso>) -> Result<BrowserSignIn, Error> {
    let (provider, sso) = provider(core, sso)?;
    BrowserSignIn::begin(core.clone(), provider, sso)
}

/// Begins to sign in with a browser elsewhere.
pub(crate) fn begin_on_device(core: &Arc<Core>, sso: Option<&Sso>) -> Result<DeviceSignIn, Error> {
    let (provider, sso) = provider(core, sso)?;
    DeviceSignIn::begin(core.clone(), provider, sso)
}

/// Returns the provider, and its [`Sso`] if it is not the cloud's.
fn provider(core: &Core, asked: Option<&Sso>) -> Result<(Provider, Option<Sso>), Error> {
    let remembered = Config::in_home(core.home.clone()).sso()?;
    let sso = match (asked, remembered) {
        // A provider that is given by its issuer alone keeps its previous client id.
        (Some(asked), Some(last)) if asked.client_id.is_none() && asked.issuer == last.issuer => Some(last),
        (Some(asked), _) => Some(asked.clone()),
        (None, last) => last,
    };
    let oidc = || Ok::<_, Error>(core.discovery.current(Effort::Few)?.oidc().cloned());
    let (issuer, client_id) = match &sso {
        Some(Sso { issuer, client_id: Some(client_id) }) => (issuer.clone(), client_id.clone()),
        Some(Sso { issuer, client_id: None }) => (issuer.clone(), oidc()?.ok_or(SignInError::NoClientId)?.client_id),
        None => {
            let oidc = oidc()?.ok_or(SignInError::NotOffered)?;
            (oidc.issuer, oidc.client_id)
        }
    };
    Ok((Provider::find(&core.cloud, &issuer, client_id)?, sso))
}
