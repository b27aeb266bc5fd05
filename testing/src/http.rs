//! An HTTP client whose verbs take the status they expect, and print the body when it is another.

pub use reqwest::{Method, RequestBuilder};
use serde_json::Value;

/// A client of one server.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    bearer: Option<String>,
}

/// An answer: its headers and its body, as JSON where it is.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: reqwest::header::HeaderMap,
    /// The body; a JSON string when it isn't JSON.
    pub body: Value,
}

impl Answer {
    /// A header's value; empty when it isn't there.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default()
    }

    /// A text in the body, by JSON pointer.
    ///
    /// # Panics
    /// When there is no such text.
    #[must_use]
    pub fn text(&self, pointer: &str) -> &str {
        self.body
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_else(|| panic!("no text at {pointer} in {:#}", self.body))
    }
}

impl Client {
    /// A client of the server at a URL.
    #[must_use]
    pub fn new(base: impl Into<String>) -> Self {
        let http = reqwest::Client::builder()
            .timeout(std::time::Duration::from_secs(30))
            .build()
            .expect("a client needs nothing");
        Self { http, base: base.into(), bearer: None }
    }

    /// The same client with a credential.
    #[must_use]
    pub fn bearer(&self, token: impl Into<String>) -> Self {
        Self { bearer: Some(token.into()), ..self.clone() }
    }

    /// The credential it sends; empty when it sends none.
    #[must_use]
    pub fn credential(&self) -> &str {
        self.bearer.as_deref().unwrap_or_default()
    }

    /// The server's URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.base
    }

    /// A request to be changed before it is sent with [`Client::send`].
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.bearer {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Posts JSON and expects a status.
    pub async fn post(&self, path: &str, body: Value, status: u16) -> Answer {
        self.send(self.request(Method::POST, path).json(&body), status).await
    }

    /// Posts JSON and takes whatever comes.
    pub async fn try_post(&self, path: &str, body: Value) -> Answer {
        self.send_any(self.request(Method::POST, path).json(&body)).await
    }

    /// Posts JSON, and again after each 503, as a client does; takes whatever else comes.
    ///
    /// # Panics
    /// When ten answers are 503.
    pub async fn post_until_served(&self, path: &str, body: Value) -> Answer {
        for _ in 0..10 {
            let answer = self.try_post(path, body.clone()).await;
            if answer.status != 503 {
                return answer;
            }
        }
        panic!("{path}: 503 ten times");
    }

    /// Gets a path and expects a status.
    pub async fn get(&self, path: &str, status: u16) -> Answer {
        self.send(self.request(Method::GET, path), status).await
    }

    /// Sends a request and expects a status.
    ///
    /// # Panics
    /// When the status is another.
    pub async fn send(&self, request: reqwest::RequestBuilder, status: u16) -> Answer {
        let answer = self.send_any(request).await;
        assert_eq!(answer.status, status, "{:#}", answer.body);
        answer
    }

    /// Sends a request and takes whatever comes.
    ///
    /// # Panics
    /// When no answer comes.
    pub async fn send_any(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap_or_else(|e| panic!("no answer: {e:?}"));
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await.expect("a whole body");
        let body =
            serde_json::from_slice(&bytes).unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into_owned().into());
        Answer { status, headers, body }
    }
}
