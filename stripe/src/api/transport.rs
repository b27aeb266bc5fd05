//! Requests to Stripe: their form, timeouts and retries.

use std::time::Duration;

use common::postgres::chain;
use common::trace;
use rand::Rng as _;
use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use reqwest::{Method, Request, StatusCode, Url};
use serde_json::Value;

use super::ApiError;

/// The API version of every request, whatever the account's own is, so that a change there changes nothing here.
/// Stripe keeps versions for years; a newer one is chosen by reading its list of breaking changes.
const VERSION: &str = "2026-10-28.endive";
/// Timeout of one attempt.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);
/// Timeout of a call with all of its attempts and pages: a request that waits for it has 10 s, and more to do.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(6);
const ATTEMPTS: u32 = 3;
/// Maximum length of an answer that is read.
const ANSWER_LIMIT_BYTES: usize = 1 << 20;
/// Maximum length of an error's message that is quoted.
const MESSAGE_LIMIT_CHARS: usize = 500;

/// Stripe's base URL, and the key. Without `Debug`, so that the key is never shown.
#[derive(Clone)]
pub(super) struct Transport {
    http: reqwest::Client,
    base: String,
    key: String,
}

/// Error of an attempt.
enum AttemptError {
    /// Another attempt may succeed.
    Retryable(String),
    /// No other attempt will succeed.
    Permanent(ApiError),
}

/// Creates an HTTP client whose attempts are bounded in time.
///
/// # Errors
/// A sentence for the list of mistakes.
pub(super) fn client() -> Result<reqwest::Client, String> {
    // No answer of Stripe's is a redirection; one could lead anywhere, with the key.
    let client = reqwest::Client::builder().timeout(ATTEMPT_TIMEOUT).redirect(Policy::none());
    client.build().map_err(|e| format!("no HTTP client could be made: {e}"))
}

impl Transport {
    pub(super) fn new(http: reqwest::Client, base: String, key: String) -> Self {
        Self { http, base, key }
    }

    pub(super) async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, ApiError> {
        let mut url = self.url(path)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.send_with_retries(|| self.http.request(Method::GET, url.clone())).await
    }

    /// Sends a form. Nested fields are written `a[b][0]`.
    pub(super) async fn post(
        &self,
        path: &str,
        form: &[(String, String)],
        idempotency_key: &str,
    ) -> Result<Value, ApiError> {
        // A query string is encoded like a form.
        let mut encoder = self.url(path)?;
        encoder.query_pairs_mut().extend_pairs(form);
        let (body, url) = (encoder.query().unwrap_or_default().to_owned(), self.url(path)?);
        self.send_with_retries(|| {
            let request = self.http.request(Method::POST, url.clone());
            request
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .header("idempotency-key", idempotency_key)
                .body(body.clone())
        })
        .await
    }

    fn url(&self, path: &str) -> Result<Url, ApiError> {
        Url::parse(&format!("{}{path}", self.base)).map_err(|e| ApiError::Unreachable(format!("{path}: {e}")))
    }

    /// Sends a request, and again after a pause with jitter when it was lost on the way or Stripe answers that it may be retried.
    /// Each attempt has the same idempotency key, so that it takes effect once.
    async fn send_with_retries(&self, request: impl Fn() -> reqwest::RequestBuilder) -> Result<Value, ApiError> {
        let mut attempt = 1;
        loop {
            let request =
                trace::with_traceparent(request()).bearer_auth(&self.key).header("stripe-version", VERSION).build();
            let request = request.map_err(|e| ApiError::Unreachable(chain(&e.without_url())))?;
            match self.send(request).await {
                Ok(answer) => return Ok(answer),
                Err(AttemptError::Permanent(error)) => return Err(error),
                Err(AttemptError::Retryable(why)) if attempt == ATTEMPTS => return Err(ApiError::Unreachable(why)),
                Err(AttemptError::Retryable(_)) => {
                    let max_millis = 100 << attempt;
                    let pause = rand::rng().random_range(max_millis / 2..max_millis);
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                    attempt += 1;
                }
            }
        }
    }

    async fn send(&self, request: Request) -> Result<Value, AttemptError> {
        let lost = |e: reqwest::Error| AttemptError::Retryable(chain(&e.without_url()));
        let mut response = self.http.execute(request).await.map_err(lost)?;
        let status = response.status();
        let request_id = response.headers().get("request-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(lost)? {
            if body.len() + chunk.len() > ANSWER_LIMIT_BYTES {
                return Err(AttemptError::Permanent(unreadable_answer("more than a MiB")));
            }
            body.extend_from_slice(&chunk);
        }
        let answer = serde_json::from_slice::<Value>(&body);
        if status.is_success() {
            return answer.map_err(|_| AttemptError::Permanent(unreadable_answer("something that is not JSON")));
        }
        let answer = answer.unwrap_or_default();
        let (code, message) = self.refusal(&answer, &body, request_id.as_deref());
        // 409: another request under the same idempotency key, or on the same object, is not done yet.
        if status.is_server_error() || [StatusCode::CONFLICT, StatusCode::TOO_MANY_REQUESTS].contains(&status) {
            return Err(AttemptError::Retryable(format!("it answered {status}: {message}")));
        }
        let param = answer["error"]["param"].as_str().map(str::to_owned);
        Err(AttemptError::Permanent(ApiError::Refused { status: status.as_u16(), code, param, message }))
    }

    /// Returns the code and the message of an error. Stripe masks the key where it quotes it; another server that answers may
    /// not.
    fn refusal(&self, answer: &Value, body: &[u8], request_id: Option<&str>) -> (Option<String>, String) {
        let error = &answer["error"];
        let code = error["code"].as_str().or_else(|| error["type"].as_str()).map(str::to_owned);
        let text = error["message"].as_str().map_or_else(|| String::from_utf8_lossy(body), Into::into);
        let mut message: String = text.replace(&self.key, "…").chars().take(MESSAGE_LIMIT_CHARS).collect();
        if let Some(id) = request_id {
            message.push_str(&format!(" (Stripe's request {id})"));
        }
        (code, message)
    }
}

/// Bounds the time of a call: no caller waits longer than this.
pub(super) async fn with_timeout<T>(call: impl Future<Output = Result<T, ApiError>>) -> Result<T, ApiError> {
    let answer = tokio::time::timeout(TOTAL_TIMEOUT, call).await;
    answer.unwrap_or_else(|_| Err(ApiError::Unreachable("no answer in time".to_owned())))
}

/// Returns the error of an answer that differs from Stripe's documentation.
pub(super) fn unreadable_answer(what: &str) -> ApiError {
    ApiError::Unreachable(format!("it answered with {what}"))
}
