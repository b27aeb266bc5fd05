//! HTTP calls, and the errors of their answers.

use std::io::{Read, Write};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use protocol::id::{IdempotencyKey, TenantId};
use serde::Serialize;
use serde::de::DeserializeOwned;
use ureq::http::{Response, StatusCode, Uri};
use ureq::{Agent, Body};

use crate::backoff::Backoff;
use crate::network::{Network, Way};
use crate::trace::Tracer;
use crate::trace_headers::marked;
use crate::{Address, Error, Fault, Outage, Refusal, http_failure};

/// Longest answer that is read, in bytes: a set of keys is the largest, and has a few kilobytes.
pub(crate) const MAX_ANSWER_LEN: u64 = 1024 * 1024;

/// Longest page of records that is read, in bytes: 4 MiB of contents, and their metadata.
const MAX_PAGE_LEN: u64 = 16 * 1024 * 1024;

/// Timeout of a call that transfers records, which are megabytes, perhaps over a slow line.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(120);

/// Timeout from the end of a request to the beginning of its answer.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Timeout of a probe, which only finds out whether a server answers.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// The most attempts of a call that a person waits for.
const ATTEMPTS: u32 = 3;

/// Time after which no further attempt begins.
const LAST_ATTEMPT_AFTER: Duration = Duration::from_secs(5);

/// A request.
#[derive(Debug)]
pub(crate) struct Ask<'a, B> {
    pub(crate) to: Address,
    pub(crate) body: &'a B,
    pub(crate) bearer: Option<&'a str>,
    pub(crate) idempotency_key: Option<&'a IdempotencyKey>,
}

/// Number of attempts that a call is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// One: the caller tries again by itself.
    Once,
    /// A few in quick succession, since a person waits.
    Few,
}

/// The header that names the tenant of the context: a person may be a user of several tenants.
const TENANT_HEADER: &str = "coditect-tenant";

/// The HTTP client.
#[derive(Clone, Debug)]
pub(crate) struct Cloud {
    network: Arc<Network>,
    /// Listener for traces of calls.
    pub(crate) tracer: Tracer,
}

impl Cloud {
    pub(crate) fn new(tracer: Tracer) -> Self {
        Self { network: Arc::new(Network::new(tracer.clone())), tracer }
    }

    pub(crate) fn get<T: DeserializeOwned>(&self, from: &Address, effort: Effort) -> Result<T, Error> {
        with_retries(effort, || {
            let answer = marked(self.agent(from)?.get(from.as_str())).call();
            read(from, answer, MAX_ANSWER_LEN)
        })
    }

    /// Fetches a page of records; `from` is an address with its query.
    pub(crate) fn get_page<T: DeserializeOwned>(
        &self,
        from: &Address,
        (bearer, tenant): (&str, TenantId),
        effort: Effort,
    ) -> Result<T, Error> {
        with_retries(effort, || {
            let request = marked(self.agent(from)?.get(from.as_str()));
            let request = request
                .header("authorization", format!("Bearer {bearer}"))
                .header(TENANT_HEADER, tenant.to_string())
                .config()
                .timeout_global(Some(TRANSFER_TIMEOUT));
            read(from, request.timeout_recv_response(Some(ANSWER_TIMEOUT)).build().call(), MAX_PAGE_LEN)
        })
    }

    /// Sends JSON that is worth compressing.
    pub(crate) fn post_packed<T: DeserializeOwned>(
        &self,
        to: &Address,
        (bearer, tenant): (&str, TenantId),
        json: &[u8],
        effort: Effort,
    ) -> Result<T, Error> {
        let mut packed = GzEncoder::new(Vec::with_capacity(json.len() / 4), Compression::fast());
        let packed = packed.write_all(json).and_then(|()| packed.finish()).expect("memory takes what is written");
        with_retries(effort, || {
            let request = marked(self.agent(to)?.post(to.as_str())).header("authorization", format!("Bearer {bearer}"));
            let request = request.header("content-type", "application/json").header("content-encoding", "gzip");
            let request = request.header(TENANT_HEADER, tenant.to_string());
            let request = request.config().timeout_global(Some(TRANSFER_TIMEOUT));
            read(to, request.timeout_recv_response(Some(ANSWER_TIMEOUT)).build().send(&packed[..]), MAX_PAGE_LEN)
        })
    }

