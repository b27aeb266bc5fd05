//! An RSA public key, and the two ways in which it is written: PEM and JWK.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::DecodingKey;

use super::der::{self, BIT_STRING, SEQUENCE};
use super::error::KeyFault;
use super::jwk::Jwk;

const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const END: &str = "-----END PUBLIC KEY-----";

/// AlgorithmIdentifier { rsaEncryption (1.2.840.113549.1.1.1), NULL }, without its own tag and length.
const RSA_ENCRYPTION: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";

// Under 2048 a signature can be forged with enough money; over 8192 a check costs so much that it can be used as a weapon.
const MIN_BITS: usize = 2048;
const MAX_BITS: usize = 8192;
const MAX_EXPONENT_BYTES: usize = 4;

/// Longer texts than this are no PEM of a key of at most 8192 bits.
const MAX_PEM_LEN: usize = 4096;

/// Modulus and exponent, big-endian, without leading zeros.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PublicKey {
    modulus: Vec<u8>,
    exponent: Vec<u8>,
}

impl PublicKey {
    pub(super) fn from_pem(pem: &str) -> Result<Self, KeyFault> {
        if pem.len() > MAX_PEM_LEN {
            return Err(KeyFault::Pem);
        }
        let inside = pem.trim().strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END)).ok_or(KeyFault::Pem)?;
        let base64: String = inside.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        let info = STANDARD.decode(base64).map_err(|_| KeyFault::Pem)?;

        let key = subject_public_key(&info)?;
        let (modulus, exponent) = rsa_public_key(key).ok_or(KeyFault::Pem)?;
        Self::of(modulus, exponent)
    }

    pub(super) fn from_jwk(jwk: &Jwk) -> Result<Self, KeyFault> {
        if jwk.kty != "RSA" {
            return Err(KeyFault::NotRsa);
        }
        let read = |field: &Option<String>| URL_SAFE_NO_PAD.decode(field.as_deref()?).ok();
        let modulus = read(&jwk.n).ok_or(KeyFault::Jwk)?;
        let exponent = read(&jwk.e).ok_or(KeyFault::Jwk)?;
        Self::of(&modulus, &exponent)
    }

    pub(super) fn to_pem(&self) -> String {
        let key = [der::unsigned(&self.modulus), der::unsigned(&self.exponent)].concat();
        let bits = [&[0], &der::element(SEQUENCE, &key)[..]].concat();
        let info = [der::element(SEQUENCE, RSA_ENCRYPTION), der::element(BIT_STRING, &bits)].concat();
        let base64 = STANDARD.encode(der::element(SEQUENCE, &info));

        let mut pem = format!("{BEGIN}\n");
        for (place, character) in base64.chars().enumerate() {
            if place > 0 && place % 64 == 0 {
                pem.push('\n');
            }
            pem.push(character);
        }
        pem + "\n" + END + "\n"
    }

    pub(super) fn to_jwk(&self, kid: &str) -> Jwk {
        Jwk {
            kty: "RSA".to_owned(),
            kid: Some(kid.to_owned()),
            alg: Some("RS256".to_owned()),
            usage: Some("sig".to_owned()),
            n: Some(URL_SAFE_NO_PAD.encode(&self.modulus)),
            e: Some(URL_SAFE_NO_PAD.encode(&self.exponent)),
        }
    }

    pub(super) fn decoding_key(&self) -> DecodingKey {
        DecodingKey::from_rsa_raw_components(&self.modulus, &self.exponent)
    }

    fn of(modulus: &[u8], exponent: &[u8]) -> Result<Self, KeyFault> {
        let modulus = der::without_leading_zeros(modulus);
        let exponent = der::without_leading_zeros(exponent);
        let bits = modulus.len() * 8 - modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
        let odd = |number: &[u8]| number.last().is_some_and(|byte| byte & 1 == 1);
        let usable = (MIN_BITS..=MAX_BITS).contains(&bits)
            && odd(modulus)
            && odd(exponent)
            && exponent != [1]
            && exponent.len() <= MAX_EXPONENT_BYTES;
        if usable { Ok(Self { modulus: modulus.to_vec(), exponent: exponent.to_vec() }) } else { Err(KeyFault::Size) }
    }
}

/// SubjectPublicKeyInfo { AlgorithmIdentifier, BIT STRING } (RFC 5280)
fn subject_public_key(mut input: &[u8]) -> Result<&[u8], KeyFault> {
    let mut info = der::take(SEQUENCE, &mut input).ok_or(KeyFault::Pem)?;
    let algorithm = der::take(SEQUENCE, &mut info).ok_or(KeyFault::Pem)?;
    if algorithm != RSA_ENCRYPTION {
        return Err(KeyFault::NotRsa);
    }
    let bits = der::take(BIT_STRING, &mut info).ok_or(KeyFault::Pem)?;
    match bits {
        // The first byte says how many bits of the last one do not count.
        [0, key @ ..] if input.is_empty() && info.is_empty() => Ok(key),
        _ => Err(KeyFault::Pem),
    }
}

/// RSAPublicKey { modulus INTEGER, publicExponent INTEGER } (RFC 8017)
fn rsa_public_key(mut input: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut key = der::take(SEQUENCE, &mut input)?;
    let modulus = der::take_unsigned(&mut key)?;
    let exponent = der::take_unsigned(&mut key)?;
    (input.is_empty() && key.is_empty()).then_some((modulus, exponent))
}
