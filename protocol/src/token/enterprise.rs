//! Enterprise license files, which limit the users of an on-premises installation, and its time.
//!
//! It is a token of the vendor's (JWT, RS256), in lines of 64 characters between two lines that say what it is. Its audience
//! and its type are its own, so that no token of a user's passes for it, nor it for one.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::verify::Expected;
use super::{KeySet, MAX_TOKEN_LEN, TokenError};
use crate::id::{LicenseId, TenantId};
use crate::wire::Tier;

/// The `iss` of enterprise licenses.
pub const ENTERPRISE_ISSUER: &str = "coditect";

/// The `aud` of enterprise licenses: installations.
pub const ENTERPRISE_AUDIENCE: &str = "coditect-on-premise";

/// The `typ` of enterprise licenses.
pub const ENTERPRISE_TYPE: &str = "enterprise-license";

/// The `exp` of a perpetual license, in seconds since 1970: 9999-12-31.
pub const PERPETUAL: i64 = 253_402_214_400;

const BEGIN: &str = "-----BEGIN CODITECT ENTERPRISE LICENSE-----";
const END: &str = "-----END CODITECT ENTERPRISE LICENSE-----";
const LINE: usize = 64;
/// The longest company name in a license's short name.
const COMPANY_LEN: usize = 24;

/// Claims of an enterprise license.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnterpriseClaims {
    /// [`ENTERPRISE_ISSUER`]
    pub iss: String,
    /// The license, at the vendor.
    pub sub: LicenseId,
    /// [`ENTERPRISE_AUDIENCE`]
    pub aud: String,
    /// [`ENTERPRISE_TYPE`]
    pub typ: String,
    /// When it was signed.
    pub iat: i64,
    /// When it ends; [`PERPETUAL`] if never.
    pub exp: i64,
    /// The file's own name.
    pub jti: String,
    /// The customer, at the vendor.
    pub tenant_id: TenantId,
    /// The customer's name.
    pub customer: String,
    /// [`Tier::Enterprise`]
    pub tier: Tier,
    /// Number of people who may work at the same time, over all of the installation's licenses.
    pub users: u32,
}

impl EnterpriseClaims {
    /// Returns when it ends; `None` if never.
    pub fn ends(&self) -> Option<Timestamp> {
        (self.exp < PERPETUAL).then(|| Timestamp::from_second(self.exp).unwrap_or(Timestamp::MIN))
    }

    /// Returns the short name of a file with these claims: `CODITECT-ENT-{COMPANY}-{USERS}-{EXPIRY}-{SIG}`, where SIG is the
    /// first 16 hex digits of the SHA-256 of the signature. It serves to talk about a file, and grants nothing.
    pub fn short_name(&self, signature: &[u8]) -> String {
        let company = self.customer.chars().filter(char::is_ascii_alphanumeric).take(COMPANY_LEN);
        let company: String = company.map(|c| c.to_ascii_uppercase()).collect();
        let company = if company.is_empty() { "CUSTOMER" } else { &company };
        let expiry = self.ends().map_or_else(|| "99991231".to_owned(), |end| end.strftime("%Y%m%d").to_string());
        let sig = hex::encode_upper(&Sha256::digest(signature)[..8]);
        format!("CODITECT-ENT-{company}-{}-{expiry}-{sig}", self.users)
    }
}

/// A verified license file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnterpriseLicense {
    /// Its claims.
    pub claims: EnterpriseClaims,
    /// Its [short name](EnterpriseClaims::short_name).
    pub short_name: String,
}

/// Returns the text of the file of a signed license.
pub fn armour(token: &str) -> String {
    let lines = token.as_bytes().chunks(LINE).map(String::from_utf8_lossy);
    let mut text = format!("{BEGIN}\n");
    for line in lines {
        text.push_str(&line);
        text.push('\n');
    }
    text + END + "\n"
}

/// Reads a license file and checks all of it, offline.
pub fn read_enterprise_license(
    file: &str,
    keys: &KeySet,
    now: Timestamp,
) -> Result<EnterpriseLicense, LicenseFileError> {
    let body = file.split_once(BEGIN).and_then(|(_, rest)| rest.split_once(END)).ok_or(LicenseFileError::NotOne)?.0;
    if body.len() > 2 * MAX_TOKEN_LEN {
        return Err(LicenseFileError::NotOne);
    }
    let token: String = body.split_whitespace().collect();
    let (claims, signature) = verify_enterprise(&token, keys, now).map_err(LicenseFileError::Token)?;
    if claims.tier != Tier::Enterprise || claims.users == 0 {
        return Err(LicenseFileError::Token(TokenError::Type));
    }
    let short_name = claims.short_name(&signature);
    Ok(EnterpriseLicense { claims, short_name })
}

/// Checks the token of an enterprise license, and returns its claims with its signature.
fn verify_enterprise(token: &str, keys: &KeySet, now: Timestamp) -> Result<(EnterpriseClaims, Vec<u8>), TokenError> {
    let expected = Expected { issuer: ENTERPRISE_ISSUER, audience: ENTERPRISE_AUDIENCE, typ: Some(ENTERPRISE_TYPE) };
    let claims = expected.verify(token, keys, now)?;
    let signature = token.rsplit_once('.').and_then(|(_, signature)| URL_SAFE_NO_PAD.decode(signature).ok());
    Ok((claims, signature.ok_or(TokenError::Malformed)?))
}

/// Why a license file is refused. The sentences are for the operator of the installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LicenseFileError {
    /// Not a license file, or a part of one.
    NotOne,
    /// Its token is not valid.
    Token(TokenError),
}

impl fmt::Display for LicenseFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotOne | Self::Token(TokenError::Malformed) => {
                "is not a whole enterprise license file; copy it again, from the line with BEGIN to the one with END"
            }
            Self::Token(TokenError::UnknownKey { .. }) => {
                "is signed by a key that is not the vendor's, as far as this release knows; use the file as the vendor sent it, \
                 or a current release"
            }
            Self::Token(TokenError::Signature | TokenError::Algorithm) => {
                "does not bear the vendor's signature: it was changed or forged; use the file as the vendor sent it"
            }
            Self::Token(TokenError::Expired) => "has ended; ask the vendor for the next one",
            Self::Token(TokenError::NotYetValid) => "is from the future; set this machine's clock right",
            Self::Token(TokenError::Issuer | TokenError::Audience | TokenError::Type | TokenError::Device) => {
                "is signed, but for something else than an installation; use the enterprise license file that the vendor sent"
            }
        })
    }
}

impl std::error::Error for LicenseFileError {}
