//! A key in a PEM file.

use std::path::Path;

use serde_json::json;
use signing::{Signer, SigningError, SigningKeySpec};
use testing::world::signing_key;

use crate::openssl;

fn signer(path: &Path) -> Result<Signer, SigningError> {
    Signer::connect(SigningKeySpec::File(path.to_owned()), None)
}

#[tokio::test]
async fn both_forms_of_a_private_key_sign_under_the_thumbprint_of_rfc_7638() {
    let dir = tempfile::tempdir().unwrap();
    let traditional = dir.path().join("traditional.pem");
    let (from, to) = (signing_key().display().to_string(), traditional.display().to_string());
    openssl::run(&["rsa", "-in", &from, "-traditional", "-out", &to]);
    for (path, tag) in [(signing_key(), "BEGIN PRIVATE KEY"), (traditional, "BEGIN RSA PRIVATE KEY")] {
        assert!(std::fs::read_to_string(&path).unwrap().contains(tag));
        let signer = signer(&path).unwrap();
        let key = signer.public_key().await.unwrap();
        assert_eq!(key.kid, openssl::thumbprint(&path));
        assert!(key.pem.starts_with("-----BEGIN PUBLIC KEY-----\n"), "{}", key.pem);
        let token = signer.sign_token(&json!({"sub": "x"})).await.unwrap();
        assert!(openssl::verifies(&token, &key), "{tag}");
    }
}

#[tokio::test]
async fn anything_but_a_private_rsa_4096_key_is_refused_with_a_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let text = |name: &str| path(name).display().to_string();
    openssl::run(&[
        "genpkey",
        "-quiet",
        "-algorithm",
        "RSA",
        "-pkeyopt",
        "rsa_keygen_bits:2048",
        "-out",
        &text("2048"),
    ]);
    openssl::run(&[
        "genpkey",
        "-quiet",
        "-algorithm",
        "EC",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-out",
        &text("ec"),
    ]);
    let from = signing_key().display().to_string();
    openssl::run(&["rsa", "-in", &from, "-pubout", "-out", &text("public")]);
    openssl::run(&["rsa", "-in", &from, "-aes256", "-passout", "pass:x", "-out", &text("encrypted")]);
    std::fs::write(path("garbage"), [0xff; 64]).unwrap();
    std::fs::write(path("empty"), "").unwrap();
    std::fs::write(path("hollow"), "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n").unwrap();
    for (name, says) in [
        ("2048", "has 2048 bits; RSA-4096 is needed"),
        ("ec", "holds no RSA key that can sign"),
        ("public", "holds a PUBLIC KEY; a private RSA key is needed"),
        ("encrypted", "holds a ENCRYPTED PRIVATE KEY; a private RSA key is needed"),
        ("garbage", "is not a PEM file"),
        ("empty", "is not a PEM file"),
        ("hollow", "holds no RSA key that can sign"),
        ("missing", "No such file or directory"),
    ] {
        let refused = signer(&path(name)).unwrap_err();
        assert!(matches!(refused, SigningError::Unusable(_)), "{name}: {refused:?}");
        let sentence = refused.to_string();
        assert!(sentence.starts_with("the signing key can't be used: "), "{sentence}");
        assert!(sentence.contains(&text(name)) && sentence.contains(says), "{sentence}");
    }
}

#[tokio::test]
async fn a_signer_shows_nothing_of_its_key() {
    let printed = format!("{:?}", signer(&signing_key()).unwrap());
    let exponent = openssl::run(&["rsa", "-in", &signing_key().display().to_string(), "-text", "-noout"]);
    let exponent = String::from_utf8(exponent).unwrap();
    let begin = exponent.split("privateExponent:").nth(1).unwrap();
    let first: String = begin.chars().filter(char::is_ascii_hexdigit).take(32).collect();
    assert!(!printed.to_lowercase().contains(&first), "{printed}");
}
