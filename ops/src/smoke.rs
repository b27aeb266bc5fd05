//! The smoke test of a revision that has no traffic yet: it checks that the URL serves the right function, that its
//! dependencies answer, and that it answers a request as that function does. The test changes nothing, and needs no
//! credentials. With a license key, a seat is taken, kept and given back besides.

mod guest;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use protocol::key::{Brand, KeyType, LicenseKey};
use reqwest::{Method, Url};
use serde_json::{Value, json};

use self::guest::Guest;
use crate::printer::{Failure, Shown};

/// The longest that one answer may take; a new instance starts first.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// `private.googleapis.com`: address of Cloud Run inside the network, where a function that only the load balancer reaches lets
/// us in.
const PRIVATE_GOOGLE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(199, 36, 153, 8)), 443);

/// A request that needs no credentials, and the expected answer of the function that it is for.
struct Question<'a> {
    method: Method,
    path: &'static str,
    body: Value,
    status: u16,
    /// JSON pointer into the answer, and the value expected there.
    says: (&'static str, &'a str),
}

/// Returns the request for a function. Its license key is unknown, so that it goes all the way through Redis and Postgres.
fn question(function: &str) -> Option<Question<'static>> {
    let key = LicenseKey::generate(Brand::Coditect, KeyType::Pro).to_string();
    let machine = "0".repeat(64);
    let unknown = json!({"license_key": key, "machine_id": machine, "version": "0"});
    let denied = |method, path, body| Question { method, path, body, status: 401, says: ("/code", "invalid_token") };
    let record = json!({"device_id": "smoke", "records": []});
    Some(match function {
        "validate" => {
            let says = ("/reason", "not_found");
            Question { method: Method::POST, path: "/api/v1/licenses/validate", body: unknown, status: 200, says }
        }
        "auth" => {
            let says = ("/code", "invalid_license_key");
            Question { method: Method::POST, path: "/api/v1/auth/license", body: unknown, status: 401, says }
        }
        "webhook-stripe" => {
            let says = ("/code", "invalid_signature");
            Question { method: Method::POST, path: "/webhooks/stripe", body: json!({}), status: 400, says }
        }
        "acquire" => denied(Method::POST, "/api/v1/licenses/acquire", json!({"hardware_id": machine})),
        "heartbeat" => denied(Method::POST, "/api/v1/licenses/heartbeat", json!({"session_id": uuid::Uuid::nil()})),
        "release" => denied(Method::POST, "/api/v1/licenses/release", json!({"session_id": uuid::Uuid::nil()})),
        "billing" => denied(Method::POST, "/api/v1/billing/portal", json!({})),
        // An empty request, which it refuses: a smoke test is not to be counted.
        "telemetry" => {
            let says = ("/code", "validation_failed");
            Question { method: Method::POST, path: "/api/v1/telemetry", body: json!({}), status: 422, says }
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
pub async fn test(function: &str, url: &str) -> Result<Shown, Failure> {
    let url = Url::parse(url).map_err(|e| Failure::Usage(format!("{url} is no URL: {e}.")))?;
    let question = question(function)
        .ok_or_else(|| Failure::Usage(format!("There is no function {function} to be asked anything.")))?;
    let guest = Guest::from_environment(function, &url)?;
    let mut client = reqwest::Client::builder().timeout(ANSWER_TIMEOUT);
    let urls = guest.iter().flat_map(|guest| &guest.urls).chain([&url]);
    for host in urls.filter_map(Url::host_str).filter(|host| host.ends_with(".run.app")) {
        client = client.resolve(host, PRIVATE_GOOGLE);
    }
    let client = client.build().map_err(|e| Failure::Broken(e.to_string()))?;

    let of_all = |path, says| Question { method: Method::GET, path, body: Value::Null, status: 200, says };
    let questions = [of_all("/health", ("/status", "ok")), of_all("/ready", ("/function", function)), question];
    for question in questions {
        ask(&client, url.clone(), question).await?;
    }
    let mut said = format!("{function} lives, has what it needs, and answers as {function} does.");
    if let Some(guest) = guest {
        guest.visit(&client).await?;
        said.push_str(" A seat was taken, kept and given back.");
    }
    Ok(Shown::Done(said))
}

async fn ask(client: &reqwest::Client, mut url: Url, question: Question<'_>) -> Result<(), Failure> {
    let Question { method, path, body, status, says: (pointer, wanted) } = question;
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
    let said = value.pointer(pointer).and_then(Value::as_str);
    if got == status && said == Some(wanted) {
        return Ok(());
    }
    let start: String = text.chars().take(400).collect();
    Err(failed(format!("{got} instead of {status}, {pointer} is {said:?} instead of {wanted:?}. The answer: {start}")))
}

#[cfg(test)]
mod tests {
    /// A function that can't be asked anything can't be deployed.
    #[test]
    fn every_function_has_its_question() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../functions");
        for function in std::fs::read_dir(folder).unwrap().flatten().filter(|f| f.path().join("Cargo.toml").exists()) {
            let name = function.file_name().into_string().unwrap();
            assert!(super::question(&name).is_some(), "{name}");
        }
    }
}
