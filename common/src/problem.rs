//! The one error type: a problem document for the caller, and apart from it the cause for the log.
//!
//! Constructors are named by meaning. The internal half is never serialized; it is logged once, where the request is
//! answered (`serve`), ours as errors, the caller's as debug lines.

use std::fmt::Display;
use std::sync::Arc;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use protocol::problem::{Code, FieldError, ProblemDocument};
use protocol::wire::{Feature, OtherLicense, SeatCounts};

/// Seconds of `Retry-After` when a dependency is down: long enough to let it come back, short enough to be tried.
const RETRY_AFTER_OUTAGE_SECONDS: u32 = 2;
/// The answer to a key that was replaced by another one and is no longer good.
pub const KEY_REPLACED: &str = "This license key was replaced by another one. The owner of your organization got the new key by \
    mail: run `coditect activate KEY` with it.";

/// A request's failure.
#[derive(Debug, Clone)]
pub struct Problem(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    document: ProblemDocument,
    code: Code,
    internal: Option<Arc<str>>,
}

/// Makes the caller's half: everything a constructor does not set comes from the code itself.
fn document(code: Code) -> ProblemDocument {
    ProblemDocument::new(code)
}

impl Problem {
    fn of(code: Code, detail: impl Into<String>) -> Self {
        let mut document = document(code);
        document.detail = detail.into();
        Self(Box::new(Inner { document, code, internal: None }))
    }

    fn because(mut self, internal: impl Display) -> Self {
        self.0.internal = Some(internal.to_string().into());
        self
    }

    fn with(mut self, change: impl FnOnce(&mut ProblemDocument)) -> Self {
        change(&mut self.0.document);
        self
    }

    /// Returns the stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// Returns the cause for the log; never shown to the caller.
    #[must_use]
    pub fn internal(&self) -> Option<&str> {
        self.0.internal.as_deref()
    }

    /// An internal error.
    pub fn internal_error(cause: impl Display) -> Self {
        Self::of(
            Code::Internal,
            "Something went wrong on our side. Try again; if it keeps happening, report the request id.",
        )
        .because(cause)
    }

    /// A dependency is down or too slow; nothing was decided.
    pub fn unavailable(dependency: &'static str, cause: impl Display) -> Self {
        Self::of(
            Code::Unavailable,
            "The service can't answer right now. Try again in a moment; nothing was changed that a retry would double.",
        )
        .because(format_args!("{dependency}: {cause}"))
        .retry_after(RETRY_AFTER_OUTAGE_SECONDS)
    }

    /// The body isn't JSON.
    pub fn malformed_body(detail: impl Into<String>) -> Self {
        Self::of(Code::MalformedBody, detail)
    }

    /// The body is more than this route takes.
    #[must_use]
    pub fn body_too_large(limit_bytes: usize) -> Self {
        Self::of(
            Code::BodyTooLarge,
            format!("The body is larger than the {limit_bytes} bytes this route takes. Send less."),
        )
    }

    /// The body's type isn't JSON.
    #[must_use]
    pub fn unsupported_media_type() -> Self {
        Self::of(Code::UnsupportedMediaType, "The body must be JSON. Send it with `Content-Type: application/json`.")
    }

    /// Fields are missing, of a wrong type or out of range.
    #[must_use]
    pub fn validation(errors: Vec<FieldError>) -> Self {
        let detail = match errors.first() {
            Some(first) => format!("The request was understood but can't be used: {} {}", first.pointer, first.detail),
            None => "The request was understood but can't be used.".to_owned(),
        };
        Self::of(Code::ValidationFailed, detail).with(|d| d.errors = errors)
    }

    /// One field, or one header, is wrong. `pointer` is a JSON pointer or a header's name.
    pub fn invalid(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::validation(vec![FieldError { pointer: pointer.into(), detail: detail.into() }])
    }

    /// A cursor that isn't one of ours, or of another listing.
    #[must_use]
    pub fn invalid_cursor() -> Self {
        Self::of(
            Code::InvalidCursor,
            "This cursor can't be read. Send it exactly as you received it, or start again without one.",
        )
    }

    /// A cursor from before the records were restored.
    #[must_use]
    pub fn outdated_cursor() -> Self {
        Self::of(
            Code::InvalidCursor,
            "This cursor is from before the records were restored from a backup. Start again without one; then push again \
             what you have and did not get.",
        )
    }

