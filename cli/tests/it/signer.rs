//! A signing key made by openssl, so that what the client checks was not signed by its own libraries.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use protocol::token::{Jwks, assemble, jwk_from_pem, signing_input};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) const KID: &str = "test-1";

struct Key {
    folder: TempDir,
    public: String,
}

fn key() -> &'static Key {
    static KEY: OnceLock<Key> = OnceLock::new();
    KEY.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let private = folder.path().join("key.pem");
        let private = private.to_str().unwrap();
        openssl(&["genrsa", "-out", private, "2048"], b"");
        let public = openssl(&["pkey", "-in", private, "-pubout"], b"");
        Key { public: String::from_utf8(public).unwrap(), folder }
    })
}

/// The public half.
pub(crate) fn jwks() -> Jwks {
    Jwks { keys: vec![jwk_from_pem(KID, &key().public).unwrap()] }
}

/// A token with these claims.
pub(crate) fn sign(claims: &Value) -> String {
    let input = signing_input(KID, claims);
    let private = key().folder.path().join("key.pem");
    let signature = openssl(&["dgst", "-sha256", "-sign", private.to_str().unwrap()], input.as_bytes());
    assemble(&input, &signature)
}

fn openssl(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut process = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl is installed");
    process.stdin.take().unwrap().write_all(input).unwrap();
    let output = process.wait_with_output().unwrap();
    assert!(output.status.success(), "openssl {arguments:?}");
    output.stdout
}
