//! Export of a tenant's key to another device: wrapped under a passphrase, as text that survives a chat or a printout.
//!
//! ```text
//! -----BEGIN CODITECT TENANT KEY-----
//! key-id: 5b1f…
//!
//! base64 of: version, Argon2id's memory (KiB), passes and lanes, salt, nonce, the key under XChaCha20-Poly1305, checksum
//! -----END CODITECT TENANT KEY-----
//! ```
//!
//! The checksum distinguishes a damaged text from a wrong passphrase. It is no secret, and protects nothing.

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use local::random;
use sha2::{Digest, Sha256};

use crate::ExportFault;
use crate::sync::tenant_key::TenantKey;

const BEGIN: &str = "-----BEGIN CODITECT TENANT KEY-----";
const END: &str = "-----END CODITECT TENANT KEY-----";
const KEY_ID: &str = "key-id:";
const LINE_LEN: usize = 64;

const VERSION: u8 = 1;
const HEAD_LEN: usize = 1 + 3 * 4 + SALT_LEN + NONCE_LEN;
const SALT_LEN: usize = 16;
const NONCE_LEN: usize = 24;
const CHECKSUM_LEN: usize = 4;

/// Cost of a guess: 64 MiB and three passes, as RFC 9106 recommends where memory is not plenty; in one lane, not four, since
/// nothing here runs in parallel.
const MEMORY_KIB: u32 = 64 * 1024;
const PASSES: u32 = 3;
const LANES: u32 = 1;

/// Maximum costs that an export may ask for, so that a made-up one can't exhaust the machine.
const MAX_MEMORY_KIB: u32 = 1024 * 1024;
const MAX_PASSES: u32 = 16;
const MAX_LANES: u32 = 16;

/// Wraps a key under a passphrase.
pub(crate) fn write(key: &TenantKey, passphrase: &str) -> String {
    let mut bytes = vec![VERSION];
    for cost in [MEMORY_KIB, PASSES, LANES] {
        bytes.extend(cost.to_le_bytes());
    }
    let (salt, nonce): ([u8; SALT_LEN], [u8; NONCE_LEN]) = (random::bytes(), random::bytes());
    bytes.extend(salt);
    bytes.extend(nonce);
    let cipher = cipher(passphrase, &salt, [MEMORY_KIB, PASSES, LANES]).expect("our own costs are valid");
    let payload = Payload { msg: key.as_bytes(), aad: &bytes };
    let wrapped = cipher.encrypt(&XNonce::from(nonce), payload).expect("a key is shorter than the cipher's limit");
    bytes.extend(wrapped);
    bytes.extend(checksum(&bytes));
    let body = BASE64_STANDARD.encode(bytes);
    let mut lines = vec![BEGIN.to_owned(), format!("{KEY_ID} {}", key.id()), String::new()];
    lines.extend(body.as_bytes().chunks(LINE_LEN).map(|line| String::from_utf8_lossy(line).into_owned()));
    lines.push(END.to_owned());
    lines.push(String::new());
    lines.join("\n")
}

/// Returns the id of the key in an export, as its text says; it is not verified.
pub(crate) fn key_id(text: &str) -> Option<String> {
    let inside = text.split_once(BEGIN)?.1.split_once(END)?.0;
    inside.lines().find_map(|line| line.trim().strip_prefix(KEY_ID)).map(|id| id.trim().to_owned())
}

/// Unwraps a key with a passphrase.
pub(crate) fn read(text: &str, passphrase: &str) -> Result<TenantKey, ExportFault> {
    let bytes = decode(text)?;
    let (head, rest) = bytes.split_at_checked(HEAD_LEN).ok_or(ExportFault::Damaged)?;
    let cost = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let costs = [cost(1), cost(5), cost(9)];
    let (salt, nonce) = head[13..].split_at(SALT_LEN);
    let cipher = cipher(passphrase, salt, costs).ok_or(ExportFault::Damaged)?;
    let nonce: [u8; NONCE_LEN] = nonce.try_into().map_err(|_| ExportFault::Damaged)?;
    let key = cipher.decrypt(&XNonce::from(nonce), Payload { msg: rest, aad: head });
    TenantKey::from_bytes(&key.map_err(|_| ExportFault::WrongPassphrase)?).ok_or(ExportFault::Damaged)
}

