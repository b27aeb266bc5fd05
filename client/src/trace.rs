//! Traces of the library's steps, for diagnosis: the requests, how long they take, and the stored answers that are used.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use local::remaining::about;
use ureq::http::{HeaderMap, Request, Response, Uri};
use ureq::middleware::MiddlewareNext;
use ureq::{Body, SendBody};

use crate::http_failure;
use crate::trace_headers::REQUEST_ID;

/// Step of the library. [`Display`](fmt::Display) writes it as a line, and nothing secret is ever in it: of an address there is
/// no query, and of a request or an answer no body, and no header but the request's id.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Trace {
    /// A request begins.
    Asking {
        /// `GET`, `POST`.
        method: String,
        /// The address, without its query.
        url: String,
    },
    /// An answer began to arrive.
    Answered {
        /// `GET`, `POST`.
        method: String,
        /// The address, without its query.
        url: String,
        /// The HTTP status.
        status: u16,
        /// Time until the answer began to arrive.
        took: Duration,
        /// Id of the request in the cloud's log; none where another server was asked.
        request_id: Option<String>,
    },
    /// No answer came.
    Unanswered {
        /// `GET`, `POST`.
        method: String,
        /// The address, without its query.
        url: String,
        /// A reason such as "connection refused".
        cause: String,
        /// Time until the failure.
        took: Duration,
        /// Id of the request in the cloud's log, if it came that far; none where another server was asked.
        request_id: Option<String>,
    },
    /// No request was made, since a stored answer is used.
    Remembered {
        /// Name of the stored answer.
        what: &'static str,
        /// Age of the stored answer.
        age: SignedDuration,
    },
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asking { method, url } => write!(f, "{method} {url}"),
            Self::Answered { method, url, status, took, request_id } => {
                write!(f, "{method} {url}: {status} after {} ms{}", took.as_millis(), Named(request_id.as_deref()))
            }
            Self::Unanswered { method, url, cause, took, request_id } => {
                write!(f, "{method} {url}: {cause} after {} ms{}", took.as_millis(), Named(request_id.as_deref()))
            }
            Self::Remembered { what, age } => write!(f, "{what}: stored {} ago, nobody is asked", about(*age)),
        }
    }
}

/// Formats the request's id at the end of a line.
struct Named<'a>(Option<&'a str>);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |id| write!(f, ", request id {id}"))
    }
}

type Listener = dyn Fn(&Trace) + Send + Sync;

/// Listener for traces, if there is one.
#[derive(Clone, Default)]
pub(crate) struct Tracer(Option<Arc<Listener>>);

impl Tracer {
    pub(crate) fn new(listener: impl Fn(&Trace) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(listener)))
    }

    pub(crate) fn remembered(&self, what: &'static str, age: SignedDuration) {
        self.send(|| Trace::Remembered { what, age });
    }

    /// Follows a request, as a link in the HTTP client's chain.
    pub(crate) fn follow(
        &self,
        request: Request<SendBody<'_>>,
        next: MiddlewareNext<'_>,
    ) -> Result<Response<Body>, ureq::Error> {
        if self.0.is_none() {
            return next.handle(request);
        }
        let (method, url) = (request.method().to_string(), without_query(request.uri()));
        let asked = id(request.headers());
        self.send(|| Trace::Asking { method: method.clone(), url: url.clone() });
        let begin = Instant::now();
        let answer = next.handle(request);
        let took = begin.elapsed();
        self.send(|| match &answer {
            Ok(answer) => {
                // The answer's id, in case the cloud has chosen another one.
                let request_id = asked.map(|asked| id(answer.headers()).unwrap_or(asked));
                Trace::Answered { method, url, status: answer.status().as_u16(), took, request_id }
            }
            Err(error) => {
                Trace::Unanswered { method, url, cause: http_failure::cause(error).0, took, request_id: asked }
            }
        });
        answer
    }

    fn send(&self, trace: impl FnOnce() -> Trace) {
        if let Some(listener) = &self.0 {
            listener(&trace());
        }
    }
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tracer")
    }
}

fn id(headers: &HeaderMap) -> Option<String> {
    Some(headers.get(REQUEST_ID)?.to_str().ok()?.to_owned())
}

/// Returns an address without its query, name and password.
fn without_query(uri: &Uri) -> String {
    let (scheme, host) = (uri.scheme_str().unwrap_or_default(), uri.host().unwrap_or_default());
    let port = uri.port_u16().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{scheme}://{host}{port}{}", uri.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_address_nothing_secret_is_shown() {
        let uri: Uri = "https://ada:secret@cloud.example:8443/a/b?code=secret".parse().unwrap();
        assert_eq!(without_query(&uri), "https://cloud.example:8443/a/b");
    }
}
