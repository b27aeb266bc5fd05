//! Signing within a function: the key is published before anything it signed is given away.

use std::sync::Arc;
use std::time::Instant;

use common::keys::Keys;
use common::{Db, LogEvent, Problem, Setup, span};
use serde::Serialize;
use tokio::sync::OnceCell;
use tracing::Instrument as _;

use crate::{PublicKey, Signer, SigningError};

/// Signs tokens, and makes sure that those who verify them can know the key.
#[derive(Debug, Clone)]
pub struct TokenSigner {
    signer: Signer,
    keys: Keys,
    published: Arc<OnceCell<()>>,
}

impl TokenSigner {
    /// Asks for the signing key, and for the database where its public half is published.
    pub fn from_setup(setup: &mut Setup) -> Option<Self> {
        let (signer, db) = (Signer::from_setup(setup), Db::from_setup(setup));
        let this = Self { signer: signer?, keys: Keys::new(db?), published: Arc::default() };
        setup.at_start({
            let this = this.clone();
            // A failure here is not the end: the first signature tries again.
            async move { drop(this.public_key().await) }
        });
        setup.ready_when("signing", {
            let this = this.clone();
            move || {
                let this = this.clone();
                async move { this.check().await }
            }
        });
        Some(this)
    }

    /// The public half of the key that signs, published.
    ///
    /// # Errors
    /// `503` when the key or the database can't be reached, or the key is disabled.
    pub async fn public_key(&self) -> Result<PublicKey, Problem> {
        let key = self.signer.public_key().await.map_err(problem)?;
        self.published.get_or_try_init(|| self.keys.publish(&key.kid, &key.pem)).await?;
        Ok(key)
    }

    /// Signs claims as a token.
    ///
    /// # Errors
    /// `503` when the key can't be reached or is disabled, `500` when it is not what it should be.
    pub async fn sign(&self, claims: &impl Serialize) -> Result<String, Problem> {
        if !self.published.initialized() {
            self.public_key().await?;
        }
        let (started, keeper) = (Instant::now(), self.signer.keeper());
        let signed = self.signer.sign_token(claims).instrument(span!("signature", otel.kind = "client", keeper)).await;
        let outcome = if signed.is_ok() { "made" } else { "failed" };
        LogEvent::Signed { keeper, outcome, seconds: started.elapsed().as_secs_f64() }.emit();
        signed.map_err(problem)
    }

    async fn check(&self) -> Result<(), String> {
        self.public_key().await.map(drop).map_err(|p| p.internal().unwrap_or_default().to_owned())
    }
}

fn problem(error: SigningError) -> Problem {
    match error {
        SigningError::Unavailable(_) | SigningError::Disabled(_) => Problem::unavailable("signing", error),
        _ => Problem::internal_error(format_args!("signing: {error}")),
    }
}
