//! A signing key in a PEM file: development and on-premise.

use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::KeyPair as _;
use aws_lc_rs::{rand::SystemRandom, signature::RSA_PKCS1_SHA256};
use pem::{EncodeConfig, LineEnding, Pem};
use tokio::sync::Semaphore;

use crate::error::SigningError;
use crate::public_key::{MODULUS_BYTES, PublicKey};

/// A key in memory.
#[derive(Debug)]
pub(crate) struct PemKey {
    pair: Arc<KeyPair>,
    public: PublicKey,
    /// A signature is over a millisecond of a core; more of them at once than cores only take turns.
    cores: Semaphore,
}

impl PemKey {
    /// Reads a key: PKCS#8 (`PRIVATE KEY`) or PKCS#1 (`RSA PRIVATE KEY`).
    pub(crate) fn read(path: &Path) -> Result<Self, SigningError> {
        let unusable = |why: String| SigningError::Unusable(format!("{}: {why}", path.display()));
        let text = std::fs::read(path).map_err(|e| unusable(e.to_string()))?;
        let pem = pem::parse(text).map_err(|_| unusable("is not a PEM file".to_owned()))?;
        let pair = match pem.tag() {
            "PRIVATE KEY" => KeyPair::from_pkcs8(pem.contents()),
            "RSA PRIVATE KEY" => KeyPair::from_der(pem.contents()),
            other => return Err(unusable(format!("holds a {other}; a private RSA key is needed"))),
        }
        .map_err(|e| unusable(format!("holds no RSA key that can sign ({e})")))?;
        if pair.public_modulus_len() != MODULUS_BYTES {
            return Err(unusable(format!("has {} bits; RSA-4096 is needed", pair.public_modulus_len() * 8)));
        }
        let der = pair.public_key().as_der().map_err(|_| unusable("has no public half".to_owned()))?;
        let spki = pem::encode_config(
            &Pem::new("PUBLIC KEY", der.as_ref()),
            EncodeConfig::new().set_line_ending(LineEnding::LF),
        );
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self { pair: Arc::new(pair), public: PublicKey::from_pem(&spki)?, cores: Semaphore::new(cores) })
    }

    pub(crate) fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs on a thread for blocking work, so that requests that need no signature don't wait for those that do.
    pub(crate) async fn sign(&self, message: Vec<u8>) -> Result<Vec<u8>, SigningError> {
        let _turn = self.cores.acquire().await.map_err(|e| SigningError::Unavailable(e.to_string()))?;
        let pair = Arc::clone(&self.pair);
        let signed = tokio::task::spawn_blocking(move || {
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), &message, &mut signature).map(|()| signature)
        });
        let signed = signed.await.map_err(|e| SigningError::Unavailable(e.to_string()))?;
        signed.map_err(|_| SigningError::Unusable("signing failed".to_owned()))
    }
}