/// Decodes an export and verifies its checksum, which is left out of the bytes returned.
fn decode(text: &str) -> Result<Vec<u8>, ExportFault> {
    let inside = text.split_once(BEGIN).ok_or(ExportFault::NotAnExport)?.1;
    let inside = inside.split_once(END).ok_or(ExportFault::Damaged)?.0;
    // Mail and chat indent and break lines as they like.
    let body: String = inside.lines().map(str::trim).filter(|line| !line.contains(':')).collect();
    let mut bytes = BASE64_STANDARD.decode(body).map_err(|_| ExportFault::Damaged)?;
    match bytes.first() {
        Some(&VERSION) => {}
        Some(version) if *version > VERSION => return Err(ExportFault::TooNew),
        _ => return Err(ExportFault::Damaged),
    }
    let sum = bytes.split_off(bytes.len().saturating_sub(CHECKSUM_LEN));
    if sum == checksum(&bytes) { Ok(bytes) } else { Err(ExportFault::Damaged) }
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_LEN] {
    let digest = Sha256::digest(bytes);
    [digest[0], digest[1], digest[2], digest[3]]
}

fn cipher(passphrase: &str, salt: &[u8], [memory, passes, lanes]: [u32; 3]) -> Option<XChaCha20Poly1305> {
    if memory > MAX_MEMORY_KIB || passes > MAX_PASSES || lanes > MAX_LANES {
        return None;
    }
    let params = Params::new(memory, passes, lanes, Some(32)).ok()?;
    let mut key = [0; 32];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), salt, &mut key)
        .ok()?;
    Some(XChaCha20Poly1305::new(&key.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSPHRASE: &str = "correct horse battery staple";

    #[test]
    fn a_key_comes_back_with_its_passphrase_alone() {
        let key = TenantKey::generate();
        let text = write(&key, PASSPHRASE);
        assert_eq!(key_id(&text).unwrap(), key.id());
        assert_eq!(read(&text, PASSPHRASE).unwrap(), key);
        let quoted = text.lines().map(|line| format!("  {line}\r\n")).collect::<String>();
        assert_eq!(read(&format!("Here it is:\n{quoted}bye"), PASSPHRASE).unwrap(), key);
        assert_eq!(read(&text, "correct horse battery"), Err(ExportFault::WrongPassphrase));
        assert_ne!(write(&key, PASSPHRASE), text, "each has a salt of its own");
    }

    #[test]
    fn what_is_not_whole_is_told_from_a_wrong_passphrase() {
        let text = write(&TenantKey::generate(), PASSPHRASE);
        let at = text.find("\n\n").unwrap() + 30;
        let flipped = if text.as_bytes()[at] == b'A' { "B" } else { "A" };
        let cases = [
            (text.replace(BEGIN, "-----BEGIN"), ExportFault::NotAnExport),
            (text.replace(END, ""), ExportFault::Damaged),
            ([&text[..at], flipped, &text[at + 1..]].concat(), ExportFault::Damaged),
            ([&text[..at], &text[at + 4..]].concat(), ExportFault::Damaged),
            (format!("{BEGIN}\n{END}"), ExportFault::Damaged),
            (format!("{BEGIN}\nAg==\n{END}"), ExportFault::TooNew),
            (String::new(), ExportFault::NotAnExport),
        ];
        for (text, expected) in cases {
            assert_eq!(read(&text, PASSPHRASE), Err(expected), "{text}");
        }
    }

    #[test]
    fn a_made_up_export_cannot_ask_for_everything() {
        assert!(cipher(PASSPHRASE, &[0; SALT_LEN], [u32::MAX, 1, 1]).is_none());
        assert!(cipher(PASSPHRASE, &[0; SALT_LEN], [64, u32::MAX, 1]).is_none());
        assert!(cipher(PASSPHRASE, &[0; SALT_LEN], [0, 0, 0]).is_none());
    }
}
