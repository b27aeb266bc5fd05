//! Two issuers with keys of their own, and a clock that stands still.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use protocol::id::{HardwareId, LicenseId, SessionId, TenantId};
use protocol::token::{self, AccessClaims, KeySet, LicenseClaims, ValidationClaims};
use protocol::wire::{Feature, Quotas, Tier};
use rsa::pkcs1v15::SigningKey;
use rsa::pkcs8::{EncodePublicKey, LineEnding};
use rsa::sha2::Sha256;
use rsa::signature::{SignatureEncoding, Signer as _};
use rsa::{RsaPrivateKey, rand_core};
use serde::Serialize;

pub(crate) const ISSUER: &str = "https://cloud.test";
pub(crate) const KID: &str = "ours-1";
pub(crate) const NOW: i64 = 1_800_000_000;

pub(crate) struct Signer {
    pub(crate) private: RsaPrivateKey,
    pub(crate) public_pem: String,
}

pub(crate) static OURS: LazyLock<Signer> = LazyLock::new(Signer::new);
pub(crate) static FOREIGN: LazyLock<Signer> = LazyLock::new(Signer::new);

impl Signer {
    fn new() -> Self {
        // Fails when another test was first, which installed the same.
        let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
        let private = RsaPrivateKey::new(&mut rand_core::OsRng, 2048).unwrap();
        let public_pem = private.to_public_key().to_public_key_pem(LineEnding::LF).unwrap();
        Self { private, public_pem }
    }

    pub(crate) fn sign(&self, kid: &str, claims: &impl Serialize) -> String {
        self.sign_text(&token::signing_input(kid, claims))
    }

    pub(crate) fn sign_with_header(&self, header: &str, claims: &impl Serialize) -> String {
        self.sign_text(&unsigned(header, &serde_json::to_string(claims).unwrap()))
    }

    pub(crate) fn sign_text(&self, text: &str) -> String {
        let signature = SigningKey::<Sha256>::new(self.private.clone()).sign(text.as_bytes());
        token::assemble(text, &signature.to_bytes())
    }
}

pub(crate) fn unsigned(header: &str, claims: &str) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
}

pub(crate) fn keys() -> KeySet {
    let mut keys = KeySet::new();
    keys.insert_pem(KID, &OURS.public_pem).unwrap();
    keys
}

pub(crate) fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

pub(crate) fn device() -> HardwareId {
    HardwareId::of(b"this machine")
}

pub(crate) fn license_claims() -> LicenseClaims {
    LicenseClaims {
        iss: ISSUER.to_owned(),
        sub: "ada".to_owned(),
        aud: token::LICENSE_AUDIENCE.to_owned(),
        iat: NOW,
        nbf: NOW,
        exp: NOW + 86_400,
        jti: "j-1".to_owned(),
        typ: token::LICENSE_TYPE.to_owned(),
        tenant_id: TenantId::new(),
        license_id: LicenseId::new(),
        session_id: SessionId::new(),
        hardware_id: device(),
        tier: Tier::Team,
        features: vec![Feature::AllAgents, Feature::CloudSync],
        quotas: Quotas::with_commands_per_day(-1),
    }
}

pub(crate) fn validation_claims() -> ValidationClaims {
    ValidationClaims {
        iss: ISSUER.to_owned(),
        sub: LicenseId::new(),
        aud: token::LICENSE_AUDIENCE.to_owned(),
        iat: NOW,
        exp: NOW + 7 * 86_400,
        typ: token::VALIDATION_TYPE.to_owned(),
        tenant_id: TenantId::new(),
        tier: Tier::Pro,
        features: vec![Feature::Hooks],
        quotas: Quotas::with_commands_per_day(10),
        machine_id: device(),
        refresh_after: NOW + 86_400,
    }
}

pub(crate) fn access_claims() -> AccessClaims {
    AccessClaims {
        iss: ISSUER.to_owned(),
        sub: "ada".to_owned(),
        aud: token::ACCESS_AUDIENCE.to_owned(),
        iat: NOW,
        exp: NOW + 3_600,
        tenant_id: TenantId::new(),
        license_id: LicenseId::new(),
        tier: Tier::Business,
        scope: "license context".to_owned(),
    }
}
