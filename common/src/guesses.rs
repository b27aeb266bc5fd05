//! The rate limit on guessing license keys, kept in Redis so that it holds across instances.
//!
//! Only failed attempts count, per client address and per key: an office behind one address is never locked out by its
//! own good keys. [`limit`] is a layer on the routes that take keys; a handler marks a failed attempt with
//! [`FailedGuess`]. The headers are those of draft-ietf-httpapi-ratelimit-headers-10.

use std::sync::LazyLock;

use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::middleware::Next;
use axum::response::{IntoResponse, IntoResponseParts, Response, ResponseParts};
use protocol::problem::Code;
use redis::Script;

use crate::caller::ClientAddress;
use crate::config::Setup;
use crate::problem::Problem;
use crate::redis::Redis;

/// Failed attempts that one address may make in a window.
const PER_ADDRESS: u32 = 60;
/// Failed attempts that may be made with one unknown key in a window.
const PER_KEY: u32 = 20;
/// Seconds of a window.
const WINDOW_SECONDS: u32 = 60;

static COUNT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("guesses.lua")));

/// The counters.
#[derive(Debug, Clone)]
pub struct Guesses(Redis);

/// Marks a response as that of a failed attempt; with the key's hash when the key was well-formed.
#[derive(Debug, Clone, Copy)]
pub struct FailedGuess(pub Option<[u8; 32]>);

impl IntoResponseParts for FailedGuess {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
        parts.extensions_mut().insert(self);
        Ok(parts)
    }
}

/// How many attempts were counted in this window, and when it ends.
#[derive(Debug, Clone, Copy)]
struct Window {
    count: u32,
    reset_seconds: u32,
}

impl Guesses {
    /// The counters of this deployment.
    pub fn ask(setup: &mut Setup) -> Option<Self> {
        setup.redis().map(Self)
    }

    async fn count(&self, key: &str, add: u32) -> Result<Window, Problem> {
        let mut invocation = COUNT.key(format!("guesses:{key}"));
        let (count, reset_ms): (u32, u32) =
            self.0.run("guesses", invocation.arg(add).arg(WINDOW_SECONDS * 1000)).await?;
        Ok(Window { count, reset_seconds: reset_ms.div_ceil(1000).max(1) })
    }
}

/// The layer: refuses an address with too many failures, counts a failure, and says in headers what is left.
pub async fn limit(State(guesses): State<Guesses>, address: ClientAddress, request: Request, next: Next) -> Response {
    let key = format!("address:{}", address.0);
    let before = match guesses.count(&key, 0).await {
        Ok(window) => window,
        Err(problem) => return problem.into_response(),
    };
    if before.count >= PER_ADDRESS {
        return with_headers(Problem::rate_limited(before.reset_seconds).into_response(), before);
    }
    let response = next.run(request).await;
    let failed = response.extensions().get::<FailedGuess>().copied().or_else(|| {
        let problem = response.extensions().get::<Problem>()?;
        (problem.code() == Code::InvalidLicenseKey).then_some(FailedGuess(None))
    });
    let Some(FailedGuess(hash)) = failed else { return with_headers(response, before) };
    let by_key = async {
        match hash {
            Some(hash) => guesses.count(&format!("key:{}", hex::encode(hash)), 1).await.map(Some),
            None => Ok(None),
        }
    };
    match tokio::join!(guesses.count(&key, 1), by_key) {
        (Ok(_), Ok(Some(of_key))) if of_key.count > PER_KEY => with_headers(
            Problem::rate_limited(of_key.reset_seconds).into_response(),
            Window { count: PER_ADDRESS, ..of_key },
        ),
        (Ok(after), Ok(_)) => with_headers(response, after),
        (Err(problem), _) | (_, Err(problem)) => problem.into_response(),
    }
}

fn with_headers(mut response: Response, window: Window) -> Response {
    let left = PER_ADDRESS.saturating_sub(window.count);
    let policy = format!("\"guesses\";q={PER_ADDRESS};w={WINDOW_SECONDS}");
    let state = format!("\"guesses\";r={left};t={}", window.reset_seconds);
    for (name, value) in [("ratelimit-policy", policy), ("ratelimit", state)] {
        response
            .headers_mut()
            .insert(name, HeaderValue::try_from(value).expect("digits and quotes are a header value"));
    }
    response
}