    /// Calls a server that is not the cloud, with a form or without; once, since a form may carry something that can be used
    /// only once. Returns the answer whatever its status, with that status.
    pub(crate) fn ask_other(&self, to: &Address, form: Option<&[(&str, &str)]>) -> Result<(u16, String), Error> {
        let answer = match form {
            Some(form) => self.agent(to)?.post(to.as_str()).send_form(form.iter().copied()),
            None => self.agent(to)?.get(to.as_str()).call(),
        };
        let mut answer = answer.map_err(|error| failed(to, &error))?;
        let text = answer.body_mut().with_config().limit(MAX_ANSWER_LEN).read_to_string();
        Ok((answer.status().as_u16(), text.map_err(|error| failed(to, &error))?))
    }

    pub(crate) fn post<B: Serialize, T: DeserializeOwned>(&self, ask: &Ask<'_, B>, effort: Effort) -> Result<T, Error> {
        with_retries(effort, || {
            let mut request = marked(self.agent(&ask.to)?.post(ask.to.as_str()));
            if let Some(token) = ask.bearer {
                request = request.header("authorization", format!("Bearer {token}"));
            }
            if let Some(key) = ask.idempotency_key {
                request = request.header("idempotency-key", key.as_str());
            }
            read(&ask.to, request.send_json(ask.body), MAX_ANSWER_LEN)
        })
    }

    /// Calls the cloud once, with a short timeout, to find out whether it works.
    pub(crate) fn probe(&self, to: &Address) -> Result<Probe, Error> {
        let begin = Instant::now();
        let request = marked(self.agent(to)?.get(to.as_str())).config().timeout_global(Some(PROBE_TIMEOUT)).build();
        let mut answer = request.call().map_err(|error| failed(to, &error))?;
        let took = begin.elapsed();
        let text = answer.body_mut().with_config().limit(MAX_ANSWER_LEN).read_to_string();
        Ok(Probe {
            status: answer.status(),
            elsewhere: elsewhere(&answer),
            date: answer.headers().get("date").and_then(|date| Some(date.to_str().ok()?.to_owned())),
            text: text.map_err(|error| failed(to, &error))?,
            took,
        })
    }

    pub(crate) fn agent(&self, to: &Address) -> Result<&Agent, Error> {
        self.network.agent(to).map_err(|blocked| Error::outage(to, blocked.cause, blocked.fault))
    }
}

/// Retries a call that failed for a transient reason.
fn with_retries<T>(effort: Effort, attempt: impl Fn() -> Result<T, Error>) -> Result<T, Error> {
    let begin = Instant::now();
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(2));
    let mut attempts = 1;
    loop {
        let outage = match attempt() {
            Err(Error::Unavailable(outage)) if effort == Effort::Few && outage.may_pass_at_once() => outage,
            other => return other,
        };
        let wait = backoff.wait(outage.retry_after.map(Duration::from_secs));
        if attempts == ATTEMPTS || begin.elapsed() + wait > LAST_ATTEMPT_AFTER {
            return Err(Error::Unavailable(outage));
        }
        attempts += 1;
        thread::sleep(wait);
    }
}

