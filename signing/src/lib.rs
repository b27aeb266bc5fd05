//! Signatures on tokens: RS256 with an RSA-4096 key, in Cloud KMS or in a PEM file.
//!
//! - [`SigningKeySpec`]: where the key is.
//! - [`Signer`]: signs, and shows the public half.
//! - [`TokenSigner`]: the same within a function, with the key published to those who verify.
//!
//! A key's id is its RFC 7638 thumbprint, wherever it is kept.

mod error;
mod kms;
mod pem_file;
mod public_key;
mod public_key_cache;
mod signer;
mod spec;
mod token_signer;

pub use error::SigningError;
pub use public_key::PublicKey;
pub use signer::Signer;
pub use spec::SigningKeySpec;
pub use token_signer::TokenSigner;
