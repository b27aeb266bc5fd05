//! An identity provider that answers as a test configures it, in ways in which a real one never would.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use serde_json::{Value, json};

use crate::cloud::Cloud;
use crate::machine::{Machine, Printed};
use crate::provider::{CLIENT, Login};
use crate::signer;

/// Answers to a path and a form, with a status; `None` for the discovery document and the keys, which have default answers.
type Answer = dyn Fn(&str, &str) -> Option<(u16, String)> + Send + Sync;

pub(crate) struct Liar {
    pub(crate) issuer: String,
}

impl Liar {
    /// Starts a provider, which lives as long as the tests.
    pub(crate) fn start(answer: impl Fn(&str, &str) -> Option<(u16, String)> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let (name, answer): (_, Arc<Answer>) = (issuer.clone(), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (name, answer) = (name.clone(), answer.clone());
                thread::spawn(move || serve(stream.unwrap(), &name, &*answer));
            }
        });
        Self { issuer }
    }

    /// Starts a provider whose ID tokens have these claims, for any code; the test passes the nonce as the code.
    pub(crate) fn saying(change: impl Fn(&mut Value) + Send + Sync + 'static) -> Self {
        let known = Arc::new(std::sync::OnceLock::<String>::new());
        let issuer = known.clone();
        let liar = Self::start(move |path, form| {
            (path == "/token").then(|| {
                let now = jiff::Timestamp::now().as_second();
                // The test passes the sign-in's nonce as the code.
                let nonce = form.split('&').find_map(|pair| pair.strip_prefix("code="));
                let mut claims = json!({"iss": issuer.get(), "aud": CLIENT, "sub": "ann", "nonce": nonce, "iat": now,
                                        "exp": now + 3600});
                change(&mut claims);
                (200, json!({"id_token": signer::sign(&claims), "refresh_token": "r"}).to_string())
            })
        });
        known.set(liar.issuer.clone()).unwrap();
        liar
    }

    /// Makes a machine whose cloud sends people here to sign in.
    pub(crate) fn scene(&self) -> (Cloud, Machine) {
        let cloud = Cloud::start();
        cloud.mood().oidc = Some((self.issuer.clone(), CLIENT));
        let machine = Machine::new(&cloud.url);
        (cloud, machine)
    }

    /// Returns the redirect URI of a sign-in at this address, and a function that returns its other parameters.
    pub(crate) fn redirect(url: &str) -> (String, impl Fn(&str) -> String + use<>) {
        let url = url.to_owned();
        let part = move |name: &str| {
            let rest = url.split(&format!("{name}=")).nth(1).unwrap();
            rest.split('&').next().unwrap().to_owned()
        };
        (part("redirect_uri").replace("%3A", ":").replace("%2F", "/"), part)
    }

    /// Signs in with an answer from the browser; `{state}` and `{nonce}` in it are those of the sign-in.
    pub(crate) fn answered(&self, machine: &Machine, query: &str) -> (Printed, String) {
        let mut login = Login::start(machine, &["login", "--no-browser"]);
        let (to, part) = Self::redirect(&login.told_address());
        let query = query.replace("{state}", &part("state")).replace("{nonce}", &part("nonce"));
        let page = ureq::get(format!("{to}?{query}")).call().unwrap().body_mut().read_to_string().unwrap();
        let mut printed = login.end(machine);
        printed.stderr = printed.stderr.split("\n\n").last().unwrap().replace(&self.issuer, "{issuer}");
        (printed, page)
    }
}

fn serve(stream: TcpStream, issuer: &str, answer: &Answer) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim().split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut form = vec![0; length];
    reader.read_exact(&mut form).ok()?;
    let (status, body) = answer(&path, std::str::from_utf8(&form).ok()?).unwrap_or_else(|| {
        let body = match path.as_str() {
            "/.well-known/openid-configuration" => document(issuer),
            "/jwks" => serde_json::to_value(signer::jwks()).unwrap(),
            _ => Value::Null,
        };
        (200, body.to_string())
    });
    let mut stream = reader.into_inner();
    write!(stream, "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len()).ok()
}

/// Returns a discovery document.
pub(crate) fn document(issuer: &str) -> Value {
    let at = |path: &str| format!("{issuer}/{path}");
    json!({"issuer": issuer, "authorization_endpoint": at("auth"), "token_endpoint": at("token"), "jwks_uri": at("jwks"),
           "device_authorization_endpoint": at("device")})
}
