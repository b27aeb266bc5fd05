//! Reading JSON and answering with it.

use std::time::Duration;

use axum::body::{Bytes, HttpBody as _};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;
use protocol::problem::FieldError;
use serde::Serialize;
use serde::de::{Deserialize, DeserializeOwned, IgnoredAny};

use crate::memory::{self, Reserved};
use crate::problem::Problem;

/// The most a request's body may be where a route doesn't say otherwise.
pub const BODY_LIMIT_BYTES: usize = 64 * 1024;
/// Time limit for a body to arrive, equal to that of a request.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// A validated JSON body of at most `LIMIT` bytes; what is wrong with it is a problem with JSON pointers.
#[derive(Debug)]
pub struct Body<T, const LIMIT: usize = BODY_LIMIT_BYTES> {
    /// The value.
    pub value: T,
    /// The bytes it was read from.
    pub bytes: Bytes,
}

impl<S: Send + Sync, T: DeserializeOwned, const LIMIT: usize> FromRequest<S> for Body<T, LIMIT> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let bytes = read_json(request, LIMIT).await?;
        Ok(Self { value: parse(&bytes)?, bytes })
    }
}

/// Reads a body that says it is JSON, as it came.
///
/// # Errors
/// `413` over the limit, `415` when it says that it is something else, `503` when it is late or there is no memory for it.
pub async fn read_json(request: Request, limit: usize) -> Result<Bytes, Problem> {
    if !request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).is_some_and(is_json) {
        return Err(Problem::unsupported_media_type());
    }
    read(request.into_body(), limit).await
}

/// A body's bytes as they came, at most `LIMIT` of them: for what is signed.
#[derive(Debug)]
pub struct RawBody<const LIMIT: usize>(pub Bytes);

impl<S: Send + Sync, const LIMIT: usize> FromRequest<S> for RawBody<LIMIT> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        read(request.into_body(), LIMIT).await.map(Self)
    }
}

/// Reads a body of at most `limit` bytes; `serve` drains the rest of a longer one.
pub(crate) async fn read(body: axum::body::Body, limit: usize) -> Result<Bytes, Problem> {
    if body.size_hint().lower() > limit as u64 {
        return Err(Problem::body_too_large(limit));
    }
    let mut chunks = body.into_data_stream();
    let (mut bytes, mut memory) = (Vec::new(), None::<Reserved>);
    let whole = async {
        while let Some(chunk) = chunks.next().await {
            let chunk =
                chunk.map_err(|_| Problem::malformed_body("The body ended before it was complete. Send it again."))?;
            let length = bytes.len() + chunk.len();
            if length > limit {
                return Err(Problem::body_too_large(limit));
            }
            if length > BODY_LIMIT_BYTES {
                let more = memory::BODIES.reserve(chunk.len()).await?;
                match &mut memory {
                    Some(memory) => memory.merge(more),
                    None => memory = Some(more),
                }
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(())
    };
    tokio::time::timeout(BODY_TIMEOUT, whole).await.map_err(|_| Problem::timed_out())??;
    Ok(match memory {
        Some(memory) => memory.keep(bytes),
        None => bytes.into(),
    })
}

fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// Parses a JSON object; a syntax error anywhere is 400, a value of the wrong shape 422 with a pointer to it.
///
/// # Errors
/// The problem to answer with.
pub fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Problem> {
    must_be_text(bytes)?;
    // serde would take a list of the fields' values, in order, for the object.
    if bytes.trim_ascii_start().first() == Some(&b'[') {
        serde_json::from_slice::<IgnoredAny>(bytes).map_err(|e| not_json(&e))?;
        return Err(Problem::validation(vec![FieldError {
            pointer: String::new(),
            detail: "The body must be an object, not a list.".to_owned(),
        }]));
    }
    parse_any(bytes)
}

/// Parses a JSON list; syntax errors are 400, values of the wrong shape 422 with pointers to them.
///
/// # Errors
/// The problem to answer with.
pub fn parse_list<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<Vec<T>, Problem> {
    must_be_text(bytes)?;
    parse_any(bytes)
}

/// JSON is UTF-8 (RFC 8259, section 8.1), also in fields that are ignored.
fn must_be_text(bytes: &[u8]) -> Result<(), Problem> {
    std::str::from_utf8(bytes).map(drop).map_err(|e| {
        Problem::malformed_body(format!("The body is not JSON: its byte {} is not UTF-8.", e.valid_up_to() + 1))
    })
}

fn parse_any<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let pointer = pointer(error.path());
        let error = error.into_inner();
        match serde_json::from_slice::<IgnoredAny>(bytes) {
            _ if !error.is_data() => not_json(&error),
            Err(syntax) => not_json(&syntax),
            Ok(_) => Problem::validation(vec![FieldError { pointer, detail: sentence(&error.to_string()) }]),
        }
    })?;
    deserializer.end().map_err(|e| not_json(&e))?;
    Ok(value)
}

fn not_json(error: &serde_json::Error) -> Problem {
    Problem::malformed_body(format!(
        "The body is not JSON: it stops making sense at line {}, column {}.",
        error.line(),
        error.column()
    ))
}

/// serde's message without its position, which means nothing once the body was parsed.
fn sentence(message: &str) -> String {
    let message = message.split(" at line ").next().unwrap_or(message);
    format!("{}.", message.trim_end_matches('.'))
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter()
        .filter_map(|segment| match segment {
            Segment::Seq { index } => Some(format!("/{index}")),
            Segment::Map { key } => Some(format!("/{}", key.replace('~', "~0").replace('/', "~1"))),
            Segment::Enum { .. } | Segment::Unknown => None,
        })
        .collect()
}

/// A JSON answer.
#[derive(Debug)]
pub struct Answer<T>(pub StatusCode, pub T);

impl<T> Answer<T> {
    /// `200 OK`.
    pub fn ok(value: T) -> Self {
        Self(StatusCode::OK, value)
    }
}

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.1) {
            Ok(body) => json(self.0, body),
            Err(e) => Problem::internal_error(e).into_response(),
        }
    }
}

/// A response of bytes that are JSON. Answers hold tokens and states, so they are not cached unless a route says so.
pub fn json(status: StatusCode, body: impl Into<axum::body::Body>) -> Response {
    let mut response = (status, body.into()).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
