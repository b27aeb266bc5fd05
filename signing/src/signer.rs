//! Signing of tokens, with one interface for all keepers of the key.

use std::sync::Arc;

use common::{Setup, config};
use protocol::token::{assemble, signing_input};
use serde::Serialize;

use crate::error::SigningError;
use crate::kms::{KmsKey, bounded};
use crate::pem_file::PemKey;
use crate::public_key::PublicKey;
use crate::spec::SigningKeySpec;

/// Signs tokens; clones share the key.
#[derive(Debug, Clone)]
pub struct Signer(Arc<Keeper>);

#[derive(Debug)]
enum Keeper {
    Kms(KmsKey),
    Pem(PemKey),
}

impl Signer {
    /// Makes the signer for the configured key; `None` where the configuration has mistakes.
    pub fn from_setup(setup: &mut Setup) -> Option<Self> {
        let spec = setup.required(&config::SIGNING_KEY, SigningKeySpec::parse);
        let endpoint = setup.optional(&config::KMS_ENDPOINT, config::url);
        let (spec, endpoint) = (spec?, endpoint?);
        setup.required(&config::SIGNING_KEY, |_| Self::connect(spec, endpoint).map_err(|e| e.to_string()))
    }

    /// Makes a signer for a key. A file is read at once; KMS is called when it is first needed.
    ///
    /// # Errors
    /// When the file holds no RSA-4096 key, or the endpoint is not one that keys may be used at.
    pub fn connect(spec: SigningKeySpec, kms_endpoint: Option<String>) -> Result<Self, SigningError> {
        let keeper = match spec {
            SigningKeySpec::Kms(name) => Keeper::Kms(KmsKey::new(name, kms_endpoint)?),
            SigningKeySpec::File(path) => Keeper::Pem(PemKey::read(&path)?),
        };
        Ok(Self(Arc::new(keeper)))
    }

    /// Returns the keeper of the key: `kms` or `file`.
    #[must_use]
    pub fn keeper(&self) -> &'static str {
        match &*self.0 {
            Keeper::Kms(_) => "kms",
            Keeper::Pem(_) => "file",
        }
    }

    /// Returns the public half of the key.
    ///
    /// # Errors
    /// When its keeper can't be reached, or the key is not RSA-4096.
    pub async fn public_key(&self) -> Result<PublicKey, SigningError> {
        match &*self.0 {
            Keeper::Kms(key) => key.public().await,
            Keeper::Pem(key) => Ok(key.public().clone()),
        }
    }

    /// Signs claims as a token (JWT, RS256).
    ///
    /// # Errors
    /// When the key's keeper can't be reached or refuses.
    pub async fn sign_token(&self, claims: &impl Serialize) -> Result<String, SigningError> {
        match &*self.0 {
            // Under one time limit, so that an unresponsive KMS costs it only once.
            Keeper::Kms(key) => {
                bounded(async {
                    let input = signing_input(&key.public().await?.kid, claims);
                    let signature = key.sign(input.as_bytes()).await?;
                    Ok(assemble(&input, &signature))
                })
                .await
            }
            Keeper::Pem(key) => {
                let input = signing_input(&key.public().kid, claims);
                let signature = key.sign(input.clone().into_bytes()).await?;
                Ok(assemble(&input, &signature))
            }
        }
    }
}