    /// The plan doesn't include this; `plan` is the smallest that does.
    #[must_use]
    pub fn plan_lacks_feature(feature: Feature, plan: Option<&str>) -> Self {
        let detail = match plan {
            Some(plan) => format!(
                "Your plan does not include {feature}; the plan {plan} does. Ask the owner of your organization to change to it, or do without."
            ),
            None => format!("Your plan does not include {feature}. Do without it."),
        };
        Self::of(Code::PlanLacksFeature, detail).with(|d| {
            d.feature = Some(feature.as_str().to_owned());
            d.plan = plan.map(str::to_owned);
        })
    }

    /// The body is compressed in a way that isn't read here.
    #[must_use]
    pub fn unsupported_encoding() -> Self {
        Self::of(
            Code::UnsupportedMediaType,
            "The body's Content-Encoding isn't read here. Use gzip or zstd, once, or send the body as it is.",
        )
    }

    /// There is no such route.
    #[must_use]
    pub fn no_such_route() -> Self {
        Self::of(Code::NotFound, "There is nothing at this address. The routes are listed at /openapi.json.")
    }

    /// The thing isn't there, or belongs to another tenant; the answer does not distinguish the two.
    #[must_use]
    pub fn not_found(what: &'static str) -> Self {
        Self::of(Code::NotFound, format!("There is no such {what}. Check its id and whose credentials you are using."))
    }

    /// A tenant that has bought nothing wants to change its purchase.
    #[must_use]
    pub fn nothing_bought() -> Self {
        Self::of(
            Code::NotFound,
            "Your organization has bought nothing here yet, so there is nothing to change: buy a plan first.",
        )
    }

    /// Stripe refuses a request; `detail` says what that means for the caller and what to do, `cause` is Stripe's own text.
    pub fn payment_service_refused(detail: impl Into<String>, cause: impl Display) -> Self {
        Self::of(Code::PaymentServiceRefused, detail).because(cause)
    }

    /// The route is there, the method isn't.
    #[must_use]
    pub fn method_not_allowed() -> Self {
        Self::of(
            Code::MethodNotAllowed,
            "This address doesn't answer that method; the `Allow` header lists those it does.",
        )
    }

    /// The request took longer than a request may.
    #[must_use]
    pub fn timed_out() -> Self {
        Self::of(Code::Unavailable, "The request took too long and was given up. Try again in a moment.")
            .because("request timeout")
            .retry_after(RETRY_AFTER_OUTAGE_SECONDS)
    }

    /// The credential is missing or not valid.
    pub fn invalid_token(detail: impl Into<String>) -> Self {
        Self::of(Code::InvalidToken, detail)
    }

    /// A webhook's signature is not valid.
    pub fn invalid_signature(detail: impl Into<String>) -> Self {
        Self::of(Code::InvalidSignature, detail)
    }

    /// The license key can't be used. There is one answer for all causes, so that a guesser learns nothing.
    #[must_use]
    pub fn invalid_license_key() -> Self {
        Self::of(
            Code::InvalidLicenseKey,
            "This license key can't be used. Check it for typing errors, or ask whoever manages your licenses for a current one.",
        )
    }

    /// The license key is genuine, but its license has another one meanwhile.
    #[must_use]
    pub fn replaced_license_key() -> Self {
        Self::of(Code::InvalidLicenseKey, KEY_REPLACED)
    }

    /// Adds another license that can be used instead, which the detail then names too.
    #[must_use]
    pub fn with_other_license(self, other: Option<OtherLicense>) -> Self {
        let Some(other) = other else { return self };
        self.with(|d| {
            d.detail = format!("{} {}", d.detail, other.advice());
            d.other_license = Some(other);
        })
    }

