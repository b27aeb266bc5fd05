//! A key in Cloud KMS, whose answers are late, damaged or another key's.

use std::time::{Duration, Instant};

use serde_json::json;
use signing::{Signer, SigningError, SigningKeySpec};

use crate::emulator::Version;
use crate::openssl;

#[tokio::test]
async fn a_token_is_signed_by_the_key_that_is_shown_and_no_credentials_leave() {
    let version = Version::of("signed");
    let signer = version.signer();
    let token = signer.sign_token(&json!({"sub": "x"})).await.unwrap();
    let key = signer.public_key().await.unwrap();
    assert!(openssl::verifies(&token, &key));
    assert_eq!(key.kid, openssl::thumbprint(&testing::world::signing_key()));

    let mut other = token.clone();
    other.insert(token.rfind('.').unwrap(), 'A');
    assert!(!openssl::verifies(&other, &key), "openssl refuses what was not signed");
    assert_eq!((version.count("publicKey").await, version.count("sign").await), (1, 1));
    assert_eq!(version.count("credentials").await, 0, "credentials are for Google alone");
}

/// A signer that has its public key, the fault from then on, and what signing comes to.
async fn signed_with(fault: &str, times: Option<u32>) -> (Version, Signer, Result<String, SigningError>) {
    let version = Version::of(&format!("sign-{fault}-{}", times.unwrap_or_default()));
    let signer = version.signer();
    signer.public_key().await.unwrap();
    version.fault(fault, "sign", times).await;
    let result = signer.sign_token(&json!({"sub": "x"})).await;
    (version, signer, result)
}

#[tokio::test]
async fn a_damaged_signature_is_asked_for_three_times_and_never_given_away() {
    for fault in ["signatureCrc32c", "name", "verifiedDigestCrc32c", "garbage", "incomplete"] {
        let (version, signer, result) = signed_with(fault, None).await;
        assert!(matches!(result, Err(SigningError::Corrupt(_))), "{fault}: {result:?}");
        assert_eq!(version.count("sign").await, 3, "{fault}");

        version.heal().await;
        let token = signer.sign_token(&json!({"sub": "x"})).await.unwrap_or_else(|e| panic!("{fault}: {e}"));
        assert!(openssl::verifies(&token, &signer.public_key().await.unwrap()), "{fault}");
    }
}

#[tokio::test]
async fn what_is_lost_on_the_way_is_tried_again() {
    for fault in ["digest", "unavailable", "quota"] {
        let (version, signer, result) = signed_with(fault, Some(2)).await;
        let token = result.unwrap_or_else(|e| panic!("{fault}: {e}"));
        assert!(openssl::verifies(&token, &signer.public_key().await.unwrap()), "{fault}");
        assert_eq!(version.count("sign").await, 3, "{fault}");

        let (version, _, result) = signed_with(fault, None).await;
        assert!(matches!(result, Err(SigningError::Unavailable(_))), "{fault}: {result:?}");
        assert_eq!(version.count("sign").await, 3, "{fault}");
    }
}

#[tokio::test]
async fn a_disabled_version_is_asked_once_and_signs_as_soon_as_it_is_enabled() {
    let (version, signer, result) = signed_with("disabled", None).await;
    let Err(SigningError::Disabled(why)) = result else { panic!("{result:?}") };
    assert!(why.contains("is not enabled, current state is: DISABLED."), "{why}");
    assert_eq!(version.count("sign").await, 1);
    version.heal().await;
    signer.sign_token(&json!({})).await.unwrap();
}

#[tokio::test]
async fn a_refusal_is_final() {
    for fault in ["denied", "redirect"] {
        let (version, _, result) = signed_with(fault, None).await;
        assert!(matches!(result, Err(SigningError::Refused(_))), "{fault}: {result:?}");
        assert_eq!(version.count("sign").await, 1, "{fault}");
    }
}

