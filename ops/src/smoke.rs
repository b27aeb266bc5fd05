//! The smoke test of a revision that has no traffic yet: it checks that the URL serves the right function, that its
//! dependencies answer, and that it answers a request as that function does. The test changes nothing, and needs no
//! credentials. With a license key, a seat is taken, kept and given back besides.

mod smoke_client;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use protocol::key::{Brand, KeyType, LicenseKey};
use reqwest::{Method, Url};
use serde_json::{Value, json};

use self::smoke_client::SmokeClient;
use crate::printer::{Failure, Output};

/// Timeout of one answer; a new instance starts first.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// `private.googleapis.com`: address of Cloud Run inside the network, where a function that only the load balancer reaches lets
/// us in.
const PRIVATE_GOOGLE_ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(199, 36, 153, 8)), 443);

/// A request that needs no credentials, and its expected answer.
struct Check<'a> {
    method: Method,
    path: &'static str,
    body: Value,
    status: u16,
    /// JSON pointer into the answer, and the value expected there.
    expected: (&'static str, &'a str),
}

/// Returns the check of a function. Its license key is unknown, so that the request goes all the way through Redis and Postgres.
fn check_of(function: &str) -> Option<Check<'static>> {
    let key = LicenseKey::generate(Brand::Coditect, KeyType::Pro).to_string();
    let machine = "0".repeat(64);
    let unknown = json!({"license_key": key, "machine_id": machine, "version": "0"});
    let denied = |method, path, body| Check { method, path, body, status: 401, expected: ("/code", "invalid_token") };
    let record = json!({"device_id": "smoke", "records": []});
    Some(match function {
        "validate" => {
            let expected = ("/reason", "not_found");
            Check { method: Method::POST, path: "/api/v1/licenses/validate", body: unknown, status: 200, expected }
        }
        "auth" => {
            let expected = ("/code", "invalid_license_key");
            Check { method: Method::POST, path: "/api/v1/auth/license", body: unknown, status: 401, expected }
        }
        "webhook-stripe" => {
            let expected = ("/code", "invalid_signature");
            Check { method: Method::POST, path: "/webhooks/stripe", body: json!({}), status: 400, expected }
        }
        "acquire" => denied(Method::POST, "/api/v1/licenses/acquire", json!({"hardware_id": machine})),
        "heartbeat" => denied(Method::POST, "/api/v1/licenses/heartbeat", json!({"session_id": uuid::Uuid::nil()})),
        "release" => denied(Method::POST, "/api/v1/licenses/release", json!({"session_id": uuid::Uuid::nil()})),
        "billing" => denied(Method::POST, "/api/v1/billing/portal", json!({})),
        // An empty request, which it refuses: a smoke test is not to be counted.
        "telemetry" => {
            let expected = ("/code", "validation_failed");
            Check { method: Method::POST, path: "/api/v1/telemetry", body: json!({}), status: 422, expected }
        }
        "sync-push" => denied(Method::POST, "/api/v1/context/push", record),
        "sync-pull" => denied(Method::GET, "/api/v1/context/pull", Value::Null),
        _ => return None,
    })
}

/// Tests a revision of a function at its own address.
///
/// # Errors
/// The difference from the expected answer.
pub async fn test(function: &str, url: &str) -> Result<Output, Failure> {
    let url = Url::parse(url).map_err(|e| Failure::Usage(format!("{url} is no URL: {e}.")))?;
    let check = check_of(function)
        .ok_or_else(|| Failure::Usage(format!("There is no function {function} to be asked anything.")))?;
    let smoke_client = SmokeClient::from_environment(function, &url)?;
    let mut client = reqwest::Client::builder().timeout(ANSWER_TIMEOUT);
    let urls = smoke_client.iter().flat_map(|smoke_client| &smoke_client.urls).chain([&url]);
    for host in urls.filter_map(Url::host_str).filter(|host| host.ends_with(".run.app")) {
        client = client.resolve(host, PRIVATE_GOOGLE_ADDRESS);
    }
    let client = client.build().map_err(|e| Failure::Broken(e.to_string()))?;

    let get = |path, expected| Check { method: Method::GET, path, body: Value::Null, status: 200, expected };
    let checks = [get("/health", ("/status", "ok")), get("/ready", ("/function", function)), check];
    for check in checks {
        run_check(&client, url.clone(), check).await?;
    }
    let mut message = format!("{function} lives, has what it needs, and answers as {function} does.");
    if let Some(smoke_client) = smoke_client {
        smoke_client.run_session(&client).await?;
        message.push_str(" A seat was taken, kept and given back.");
    }
    Ok(Output::Message(message))
}

async fn run_check(client: &reqwest::Client, mut url: Url, check: Check<'_>) -> Result<(), Failure> {
    let Check { method, path, body, status, expected: (pointer, expected) } = check;
    let failed = |why: String| Failure::Refused(format!("{method} {path}: {why}"));
    url.set_path(path);
    let mut request = client.request(method.clone(), url);
    if !body.is_null() {
        request = request.json(&body);
    }
    let answer = request.send().await.map_err(|e| failed(format!("no answer ({e}).")))?;
    let got = answer.status().as_u16();
    let text = answer.text().await.map_err(|e| failed(format!("half an answer ({e}).")))?;
    let value: Value = serde_json::from_str(&text).unwrap_or_default();
    let found = value.pointer(pointer).and_then(Value::as_str);
    if got == status && found == Some(expected) {
        return Ok(());
    }
    let start: String = text.chars().take(400).collect();
    Err(failed(format!(
        "{got} instead of {status}, {pointer} is {found:?} instead of {expected:?}. The answer: {start}"
    )))
}

#[cfg(test)]
mod tests {
    /// A function without a check can't be deployed.
    #[test]
    fn every_function_has_a_check() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../functions");
        for function in std::fs::read_dir(folder).unwrap().flatten().filter(|f| f.path().join("Cargo.toml").exists()) {
            let name = function.file_name().into_string().unwrap();
            assert!(super::check_of(&name).is_some(), "{name}");
        }
    }
}
