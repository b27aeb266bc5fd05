//! Outages: reasons why the cloud could not be asked, and the place of the fault.

use std::fmt;

use super::Refusal;

/// Reason why the cloud could not be asked.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Outage {
    /// The address that was asked.
    pub url: String,
    /// Cause: no sentence, but a reason such as "connection refused".
    pub cause: String,
    /// Place of the fault.
    pub fault: Fault,
    /// Problem document of the cloud, if it sent one.
    pub refusal: Option<Refusal>,
    /// Seconds to wait before the next attempt, if the cloud named them.
    pub retry_after: Option<u64>,
}

/// Place of a fault, as far as it makes a difference to the remedy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Nothing came back, or not in time.
    Network,
    /// The proxy that the environment names does not lead anywhere.
    Proxy,
    /// The certificates that `SSL_CERT_FILE` or `SSL_CERT_DIR` names cannot be used.
    Roots,
    /// The certificate is not valid at this machine's time.
    Expired,
    /// The certificate was signed by an authority that this machine does not know.
    Authority,
    /// The certificate is another host's.
    Name,
    /// The server supports no version of TLS that is safe.
    Protocol,
    /// A captive portal, or another server on the way, answered in the cloud's place.
    Portal,
    /// The server that answered is not the cloud.
    Foreign,
    /// The cloud answered, and cannot help at the moment.
    Cloud,
    /// The answer is JSON, but not of a form that this version knows.
    Form,
}

impl Outage {
    /// Returns an outage before anything came back.
    pub fn new(url: &impl fmt::Display, cause: impl Into<String>, fault: Fault) -> Self {
        Self { url: url.to_string(), cause: cause.into(), fault, refusal: None, retry_after: None }
    }

    /// Returns advice.
    pub fn hint(&self) -> String {
        let help = match self.retry_after {
            Some(seconds) => format!("Try again in {seconds} seconds; `coditect status` shows what is stored here."),
            None => self.fault.hint().to_owned(),
        };
        match self.refusal.as_ref().map(|refusal| refusal.problem.request_id.as_str()) {
            None | Some("") => help,
            Some(id) => format!("{help} Support finds it by request id {id}."),
        }
    }

    /// Returns true if an immediate retry could succeed.
    pub fn may_pass_at_once(&self) -> bool {
        matches!(self.fault, Fault::Network | Fault::Cloud | Fault::Proxy)
    }
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.refusal {
            Some(refusal) => refusal.fmt(f),
            None => write!(f, "The cloud cannot be reached at {} ({}).", self.url, self.cause),
        }
    }
}

impl Fault {
    /// Returns advice.
    pub fn hint(self) -> &'static str {
        match self {
            Self::Network => "Check the network; `coditect doctor` looks for the cause.",
            Self::Proxy => {
                "HTTPS_PROXY or ALL_PROXY names the proxy, NO_PROXY the hosts that need none. `coditect doctor` shows what is in \
                 use."
            }
            Self::Roots => {
                "SSL_CERT_FILE names a file with certificates in PEM, SSL_CERT_DIR a folder of them; without both, the operating \
                 system's are used."
            }
            Self::Expired => {
                "Check this machine's clock with `date`. If it is right, the certificate has to be renewed: tell your admin."
            }
            Self::Authority => {
                "If your company's proxy or cloud has a certificate authority of its own, name the authority's certificate: \
                 `SSL_CERT_FILE=/path/to/authority.pem coditect doctor`."
            }
            Self::Name => {
                "Check the address with `coditect config get cloud-url`. In a hotel or on a train, log in to the network first."
            }
            Self::Protocol => {
                "TLS 1.2 is the least that is safe. An old proxy in between may speak less: `env | grep -i proxy` shows it."
            }
            Self::Portal => "Open any page in a browser and log in to the network, then try again.",
            Self::Foreign => {
                "Check the address with `coditect config get cloud-url`, and whether a proxy is in between with `env | grep -i \
                 proxy`."
            }
            Self::Form => {
                "`coditect self update` installs the newest version, which may know it. Else check the address with `coditect config \
                 get cloud-url`."
            }
            Self::Cloud => {
                "Try again in a few minutes; `coditect status` shows what is stored here and how long it serves."
            }
        }
    }
}
