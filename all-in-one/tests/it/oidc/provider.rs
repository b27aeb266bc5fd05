//! A real OpenID Connect provider, signed in to over HTTP as a browser would.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{LazyLock, mpsc};

use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::{StatusCode, Url};
use serde_json::Value;

/// Our client id there.
pub(crate) const CLIENT: &str = "coditect";
/// Client id of another application.
pub(crate) const ANOTHER: &str = "another";

const REDIRECT_URI: &str = "https://client.test/callback";
/// The pair of RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

static ON_TIME: LazyLock<String> = LazyLock::new(|| start(None));
static BEHIND: LazyLock<String> = LazyLock::new(|| start(Some("-2h")));
static AHEAD: LazyLock<String> = LazyLock::new(|| start(Some("+2h")));

/// An issuer at a provider that all tests share.
#[derive(Debug)]
pub(crate) struct Provider {
    http: reqwest::Client,
    pub(crate) issuer: String,
}

impl Provider {
    /// Returns the issuer that all tests share: its keys are never rotated, and it is never stopped.
    pub(crate) fn shared() -> Self {
        Self::at(ON_TIME.clone())
    }

    /// Returns an issuer whose clock is two hours behind.
    pub(crate) fn behind() -> Self {
        Self::at(BEHIND.clone())
    }

    /// Returns an issuer whose clock is two hours ahead.
    pub(crate) fn ahead() -> Self {
        Self::at(AHEAD.clone())
    }

    /// Returns an issuer for a single test.
    pub(crate) async fn own() -> Self {
        let answer = Self::shared().control("issuers").await;
        Self::at(answer["issuer"].as_str().unwrap().to_owned())
    }

    fn at(issuer: String) -> Self {
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { http, issuer }
    }

    /// Changes how it behaves; see `provider.mjs`.
    pub(crate) async fn control(&self, what: &str) -> Value {
        let answer = self.http.post(format!("{}/control/{what}", self.issuer)).send().await.unwrap();
        answer.json().await.unwrap()
    }

    /// Returns the number of requests for its discovery document and for its keys.
    pub(crate) async fn fetches(&self) -> (i64, i64) {
        let requests = self.control("requests").await;
        let count = |path: &str| requests[path].as_i64().unwrap_or_default();
        (count("/.well-known/openid-configuration"), count("/jwks"))
    }

    /// Returns an ID token for us. An account is written as its claims.
    pub(crate) async fn id_token(&self, account: &str) -> String {
        self.tokens(CLIENT, account, None).await["id_token"].as_str().unwrap().to_owned()
    }

    /// Returns the token response for an account: authorization code flow with PKCE.
    pub(crate) async fn tokens(&self, client: &str, account: &str, resource: Option<&str>) -> Value {
        let mut ask = vec![
            ("client_id", client),
            ("response_type", "code"),
            ("scope", "openid email"),
            ("redirect_uri", REDIRECT_URI),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            ("login_hint", account),
        ];
        ask.extend(resource.map(|r| ("resource", r)));
        let code = self.code(Url::parse_with_params(&format!("{}/auth", self.issuer), ask).unwrap()).await;
        let exchange = [
            ("grant_type", "authorization_code"),
            ("client_id", client),
            ("code", &code),
            ("redirect_uri", REDIRECT_URI),
            ("code_verifier", VERIFIER),
        ];
        let form = Url::parse_with_params("form:", exchange).unwrap().query().unwrap().to_owned();
        let request = self.http.post(format!("{}/token", self.issuer)).body(form);
        let answer = request.header("content-type", "application/x-www-form-urlencoded").send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{}", answer.text().await.unwrap());
        answer.json().await.unwrap()
    }

    /// Opens an address that the command line has printed, as a browser in which this account signs in. Returns the last page.
    pub(crate) async fn visit(&self, url: &str, account: &str) -> String {
        let mut url = Url::parse(url).unwrap();
        let back = url.query_pairs().find(|(name, _)| name == "redirect_uri").unwrap().1.into_owned();
        url.query_pairs_mut().append_pair("login_hint", account);
        let end = self.follow(url, &back).await;
        self.http.get(end).send().await.unwrap().text().await.unwrap()
    }

    /// Returns the code that the last redirect carries.
    async fn code(&self, url: Url) -> String {
        let url = self.follow(url, REDIRECT_URI).await;
        let code = url.query_pairs().find(|(name, _)| name == "code");
        code.unwrap_or_else(|| panic!("no code: {url}")).1.into_owned()
    }

    /// Follows the redirects until one leads to `end`.
    async fn follow(&self, mut url: Url, end: &str) -> Url {
        let mut cookies = BTreeMap::new();
        while !url.as_str().starts_with(end) {
            let sent: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let answer = self.http.get(url.clone()).header(COOKIE, sent.join("; ")).send().await.unwrap();
            for cookie in answer.headers().get_all(SET_COOKIE) {
                let pair = cookie.to_str().unwrap().split(';').next().unwrap();
                let (name, value) = pair.split_once('=').unwrap();
                cookies.insert(name.to_owned(), value.to_owned());
            }
            let next = answer.headers().get(LOCATION).map(|l| url.join(l.to_str().unwrap()).unwrap());
            url = match next {
                Some(next) => next,
                None => panic!("{url} leads nowhere: {}", answer.text().await.unwrap()),
            };
        }
        url
    }
}

/// Starts a provider, optionally with a wrong clock. It is killed when the thread that started it ends, so that thread waits.
fn start(clock: Option<&'static str>) -> String {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/oidc-provider");
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).arg(script).stdout(Stdio::piped()).stderr(Stdio::null());
        if let Some(clock) = clock {
            command.env("OIDC_PROVIDER_CLOCK", clock);
        }
        let mut provider = command.spawn().unwrap();
        let mut issuer = String::new();
        BufReader::new(provider.stdout.take().unwrap()).read_line(&mut issuer).unwrap();
        tell.send(issuer.trim().to_owned()).unwrap();
        provider.wait().unwrap();
    });
    let issuer = told.recv().unwrap();
    assert!(!issuer.is_empty(), "the provider never began; run scripts/oidc-provider to see why");
    issuer
}
