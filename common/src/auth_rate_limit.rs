//! Rate limit on failed attempts with license keys, kept in Redis so that it holds across instances.
//!
//! Only failed attempts count, per client address (per /64 of IPv6) and per key, and the same wrong key from the same address
//! counts once: a job that repeats a mistyped key takes nothing from its neighbors, and learns nothing. An attempt's answer
//! waits until it is counted, so that of many concurrent attempts no more than the limit learn that their key is wrong.
//!
//! An address with too many failures is not shut out: its good keys are answered, its wrong ones refused. But its attempts then
//! go through a lane, one at a time and each for at least 100 ms, so that it can try no more than some hundreds of keys in a
//! minute, of 2^60.
//!
//! [`limit`] is a layer on the routes that take keys; a handler marks a failed attempt with [`FailedAttempt`]. The headers are
//! those of draft-ietf-httpapi-ratelimit-headers-10.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::middleware::Next;
use axum::response::{IntoResponse, IntoResponseParts, Response, ResponseParts};
use redis::Script;
use tokio::sync::Semaphore;

use crate::body::{self, BODY_LIMIT_BYTES};
use crate::caller::ClientAddress;
use crate::config::Setup;
use crate::problem::Problem;
use crate::redis::Redis;

/// Maximum number of failed attempts of one address in a window.
const MAX_PER_ADDRESS: u32 = 60;
/// Maximum number of failed attempts with one wrong key in a window.
const MAX_PER_KEY: u32 = 20;
/// Length of a window in seconds.
const WINDOW_SECONDS: u32 = 60;

/// Minimum duration of an attempt in a lane, for which the next attempt waits.
const LANE_MIN_DURATION: Duration = Duration::from_millis(100);
/// Timeout of waiting for the lane.
const LANE_TIMEOUT: Duration = Duration::from_millis(3000);
/// Number of lanes that addresses over their limit share. Two in one lane only wait for each other.
const LANES: usize = 64;

static COUNT_SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("auth_rate_limit.lua")));

/// The counters, and the lanes of a process.
#[derive(Debug, Clone)]
pub struct AuthRateLimit {
    redis: Redis,
    lanes: Arc<[Semaphore; LANES]>,
}

/// Marks a response as that of a failed attempt, with a keyed hash of what was tried.
#[derive(Debug, Clone, Copy)]
pub struct FailedAttempt(pub [u8; 32]);

impl IntoResponseParts for FailedAttempt {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
        parts.extensions_mut().insert(self);
        Ok(parts)
    }
}

/// Number of attempts counted in the current window, and the seconds until it ends.
#[derive(Debug, Clone, Copy)]
struct Window {
    count: u32,
    reset_seconds: u32,
}

impl AuthRateLimit {
    /// Makes the rate limit from the configuration; `None` where that has mistakes.
    pub fn from_setup(setup: &mut Setup) -> Option<Self> {
        let lanes = Arc::new(std::array::from_fn(|_| Semaphore::new(1)));
        Redis::from_setup(setup).map(|redis| Self { redis, lanes })
    }

    fn lane(&self, network: &str) -> &Semaphore {
        let mut hasher = DefaultHasher::new();
        network.hash(&mut hasher);
        &self.lanes[usize::try_from(hasher.finish() % LANES as u64).unwrap_or(0)]
    }

    async fn count(&self, key: &str, add: u32) -> Result<Window, Problem> {
        let mut invocation = COUNT_SCRIPT.key(format!("guesses:{key}"));
        let (count, reset_ms): (u32, u32) =
            self.redis.run("guesses", invocation.arg(add).arg(WINDOW_SECONDS * 1000)).await?;
        Ok(Window { count, reset_seconds: reset_ms.div_ceil(1000).max(1) })
    }
}

/// Middleware that checks whether an address has failed too often, counts a failure, and adds the rate-limit headers.
pub async fn limit(
    State(rate_limit): State<AuthRateLimit>,
    address: ClientAddress,
    request: Request,
    next: Next,
) -> Response {
    let network = address.network();
    let key = format!("address:{network}");
    let before = match rate_limit.count(&key, 0).await {
        Ok(window) => window,
        Err(problem) => return problem.into_response(),
    };
    let response = if before.count < MAX_PER_ADDRESS {
        next.run(request).await
    } else {
        match answer_in_lane(rate_limit.lane(&network), request, next).await {
            Some(response) => response,
            None => return refused(before),
        }
    };
    let Some(FailedAttempt(hash)) = response.extensions().get().copied() else { return with_headers(response, before) };
    match count_failure(&rate_limit, &key, &hex::encode(hash)).await {
        Ok((after, is_over)) => {
            if is_over {
                refused(after)
            } else {
                with_headers(response, after)
            }
        }
        Err(problem) => problem.into_response(),
    }
}

/// Counts a failure; returns the window, and true if there were too many, of the address or with the key.
async fn count_failure(rate_limit: &AuthRateLimit, address: &str, hash: &str) -> Result<(Window, bool), Problem> {
    let (of_both, of_key) = (format!("{address}:key:{hash}"), format!("key:{hash}"));
    let (of_both, of_key) = tokio::join!(rate_limit.count(&of_both, 1), rate_limit.count(&of_key, 1));
    let (of_both, of_key) = (of_both?, of_key?);
    let of_address = rate_limit.count(address, u32::from(of_both.count == 1)).await?;
    if of_key.count > MAX_PER_KEY {
        return Ok((Window { count: MAX_PER_ADDRESS, ..of_key }, true));
    }
    Ok((of_address, of_address.count > MAX_PER_ADDRESS))
}

fn refused(window: Window) -> Response {
    with_headers(Problem::rate_limited(window.reset_seconds).into_response(), window)
}

/// Answers an attempt of an address over its limit, once the lane is free; `None` if that took too long.
async fn answer_in_lane(lane: &Semaphore, request: Request, next: Next) -> Option<Response> {
    // Reads the body before the lane is taken, so that a body that does not come holds up no other attempt.
    let (parts, body) = request.into_parts();
    let body = match body::read(body, BODY_LIMIT_BYTES).await {
        Ok(bytes) => Body::from(bytes),
        Err(problem) => return Some(problem.into_response()),
    };
    let permit = tokio::time::timeout(LANE_TIMEOUT, lane.acquire()).await.ok()?;
    let pause = tokio::time::sleep(LANE_MIN_DURATION);
    let (response, ()) = tokio::join!(next.run(Request::from_parts(parts, body)), pause);
    drop(permit);
    Some(response)
}

fn with_headers(mut response: Response, window: Window) -> Response {
    let left = MAX_PER_ADDRESS.saturating_sub(window.count);
    let policy = format!("\"guesses\";q={MAX_PER_ADDRESS};w={WINDOW_SECONDS}");
    let state = format!("\"guesses\";r={left};t={}", window.reset_seconds);
    for (name, value) in [("ratelimit-policy", policy), ("ratelimit", state)] {
        response
            .headers_mut()
            .insert(name, HeaderValue::try_from(value).expect("digits and quotes are a header value"));
    }
    response
}