#[tokio::test]
async fn a_damaged_public_key_is_asked_for_three_times_and_heals() {
    for fault in ["pemCrc32c", "name", "garbage", "incomplete", "unavailable"] {
        let version = Version::of(&format!("public-{fault}"));
        version.fault(fault, "publicKey", None).await;
        let signer = version.signer();
        let error = signer.sign_token(&json!({})).await.unwrap_err();
        let lost = fault == "unavailable";
        assert!(
            if lost {
                matches!(error, SigningError::Unavailable(_))
            } else {
                matches!(error, SigningError::Corrupt(_))
            },
            "{fault}: {error:?}"
        );
        assert_eq!((version.count("publicKey").await, version.count("sign").await), (3, 0), "{fault}");

        version.heal().await;
        signer.sign_token(&json!({})).await.unwrap_or_else(|e| panic!("{fault}: {e}"));
        assert_eq!(version.count("publicKey").await, 4, "{fault}");
    }
}

#[tokio::test]
async fn a_key_of_another_algorithm_or_size_is_refused_without_another_try() {
    for (fault, says) in [("algorithm", "RSA_SIGN_PSS_4096_SHA256"), ("size", "2048 bits")] {
        let version = Version::of(&format!("public-{fault}"));
        version.fault(fault, "publicKey", None).await;
        let error = version.signer().sign_token(&json!({})).await.unwrap_err();
        assert!(matches!(error, SigningError::Unusable(_)), "{fault}: {error:?}");
        assert!(error.to_string().contains(says), "{error}");
        assert_eq!((version.count("publicKey").await, version.count("sign").await), (1, 0), "{fault}");
    }
}

/// The bound is 2.8 s; one after another, or attempt after attempt, it would be three times that and more.
const ONE_BOUND: Duration = Duration::from_secs(8);

/// Runs `sign_token` many times at once and answers how many succeeded and how long the slowest took.
async fn at_once(signer: &Signer, many: usize) -> (usize, Duration) {
    let begin = Instant::now();
    let calls: Vec<_> = (0..many)
        .map(|_| {
            let signer = signer.clone();
            tokio::spawn(async move { signer.sign_token(&json!({})).await.is_ok() })
        })
        .collect();
    let mut signed = 0;
    for call in calls {
        signed += usize::from(call.await.unwrap());
    }
    (signed, begin.elapsed())
}

#[tokio::test]
async fn a_kms_that_is_silent_about_its_key_costs_everybody_one_bound() {
    let version = Version::of("hang-public");
    version.fault("hang", "publicKey", None).await;
    let (signed, took) = at_once(&version.signer(), 20).await;
    assert_eq!(signed, 0);
    assert!(took < ONE_BOUND, "{took:?}");
}

#[tokio::test]
async fn a_kms_that_does_not_sign_costs_one_bound() {
    let (version, signer, result) = signed_with("hang", Some(1)).await;
    assert!(result.is_ok(), "there is time for another try: {result:?}");

    version.fault("hang", "sign", None).await;
    let begin = Instant::now();
    let result = signer.sign_token(&json!({})).await;
    assert!(matches!(result, Err(SigningError::Unavailable(_))), "{result:?}");
    assert!(begin.elapsed() < ONE_BOUND, "{:?}", begin.elapsed());
}

#[tokio::test]
async fn fifty_first_users_make_one_look_at_the_public_key() {
    let version = Version::of("fifty");
    let signer = version.signer();
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let signer = signer.clone();
            tokio::spawn(async move { signer.public_key().await.unwrap() })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap(), signer.public_key().await.unwrap());
    }
    assert_eq!(version.count("publicKey").await, 1);
}

#[tokio::test]
async fn keys_are_used_in_plain_text_on_this_machine_only() {
    common::serve::install_crypto();
    let name = Version::of("plain").name;
    for endpoint in ["http://kms.example.com", "http://127.0.0.1.example.com", "http://localhost@10.0.0.1", "ftp://x"] {
        let refused = Signer::connect(SigningKeySpec::Kms(name.clone()), Some(endpoint.to_owned())).unwrap_err();
        assert!(refused.to_string().contains("https"), "{endpoint}: {refused}");
    }
    for endpoint in ["http://localhost:1", "http://[::1]:1", "https://kms.example.com"] {
        Signer::connect(SigningKeySpec::Kms(name.clone()), Some(endpoint.to_owned())).unwrap();
    }
    let signer = Signer::connect(SigningKeySpec::Kms(name), Some("http://127.0.0.1:1".to_owned())).unwrap();
    assert!(matches!(signer.public_key().await, Err(SigningError::Unavailable(_))), "nobody listens there");
}
