//! A client with a license key of its own, of a tenant that exists for this: it validates the key, takes a seat, keeps it and
//! gives it back. One of these steps is sent to the revision that is tested, the others to the revisions that have the traffic.

use common::{Setup, config};
use protocol::id::HardwareId;
use protocol::key::LicenseKey;
use protocol::problem::ProblemDocument;
use reqwest::{Client, Url};
use serde_json::{Value, json};

use crate::ops_context::mistakes;
use crate::printer::Failure;

/// The functions that the client calls.
const FUNCTIONS: [&str; 5] = ["validate", "auth", "acquire", "heartbeat", "release"];

/// A client with a license key, and the URLs of the functions.
pub(super) struct SmokeClient {
    key: LicenseKey,
    machine: HardwareId,
    /// In the order of [`FUNCTIONS`].
    pub(super) urls: [Url; 5],
}

impl SmokeClient {
    /// Returns `None` where there is no key, or the function has nothing to do with seats.
    pub(super) fn from_environment(function: &str, url: &Url) -> Result<Option<Self>, Failure> {
        let mut setup = Setup::from_env();
        let key = setup.optional(&config::SMOKE_LICENSE_KEY, |key| match key {
            "none" => Ok(None),
            key => LicenseKey::parse(key).map(Some).map_err(|_| "is no license key".to_owned()),
        });
        let urls = setup.optional(&config::FUNCTION_URLS, config::function_urls);
        let (Some(key), Some(urls)) = (key, urls) else { return Err(mistakes(&setup)) };
        let Some(key) = key.flatten().filter(|_| FUNCTIONS.contains(&function)) else { return Ok(None) };
        let url_of = |host: &str| match &urls {
            _ if host == function => Ok(url.clone()),
            Some(urls) => urls.get(host).and_then(|url| url.parse().ok()).ok_or(host.to_owned()),
            None => sibling_url(url, function, host).ok_or(host.to_owned()),
        };
        let [validate, auth, acquire, heartbeat, release] = FUNCTIONS.map(url_of);
        let found = || Ok([validate?, auth?, acquire?, heartbeat?, release?]);
        let urls = found().map_err(|host: String| {
            Failure::Usage(format!("Nobody says where {host} is, which the license key is for: set FUNCTION_URLS."))
        })?;
        // A machine for each function, so that two that are tested at once don't share a session.
        let machine: String = format!("smoke {function}").bytes().map(|byte| format!("{byte:02x}")).collect();
        let machine = HardwareId::parse(&format!("{machine:0<64}")).map_err(|e| Failure::Usage(e.to_string()))?;
        Ok(Some(Self { key, machine, urls }))
    }

    /// Does the requests of a usual session.
    pub(super) async fn run_session(&self, client: &Client) -> Result<(), Failure> {
        let [validate, auth, acquire, heartbeat, release] = &self.urls;
        let (key, machine) = (self.key.to_string(), self.machine.as_str());
        let request = json!({"license_key": key, "machine_id": machine, "version": "0"});
        let answer = call(client, validate, "/api/v1/licenses/validate", "", &request).await?;
        if answer["valid"] != true {
            let why = answer["reason"].as_str().unwrap_or("no reason given");
            return Err(Failure::Refused(format!("SMOKE_LICENSE_KEY is not valid: {why}.")));
        }
        let answer = call(client, auth, "/api/v1/auth/license", "", &json!({"license_key": key})).await?;
        let token = answer["access_token"].as_str().unwrap_or_default();
        let seat = call(client, acquire, "/api/v1/licenses/acquire", token, &json!({"hardware_id": machine})).await?;
        let (session, own) = (json!({"session_id": seat["session_id"]}), seat["license_token"].as_str());
        let own = own.unwrap_or_default();
        let kept = call(client, heartbeat, "/api/v1/licenses/heartbeat", own, &session).await;
        // It is given back also when it could not be kept.
        let released = call(client, release, "/api/v1/licenses/release", own, &session).await;
        kept.and(released).map(drop)
    }
}

/// Returns the URL of another function beside a revision's at Cloud Run: `[TAG---]FUNCTION-REST.run.app`.
fn sibling_url(url: &Url, function: &str, other: &str) -> Option<Url> {
    let host = url.host_str().filter(|host| host.ends_with(".run.app"))?;
    let host = host.split_once("---").map_or(host, |(_, host)| host);
    let rest = host.strip_prefix(function)?.strip_prefix('-')?;
    let mut beside = url.clone();
    beside.set_host(Some(&format!("{other}-{rest}"))).ok()?;
    Some(beside)
}

/// Sends a request and returns its successful answer. Answers contain tokens, so that of an error only the code is shown.
async fn call(client: &Client, url: &Url, path: &str, bearer: &str, body: &Value) -> Result<Value, Failure> {
    let failed = |why: String| Failure::Refused(format!("POST {path}, with a license key: {why}"));
    let mut url = url.clone();
    url.set_path(path);
    let mut request = client.post(url).json(body);
    if !bearer.is_empty() {
        request = request.bearer_auth(bearer);
    }
    let answer = request.send().await.map_err(|e| failed(format!("no answer ({e}).")))?;
    let status = answer.status();
    let text = answer.text().await.map_err(|e| failed(format!("half an answer ({e}).")))?;
    if !status.is_success() {
        let problem = serde_json::from_str::<ProblemDocument>(&text);
        let (code, id) =
            problem.map_or_else(|_| ("no problem of ours".into(), String::new()), |p| (p.code, p.request_id));
        return Err(failed(format!("{} ({code}), request id {id}.", status.as_u16())));
    }
    serde_json::from_str(&text).map_err(|e| failed(format!("an answer that is no JSON: {e}.")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_neighbors_of_a_revision_are_those_that_serve() {
        let of = |url: &str| sibling_url(&url.parse().unwrap(), "sync-push", "auth").map(|url| url.to_string());
        let serving = Some("https://auth-a1b2c3-ew.a.run.app/".to_owned());
        assert_eq!(of("https://candidate---sync-push-a1b2c3-ew.a.run.app"), serving);
        assert_eq!(of("https://sync-push-a1b2c3-ew.a.run.app"), serving);
        assert_eq!(of("https://heartbeat-a1b2c3-ew.a.run.app"), None);
        assert_eq!(of("https://sync-push-a1b2c3.example.com"), None);
    }
}
