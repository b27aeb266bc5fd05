//! A signing key in Cloud KMS, over its REST interface
//! (<https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys.cryptoKeyVersions>).
//!
//! Requests and answers are checked for integrity as Google asks
//! (<https://cloud.google.com/kms/docs/data-integrity-guidelines>): we send the digest's CRC32C and insist that it was
//! checked, that the answer is about our key version, and that the signature's CRC32C is right.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use common::trace;
use crc32c::crc32c;
use gcp_auth::TokenProvider;
use rand::Rng as _;
use reqwest::redirect::Policy;
use reqwest::{RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use crate::error::SigningError;
use crate::public_key::PublicKey;
use crate::public_key_cache::PublicKeyCache;

const GOOGLE: &str = "https://cloudkms.googleapis.com";
const SCOPE: &str = "https://www.googleapis.com/auth/cloudkms";
const ALGORITHM: &str = "RSA_SIGN_PKCS1_4096_SHA256";
/// Time limit of one attempt.
const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(1500);
/// Time limit of all attempts together.
const TOTAL_TIMEOUT: Duration = Duration::from_millis(2800);
const ATTEMPTS: u32 = 3;

/// A key version.
pub(crate) struct KmsKey {
    name: String,
    endpoint: String,
    http: reqwest::Client,
    /// Credentials are sent to Google alone.
    credentials: Option<OnceCell<Arc<dyn TokenProvider>>>,
    public: PublicKeyCache,
}

impl std::fmt::Debug for KmsKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KmsKey").field("name", &self.name).finish_non_exhaustive()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SignRequest {
    digest: Digest,
    digest_crc32c: String,
}

#[derive(Serialize)]
struct Digest {
    sha256: String,
}

/// `AsymmetricSignResponse`; 64-bit integers travel as decimal strings.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SignResponse {
    name: String,
    signature: String,
    signature_crc32c: String,
    #[serde(default)]
    verified_digest_crc32c: bool,
}

/// `PublicKey`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PublicKeyResponse {
    name: String,
    pem: String,
    pem_crc32c: String,
    algorithm: String,
}

/// Error of KMS, whose status words don't change (<https://cloud.google.com/apis/design/errors#http_mapping>).
#[derive(Deserialize)]
struct ErrorResponse {
    error: ErrorStatus,
}

#[derive(Deserialize)]
struct ErrorStatus {
    status: String,
}

impl KmsKey {
    pub(crate) fn new(name: String, endpoint: Option<String>) -> Result<Self, SigningError> {
        let unusable = |why: &str| SigningError::Unusable(why.to_owned());
        let endpoint = endpoint.unwrap_or_else(|| GOOGLE.to_owned());
        let url = reqwest::Url::parse(&endpoint).map_err(|_| unusable("KMS_ENDPOINT is not a URL"))?;
        let loopback = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        if url.scheme() != "https" && !loopback {
            return Err(unusable("KMS_ENDPOINT must be https unless it is this machine"));
        }
        let google = url.host_str().is_some_and(|host| host.ends_with(".googleapis.com"));
        // Nothing that KMS answers is a redirection; one could lead anywhere.
        let http = reqwest::Client::builder().timeout(ATTEMPT_TIMEOUT).redirect(Policy::none());
        let http = http.build().map_err(|e| unusable(&e.to_string()))?;
        let credentials = google.then(OnceCell::new);
        Ok(Self { name, endpoint, http, credentials, public: PublicKeyCache::default() })
    }

    /// Returns the public half. The first fetch may take several attempts; a later one, which can fail without harm, only
    /// one, so that the signature it precedes still has time.
    pub(crate) async fn public(&self) -> Result<PublicKey, SigningError> {
        bounded(self.public.get(Instant::now(), self.retried(|| self.fetch_public()), self.fetch_public())).await
    }