    /// A valid credential without the right.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::of(Code::Forbidden, detail)
    }

    /// The license can't be used now; `reason` is one of `suspended revoked expired subscription_inactive`.
    #[must_use]
    pub fn license_inactive(reason: &'static str) -> Self {
        let detail = match reason {
            "suspended" => "This license is suspended. Ask the owner of your organization to settle it with billing.",
            "revoked" => "This license was revoked. Ask the owner of your organization for another one.",
            "expired" => "This license has expired. Renew it to go on.",
            _ => "The subscription behind this license is not active. Ask the owner of your organization to renew it.",
        };
        Self::of(Code::LicenseInactive, detail).with(|d| d.reason = Some(reason.to_owned()))
    }

    /// Adds that a purchase under the caller's address waits to be confirmed.
    #[must_use]
    pub fn with_claim(self) -> Self {
        self.with(|d| {
            d.detail.push_str(
                " Under your address another license was bought: run `coditect activate` with the key from its e-mail, \
                 signed in as now.",
            );
        })
    }

    /// Every seat is taken.
    #[must_use]
    pub fn no_seats(seats: SeatCounts, retry_after_seconds: u32) -> Self {
        let detail = format!(
            "All seats of this license ({}) are in use. If no one gives a seat back, the next can fall free in {}; ask the owner of your organization for more seats if that happens often.",
            seats.limit,
            spoken_seconds(retry_after_seconds)
        );
        Self::of(Code::NoSeatsAvailable, detail).with(|d| d.seats = Some(seats)).retry_after(retry_after_seconds)
    }

    /// The license has a seat, but the installation may not serve more users.
    #[must_use]
    pub fn installation_full(seats: SeatCounts, retry_after_seconds: u32) -> Self {
        let detail = format!(
            "This installation may serve {} users at the same time, and {} are at work. The next place can fall free in {} at the earliest; ask a colleague to stop, or ask whoever runs this installation for an enterprise license for more users.",
            seats.limit,
            seats.in_use,
            spoken_seconds(retry_after_seconds)
        );
        Self::of(Code::NoSeatsAvailable, detail).with(|d| d.seats = Some(seats)).retry_after(retry_after_seconds)
    }

    /// The session holds no seat any more.
    #[must_use]
    pub fn session_ended(reason: &'static str) -> Self {
        let detail = match reason {
            "released" => "This session was released. Acquire a seat again to go on.",
            "revoked" => {
                "This session was ended by an administrator, or its license was revoked. Acquire a seat again to go on."
            }
            "suspended" => "The license of this session was suspended. Acquire a seat again when it is settled.",
            _ => "This session had no heartbeat in time and its seat was given up. Acquire a seat again to go on.",
        };
        Self::of(Code::SessionEnded, detail).with(|d| d.reason = Some(reason.to_owned()))
    }

    /// The license of the session has expired, and its seat with it.
    #[must_use]
    pub fn session_ended_with_license() -> Self {
        let detail = "The license of this session has expired, and its seat with it. Renew the license to go on.";
        Self::of(Code::SessionEnded, detail).with(|d| d.reason = Some("expired".to_owned()))
    }

    /// An `Idempotency-Key` that came before with another body.
    #[must_use]
    pub fn idempotency_key_reused() -> Self {
        Self::of(
            Code::IdempotencyKeyReused,
            "This Idempotency-Key was used for a different request. Use a new key for a new request.",
        )
    }

    /// A caller has used as many `Idempotency-Key`s within 24 hours as it may.
    #[must_use]
    pub fn idempotency_keys_used_up(retry_after_seconds: u32) -> Self {
        Self::of(
            Code::RateLimited,
            format!(
                "As many requests with an Idempotency-Key were sent with this credential in the last 24 hours as there may be. Send the request without one, or wait {}.",
                spoken_seconds(retry_after_seconds)
            ),
        )
        .retry_after(retry_after_seconds)
    }

    /// Too many attempts.
    #[must_use]
    pub fn rate_limited(retry_after_seconds: u32) -> Self {
        Self::of(
            Code::RateLimited,
            format!("Too many failed attempts. Wait {} before the next one.", spoken_seconds(retry_after_seconds)),
        )
        .retry_after(retry_after_seconds)
    }

    fn retry_after(self, seconds: u32) -> Self {
        self.with(|d| d.retry_after_seconds = Some(u64::from(seconds)))
    }

    /// Returns the response, with the request's id in it.
    pub(crate) fn render(&self, request_id: &str) -> Response {
        let mut document = self.0.document.clone();
        request_id.clone_into(&mut document.request_id);
        let body = serde_json::to_vec(&document).expect("a problem document is plain strings and numbers");
        let status = StatusCode::from_u16(self.0.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = document.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.0.code.status() == 401 {
            let challenge = match self.0.code {
                Code::InvalidToken => "Bearer error=\"invalid_token\"",
                _ => "Bearer",
            };
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        response
    }
}

/// Formats a time, such as "40 seconds" or "6 minutes": rounded up, so that waiting that long is enough.
#[must_use]
pub fn spoken_seconds(seconds: u32) -> String {
    let (count, unit) = match seconds {
        0..=119 => (seconds.max(1), "second"),
        120..=7199 => (seconds.div_ceil(60), "minute"),
        _ => (seconds.div_ceil(3600), "hour"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

impl IntoResponse for Problem {
    /// `serve` renders the document, because only it knows the request's id.
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}
