//! Signing within a function: what is published, and when.

use std::path::PathBuf;

use serde_json::json;
use signing::TokenSigner;
use testing::World;

use crate::emulator::Version;
use crate::openssl;

async fn world(version: &Version) -> World {
    World::new()
        .await
        .with("SIGNING_KEY", format!("kms:{}", version.name))
        .with("KMS_ENDPOINT", format!("{}/", version.endpoint()))
}

#[tokio::test]
async fn a_key_is_published_before_anything_is_signed_with_it() {
    let version = Version::of("published");
    let world = world(&version).await;
    world.sql("revoke insert on signing_keys from coditect_auth").await;
    let signer = TokenSigner::from_setup(&mut world.setup("coditect_auth")).unwrap();
    assert!(signer.sign(&json!({"sub": "x"})).await.is_err(), "a key that nobody can know signs nothing");
    assert_eq!(version.count("sign").await, 0);

    world.sql("grant insert on signing_keys to coditect_auth").await;
    let token = signer.sign(&json!({"sub": "x"})).await.unwrap();
    let key = signer.public_key().await.unwrap();
    assert!(openssl::verifies(&token, &key));
    let row = world.db.connect("postgres").await;
    let row = row.query_one("select kid, public_key_pem from signing_keys", &[]).await.unwrap();
    assert_eq!((row.get::<_, String>(0), row.get::<_, String>(1)), (key.kid, key.pem));
}

/// Another RSA-4096 key, kept for the next run beside the first: making one takes seconds.
fn second_key() -> PathBuf {
    let path = testing::world::signing_key().with_file_name("second-signing-key.pem");
    if !path.exists() {
        let fresh = path.with_extension(std::process::id().to_string());
        let to = fresh.display().to_string();
        openssl::run(&["genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:4096", "-out", &to]);
        std::fs::rename(&fresh, &path).unwrap();
    }
    path
}

#[tokio::test]
async fn two_signers_with_two_keys_are_both_listed_and_once() {
    let version = Version::of("listed");
    let world = world(&version).await;
    let first = TokenSigner::from_setup(&mut world.setup("coditect_acquire")).unwrap();
    let same = TokenSigner::from_setup(&mut world.setup("coditect_validate")).unwrap();
    let world = world.with("SIGNING_KEY", format!("file:{}", second_key().display()));
    let second = TokenSigner::from_setup(&mut world.setup("coditect_auth")).unwrap();
    let mut kids = Vec::new();
    for signer in [&first, &same, &second] {
        let token = signer.sign(&json!({})).await.unwrap();
        let key = signer.public_key().await.unwrap();
        assert!(openssl::verifies(&token, &key));
        kids.push(key.kid);
    }
    assert_eq!(kids[0], kids[1]);
    assert_ne!(kids[0], kids[2]);
    assert_eq!(world.number("select count(*) from signing_keys where retired_at is null").await, 2);
}

#[tokio::test]
async fn a_kms_that_is_down_or_whose_key_is_disabled_is_503_and_one_that_lies_is_500() {
    let version = Version::of("problems");
    let world = world(&version).await;
    let signer = TokenSigner::from_setup(&mut world.setup("coditect_auth")).unwrap();
    for (fault, status) in [("unavailable", 503), ("disabled", 503), ("denied", 500), ("name", 500)] {
        version.fault(fault, "sign", None).await;
        let problem = signer.sign(&json!({})).await.unwrap_err();
        assert_eq!(problem.code().status(), status, "{fault}: {problem:?}");
    }
}

#[tokio::test]
async fn a_configuration_that_cannot_sign_is_a_mistake_with_a_name() {
    let mut world = World::new().await;
    for (name, value) in [("SIGNING_KEY", "file:/nowhere.pem"), ("KMS_ENDPOINT", "nonsense")] {
        world = world.with(name, value);
        let mut setup = world.setup("coditect_auth");
        assert!(TokenSigner::from_setup(&mut setup).is_none());
        assert!(setup.mistakes().iter().any(|m| m.variable == name), "{:?}", setup.mistakes());
    }
}
