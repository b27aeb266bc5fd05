//! A mock server of Stripe's API: reads requests as Stripe documents them, answers as a test's script does, and records its
//! requests.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

use crate::proxy::{Proxy, Upstream};

/// The key that is accepted.
pub const KEY: &str = "sk_test_4eC39HqLyjWDarjtT1zdp7dc";

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Method and path, such as `GET /v1/charges/ch_1`.
    pub what: String,
    /// The query's and the form's parameters: `a[b][0]=c` is `{"a": {"b": {"0": "c"}}}`.
    pub parameters: Value,
    /// Its `Idempotency-Key`; empty when it has none.
    pub idempotency_key: String,
    /// Its `Stripe-Version`.
    pub version: String,
}

/// Reply to a request.
#[derive(Debug, Clone)]
pub enum Reply {
    /// A status and JSON.
    Json(u16, Value),
    /// A status and any bytes.
    Bytes(u16, Vec<u8>),
    /// A redirect to another address.
    Redirect(String),
    /// Never an answer.
    Silence,
}

impl Reply {
    /// `200` with an object.
    #[must_use]
    pub fn ok(object: Value) -> Self {
        Self::Json(200, object)
    }

    /// Returns an error in Stripe's format.
    #[must_use]
    pub fn error(status: u16, kind: &str, code: Option<&str>, message: &str) -> Self {
        let mut error = json!({"type": kind, "message": message});
        if let Some(code) = code {
            error["code"] = code.into();
        }
        Self::Json(status, json!({"error": error}))
    }

    /// Returns Stripe's error for an id that it doesn't know.
    #[must_use]
    pub fn missing() -> Self {
        Self::error(404, "invalid_request_error", Some("resource_missing"), "No such object.")
    }
}

type Script = Box<dyn FnMut(&Asked) -> Reply + Send>;

/// A running server, behind a proxy that can cut it off.
#[derive(Debug)]
pub struct StripeApi {
    proxy: Proxy,
    inner: Arc<Inner>,
}

struct Inner {
    asked: Mutex<Vec<Asked>>,
    script: Mutex<Script>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("asked", &self.asked).finish_non_exhaustive()
    }
}

impl StripeApi {
    /// Starts a server that answers by a script.
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn start(script: impl FnMut(&Asked) -> Reply + Send + 'static) -> Self {
        let inner = Arc::new(Inner { asked: Mutex::default(), script: Mutex::new(Box::new(script)) });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address").to_string();
        let app = Router::new().fallback(answer).with_state(Arc::clone(&inner));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { proxy: Proxy::to(Upstream::Tcp(address)).await, inner }
    }

    /// Returns its address, as `STRIPE_API_BASE` has it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.proxy.address())
    }

    /// Returns every request so far.
    ///
    /// # Panics
    /// When a script panicked.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.inner.asked.lock().expect("no script panicked").clone()
    }

    /// Closes every connection, and each new one at once.
    pub fn cut(&self) {
        self.proxy.cut();
    }

    /// Takes connections again.
    pub fn resume(&self) {
        self.proxy.resume();
    }
}

async fn answer(State(inner): State<Arc<Inner>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.expect("a whole request");
    let header = |name: &str| parts.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let reply = if header("authorization") == format!("Bearer {KEY}") {
        let asked = Asked {
            what: format!("{} {}", parts.method, parts.uri.path()),
            parameters: parameters(parts.uri.query().unwrap_or_default(), &header("content-type"), &body),
            idempotency_key: header("idempotency-key"),
            version: header("stripe-version"),
        };
        let reply = (inner.script.lock().expect("no script panicked"))(&asked);
        inner.asked.lock().expect("no script panicked").push(asked);
        reply
    } else {
        // Stripe masks the key here. Another server might not.
        Reply::error(401, "invalid_request_error", None, &format!("Invalid API Key: {}", header("authorization")))
    };
    let response = Response::builder().header("request-id", "req_test");
    let json = |status: u16, value: Vec<u8>| (status, Body::from(value));
    let (status, body) = match reply {
        Reply::Json(status, value) => json(status, value.to_string().into_bytes()),
        Reply::Bytes(status, bytes) => json(status, bytes),
        Reply::Redirect(to) => {
            return response.status(302).header("location", to).body(Body::empty()).expect("a redirection");
        }
        Reply::Silence => std::future::pending().await,
    };
    response.status(status).header("content-type", "application/json").body(body).expect("a response")
}

fn parameters(query: &str, content_type: &str, body: &Bytes) -> Value {
    let mut all = Value::Object(Map::new());
    let form = if body.is_empty() {
        String::new()
    } else {
        assert_eq!(content_type, "application/x-www-form-urlencoded", "Stripe reads forms");
        String::from_utf8(body.to_vec()).expect("a form is ASCII")
    };
    for text in [query, &form] {
        let url = reqwest::Url::parse(&format!("http://form/?{text}")).expect("a form is a query");
        for (name, value) in url.query_pairs().filter(|(name, _)| !name.is_empty()) {
            let path = name.replace(']', "");
            let place = path.split('[').fold(&mut all, |place, part| {
                place
                    .as_object_mut()
                    .expect("a parameter has a value or parts")
                    .entry(part)
                    .or_insert_with(|| Value::Object(Map::new()))
            });
            assert_eq!(*place, json!({}), "{name} comes twice");
            *place = value.into_owned().into();
        }
    }
    all
}