fn read<T: DeserializeOwned>(
    to: &Address,
    answer: Result<Response<Body>, ureq::Error>,
    max_len: u64,
) -> Result<T, Error> {
    let mut answer = answer.map_err(|error| failed(to, &error))?;
    let header = answer.headers().get("retry-after").and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let status = answer.status();
    let elsewhere = elsewhere(&answer);
    // `take` limits the decompressed text; the limit of the body itself is of the bytes that arrive.
    let mut text = String::new();
    let mut body = answer.body_mut().with_config().limit(max_len).reader().take(max_len);
    body.read_to_string(&mut text).map_err(|error| failed(to, &ureq::Error::from(error)))?;
    if status.is_success() {
        return serde_json::from_str(&text).map_err(|_| foreign(to, &text));
    }

    let refusal = Refusal::parse(&text);
    if let (Some(host), None) = (elsewhere, &refusal) {
        return Err(redirected(to, &host));
    }
    let may_pass = status.is_server_error() || matches!(status.as_u16(), 408 | 429);
    match refusal {
        Some(refusal) if !may_pass => Err(Error::Refused(Box::new(refusal))),
        refusal => {
            let asked = refusal.as_ref().and_then(|refusal| refusal.problem.retry_after_seconds);
            let cause = format!("HTTP status {}", status.as_u16());
            let mut outage = Outage::new(to, cause, fault_of(status));
            outage.retry_after = header.or(asked);
            outage.refusal = refusal;
            Err(Error::Unavailable(Box::new(outage)))
        }
    }
}

/// Answer to a probe, from the cloud or from another server.
#[derive(Debug)]
pub(crate) struct Probe {
    status: StatusCode,
    /// The host that a redirect leads to.
    elsewhere: Option<String>,
    /// The server's time, as its `Date` header has it.
    pub(crate) date: Option<String>,
    text: String,
    pub(crate) took: Duration,
}

impl Probe {
    /// Returns the answer's JSON, if it comes from the cloud.
    pub(crate) fn read<T: DeserializeOwned>(&self, from: &Address) -> Result<T, Error> {
        match &self.elsewhere {
            Some(host) => Err(redirected(from, host)),
            None if self.status.is_success() => serde_json::from_str(&self.text).map_err(|_| foreign(from, &self.text)),
            None => Err(Error::outage(from, format!("HTTP status {}", self.status.as_u16()), fault_of(self.status))),
        }
    }
}

/// Returns the party at fault for an error status without a problem document of the cloud.
fn fault_of(status: StatusCode) -> Fault {
    match status {
        StatusCode::NETWORK_AUTHENTICATION_REQUIRED => Fault::Portal,
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Fault::Cloud,
        status if status.is_server_error() => Fault::Cloud,
        // A refusal by the cloud comes with a problem document.
        _ => Fault::Foreign,
    }
}

fn failed(to: &Address, error: &ureq::Error) -> Error {
    let (mut cause, mut fault) = http_failure::cause(error);
    // A call that fails on its way through a proxy counts as the proxy's fault, as far as can be seen from here.
    if let (Fault::Network, Ok(Some(way))) = (fault, Way::to(to)) {
        cause = format!("{cause}, through the proxy {way}");
        fault = Fault::Proxy;
    }
    Error::outage(to, cause, fault)
}

fn redirected(to: &Address, host: &str) -> Error {
    let cause = format!("it answers with a redirect to {host}, as a network's login page does");
    Error::outage(to, cause, Fault::Portal)
}

/// Returns the error for an answer that is not the expected JSON.
fn foreign(to: &Address, text: &str) -> Error {
    let (cause, fault) = if text.trim_start().starts_with('<') {
        ("a web page came in place of an answer, as from a network's login", Fault::Portal)
    } else if serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text).is_ok() {
        ("the answer is of a form that this version does not know", Fault::Form)
    } else {
        ("the answer is not one of CODITECT Cloud", Fault::Foreign)
    };
    Error::outage(to, cause, fault)
}

/// Returns the host that a redirect leads to; the rest of the address is of no use.
fn elsewhere(answer: &Response<Body>) -> Option<String> {
    let location = answer.headers().get("location").filter(|_| answer.status().is_redirection())?;
    let host = location.to_str().ok().and_then(|location| Some(location.parse::<Uri>().ok()?.host()?.to_owned()));
    Some(host.unwrap_or_else(|| "another page".to_owned()))
}
