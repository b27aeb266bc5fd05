//! Network settings: the proxy, and the root certificates that are trusted.
//!
//! They are not read before the first encrypted call, so that commands that need no cloud need no network settings either.

use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use jiff::Timestamp;
use local::{clock, environment};
use rustls_native_certs::{CertificateResult, load_certs_from_paths, load_native_certs};
use ureq::http::{Request, Uri};
use ureq::middleware::MiddlewareNext;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Proxy, SendBody};

use crate::trace::Tracer;
use crate::{Address, Fault};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// Hosts that are never reached through a proxy: this machine itself.
const HERE: [&str; 3] = ["localhost", "127.*", "[::1]"];

/// HTTP agents, made from the network settings at the first call.
#[derive(Debug)]
pub(crate) struct Network {
    tracer: Tracer,
    outside: OnceLock<Result<Agent, Blocked>>,
    /// Agent for plain http, to this machine alone.
    inside: OnceLock<Agent>,
}

/// Reason why no request can leave this machine: a setting of the environment cannot be used.
#[derive(Clone, Debug)]
pub(crate) struct Blocked {
    pub(crate) cause: String,
    pub(crate) fault: Fault,
}

impl Network {
    pub(crate) fn new(tracer: Tracer) -> Self {
        Self { tracer, outside: OnceLock::new(), inside: OnceLock::new() }
    }

    /// Returns the agent that calls this address.
    pub(crate) fn agent(&self, to: &Address) -> Result<&Agent, Blocked> {
        if to.is_encrypted() {
            if clock::now() < Timestamp::UNIX_EPOCH {
                // No certificate can be checked by such a clock.
                let cause = "this machine's clock shows a time before 1970".to_owned();
                return Err(Blocked { cause, fault: Fault::Expired });
            }
            self.outside.get_or_init(|| self.outside()).as_ref().map_err(Blocked::clone)
        } else {
            Ok(self.inside.get_or_init(|| self.new_agent(None, RootCerts::WebPki, false)))
        }
    }

    fn outside(&self) -> Result<Agent, Blocked> {
        Ok(self.new_agent(Way::named()?.map(|way| way.proxy), roots()?.0, true))
    }

    fn new_agent(&self, proxy: Option<Proxy>, roots: RootCerts, https_only: bool) -> Agent {
        let tracer = self.tracer.clone();
        Agent::config_builder()
            .middleware(move |request: Request<SendBody<'_>>, next: MiddlewareNext<'_>| tracer.follow(request, next))
            .https_only(https_only)
            .proxy(proxy)
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .http_status_as_error(false)
            // A key or token goes to the address that was checked, and is not passed on from there.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_resolve(Some(CONNECT_TIMEOUT))
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_global(Some(CALL_TIMEOUT))
            .user_agent(concat!("coditect/", env!("CARGO_PKG_VERSION")))
            .accept("application/json")
            .build()
            .new_agent()
    }
}

/// A proxy, and the variable that names it.
pub(crate) struct Way {
    proxy: Proxy,
    variable: &'static str,
}

impl Way {
    /// Returns the proxy for this address; none if it is called directly.
    pub(crate) fn to(address: &Address) -> Result<Option<Self>, Blocked> {
        let Some(way) = Self::named()? else { return Ok(None) };
        let target: Option<Uri> = address.as_str().parse().ok();
        let straight = !address.is_encrypted() || target.is_none_or(|target| way.proxy.is_no_proxy(&target));
        Ok(if straight { None } else { Some(way) })
    }

    fn named() -> Result<Option<Self>, Blocked> {
        let Some((variable, value)) = environment::proxy() else { return Ok(None) };
        let wrong = |_| Blocked {
            // Without the value: there may be a password in it.
            cause: format!("{variable} is not the address of a proxy, such as http://proxy.example.com:3128"),
            fault: Fault::Proxy,
        };
        let named = Proxy::new(value.trim()).map_err(wrong)?;
        let mut builder = Proxy::builder(named.protocol()).host(named.host()).port(named.port());
        builder = named.username().iter().fold(builder, |builder, name| builder.username(name));
        builder = named.password().iter().fold(builder, |builder, word| builder.password(word));
        builder = HERE.iter().fold(builder, |builder, host| builder.no_proxy(host));
        let no_proxy = environment::no_proxy();
        for host in no_proxy.split([',', ' ']).map(|host| host.trim().trim_start_matches('.')) {
            if !host.is_empty() {
                // As in other programs, a name stands for its subdomains, too.
                builder = builder.no_proxy(host).no_proxy(&format!(".{host}"));
            }
        }
        Ok(Some(Self { proxy: builder.build().map_err(wrong)?, variable }))
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} ({})", self.proxy.host(), self.proxy.port(), self.variable)
    }
}

/// Returns the source of the trusted root certificates, for people.
pub(crate) fn believed() -> Result<&'static str, Blocked> {
    Ok(roots()?.1)
}

/// Returns the trusted root certificates and their source: those that the environment names; else the operating system's; else,
/// as in an empty container, those of browsers.
fn roots() -> Result<(RootCerts, &'static str), Blocked> {
    let (file, folders) = environment::certificates();
    if file.is_none() && folders.is_empty() {
        let found = load_native_certs().certs;
        return Ok(match found.is_empty() {
            true => (RootCerts::WebPki, "those of browsers"),
            false => (store(&found), "those of the operating system"),
        });
    }
    if let Some(file) = file {
        let found = load_certs_from_paths(Some(&file), None);
        return named(&found, "SSL_CERT_FILE").map(|roots| (roots, "those of SSL_CERT_FILE"));
    }
    let mut all = CertificateResult::default();
    for found in folders.iter().map(|folder| load_certs_from_paths(None, Some(folder))) {
        all.certs.extend(found.certs);
        all.errors.extend(found.errors);
    }
    named(&all, "SSL_CERT_DIR").map(|roots| (roots, "those of SSL_CERT_DIR"))
}

fn named(found: &CertificateResult, variable: &str) -> Result<RootCerts, Blocked> {
    if found.certs.is_empty() {
        let fault = found.errors.first().map_or_else(|| "it has no certificate".to_owned(), ToString::to_string);
        return Err(Blocked { cause: format!("what {variable} names is of no use: {fault}"), fault: Fault::Roots });
    }
    Ok(store(&found.certs))
}

fn store(found: &[impl AsRef<[u8]>]) -> RootCerts {
    found.iter().map(|one| Certificate::from_der(one.as_ref()).to_owned()).into()
}
