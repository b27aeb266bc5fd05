//! The `openssl` command line: an implementation of RSA that is not ours.

use std::path::Path;
use std::process::{Command, Output};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use signing::PublicKey;

pub(crate) fn run(arguments: &[&str]) -> Vec<u8> {
    let output = try_run(arguments);
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn try_run(arguments: &[&str]) -> Output {
    Command::new("openssl").args(arguments).output().expect("openssl is installed; scripts/install does it")
}

/// Returns true if a token's signature is by a key, after a check of its header.
pub(crate) fn verifies(token: &str, key: &PublicKey) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &[u8]| {
        std::fs::write(dir.path().join(name), content).unwrap();
        dir.path().join(name).display().to_string()
    };
    let (input, signature) = token.rsplit_once('.').unwrap();
    let header: Value = serde_json::from_slice(&decoded(input.split_once('.').unwrap().0)).unwrap();
    assert_eq!(header, serde_json::json!({"alg": "RS256", "typ": "JWT", "kid": key.kid}));
    let (pem, signature) = (file("pem", key.pem.as_bytes()), file("signature", &decoded(signature)));
    let input = file("input", input.as_bytes());
    try_run(&["dgst", "-sha256", "-verify", &pem, "-signature", &signature, &input]).status.success()
}

/// Returns the RFC 7638 thumbprint of a key with the exponent 65537.
pub(crate) fn thumbprint(private_key: &Path) -> String {
    let path = private_key.display().to_string();
    let modulus = String::from_utf8(run(&["rsa", "-in", &path, "-modulus", "-noout"])).unwrap();
    let hex = modulus.trim().strip_prefix("Modulus=").unwrap();
    let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect();
    let jwk = format!(r#"{{"e":"AQAB","kty":"RSA","n":"{}"}}"#, URL_SAFE_NO_PAD.encode(bytes));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("jwk");
    std::fs::write(&file, jwk).unwrap();
    URL_SAFE_NO_PAD.encode(run(&["dgst", "-sha256", "-binary", &file.display().to_string()]))
}

fn decoded(part: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(part).unwrap()
}
