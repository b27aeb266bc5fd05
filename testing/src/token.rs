//! Tokens of any kind, made by the `openssl` command line: an implementation that is not ours.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::World;
use crate::world::{License, signing_key};

/// A token with a header and claims as given, signed RS256 with a private key.
#[must_use]
pub fn rs256(key: &Path, header: &Value, claims: &Value) -> String {
    sign(&["-sign", &key.display().to_string()], header, claims)
}

/// The same with HMAC-SHA256 and a secret.
#[must_use]
pub fn hs256(secret: &[u8], header: &Value, claims: &Value) -> String {
    sign(&["-mac", "HMAC", "-macopt", &format!("hexkey:{}", hex::encode(secret))], header, claims)
}

fn sign(how: &[&str], header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let input = format!("{}.{}", part(header), part(claims));
    let mut openssl = Command::new("openssl")
        .args(["dgst", "-sha256", "-binary"])
        .args(how)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("openssl is installed");
    openssl.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("openssl reads");
    let signature = openssl.wait_with_output().expect("openssl ends");
    assert!(signature.status.success(), "openssl made no signature");
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature.stdout))
}

impl World {
    /// Publishes the tests' signing key, as the functions that sign do, and answers its id.
    pub async fn key_id(&self) -> String {
        let signer = signing::TokenSigner::from_setup(&mut self.setup("coditect_all")).expect("the tests have a key");
        signer.public_key().await.expect("the key can be published").kid
    }

    /// The claims of an access token of a license, good for an hour.
    #[must_use]
    pub fn access_claims(&self, license: &License) -> Value {
        let now = jiff::Timestamp::now().as_second();
        json!({
            "iss": crate::world::ISSUER, "sub": license.id, "aud": "coditect-api", "iat": now, "exp": now + 3600,
            "tenant_id": license.tenant, "license_id": license.id, "tier": "TEAM", "scope": "licenses context",
        })
    }

    /// An access token of a license.
    pub async fn access_token(&self, license: &License) -> String {
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": self.key_id().await});
        rs256(&signing_key(), &header, &self.access_claims(license))
    }
}