    pub(crate) async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        let digest = digest::digest(&digest::SHA256, message);
        bounded(self.retried(|| self.sign_once(digest.as_ref()))).await
    }

    async fn sign_once(&self, digest: &[u8]) -> Result<Vec<u8>, SigningError> {
        let request = SignRequest {
            digest: Digest { sha256: STANDARD.encode(digest) },
            digest_crc32c: crc32c(digest).to_string(),
        };
        let request = self.http.post(format!("{}/v1/{}:asymmetricSign", self.endpoint, self.name)).json(&request);
        let answer: SignResponse = self.call(request).await?;
        if answer.name != self.name {
            return Err(corrupt("the signature is another key's"));
        }
        if !answer.verified_digest_crc32c {
            return Err(corrupt("the digest was not checked on arrival"));
        }
        let signature = STANDARD.decode(&answer.signature).map_err(|_| corrupt("the signature is not base64"))?;
        if crc32c(&signature).to_string() != answer.signature_crc32c {
            return Err(corrupt("the signature's checksum is wrong"));
        }
        Ok(signature)
    }

    async fn fetch_public(&self) -> Result<PublicKey, SigningError> {
        let request = self.http.get(format!("{}/v1/{}/publicKey", self.endpoint, self.name));
        let answer: PublicKeyResponse = self.call(request).await?;
        if answer.name != self.name {
            return Err(corrupt("the public key is another key's"));
        }
        if crc32c(answer.pem.as_bytes()).to_string() != answer.pem_crc32c {
            return Err(corrupt("the public key's checksum is wrong"));
        }
        if answer.algorithm != ALGORITHM {
            return Err(SigningError::Unusable(format!("it is for {}; {ALGORITHM} is needed", answer.algorithm)));
        }
        PublicKey::from_pem(&answer.pem)
    }

    async fn call<T: DeserializeOwned>(&self, mut request: RequestBuilder) -> Result<T, SigningError> {
        let unreachable = |e: reqwest::Error| SigningError::Unavailable(e.to_string());
        if let Some(cell) = &self.credentials {
            let provider =
                cell.get_or_try_init(gcp_auth::provider).await.map_err(|e| SigningError::Unavailable(e.to_string()))?;
            let token = provider.token(&[SCOPE]).await.map_err(|e| SigningError::Unavailable(e.to_string()))?;
            request = request.bearer_auth(token.as_str());
        }
        let response = trace::with_traceparent(request).send().await.map_err(unreachable)?;
        let status = response.status();
        let body = response.bytes().await.map_err(unreachable)?;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|e| corrupt(&e.to_string()));
        }
        let why = format!("{status}: {}", String::from_utf8_lossy(&body[..body.len().min(300)]));
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS || body_says_checksum(&body) {
            Err(SigningError::Unavailable(why))
        } else if body_says_disabled(&body) {
            Err(SigningError::Disabled(why))
        } else {
            Err(SigningError::Refused(why))
        }
    }

    /// Retries a call that was lost or damaged on the way, after a pause with jitter.
    async fn retried<T, F: Future<Output = Result<T, SigningError>>>(
        &self,
        attempt: impl Fn() -> F,
    ) -> Result<T, SigningError> {
        let mut n = 1;
        loop {
            match attempt().await {
                Err(SigningError::Unavailable(_) | SigningError::Corrupt(_)) if n < ATTEMPTS => {
                    let most = 100 << n;
                    let pause = rand::rng().random_range(most / 2..most);
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                    n += 1;
                }
                result => return result,
            }
        }
    }
}

/// Limits the time of a call, waiting for other callers included.
pub(crate) async fn bounded<T>(call: impl Future<Output = Result<T, SigningError>>) -> Result<T, SigningError> {
    tokio::time::timeout(TOTAL_TIMEOUT, call)
        .await
        .unwrap_or_else(|_| Err(SigningError::Unavailable("no answer in time".to_owned())))
}

/// Checks whether KMS refused a request because its checksum doesn't fit: it was damaged on the way there.
fn body_says_checksum(body: &[u8]) -> bool {
    String::from_utf8_lossy(body).contains("checksum")
}

/// Checks whether the key version is not enabled: in any other state (<https://cloud.google.com/kms/docs/key-states>) it
/// answers `400 FAILED_PRECONDITION`, "… is not enabled, current state is: DISABLED.".
fn body_says_disabled(body: &[u8]) -> bool {
    serde_json::from_slice(body).is_ok_and(|said: ErrorResponse| said.error.status == "FAILED_PRECONDITION")
}

fn corrupt(why: &str) -> SigningError {
    SigningError::Corrupt(why.to_owned())
}
