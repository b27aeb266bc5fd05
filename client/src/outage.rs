//! Outages: reasons why the cloud could not be asked, and the place of the fault.

use std::fmt;
use std::io::ErrorKind;

use rustls::CertificateError;

use crate::error::Refusal;

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
    pub(crate) fn new(url: &impl fmt::Display, cause: impl Into<String>, fault: Fault) -> Self {
        Self { url: url.to_string(), cause: cause.into(), fault, refusal: None, retry_after: None }
    }

    /// Returns advice.
    pub(crate) fn hint(&self) -> String {
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
    pub(crate) fn may_pass_at_once(&self) -> bool {
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
    pub(crate) fn hint(self) -> &'static str {
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

/// Returns the cause of a failed call, and the place of the fault.
pub(crate) fn cause(error: &ureq::Error) -> (String, Fault) {
    let (cause, fault) = match error {
        ureq::Error::Timeout(_) => ("no answer in time", Fault::Network),
        ureq::Error::HostNotFound => ("there is no host of that name", Fault::Network),
        ureq::Error::ConnectionFailed => ("no connection", Fault::Network),
        ureq::Error::ConnectProxyFailed(why) => return (format!("the {why}"), Fault::Proxy),
        ureq::Error::Protocol(_) => ("the answer is no HTTP", Fault::Portal),
        ureq::Error::Rustls(error) => return of_tls(error),
        ureq::Error::Io(error) => match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(error) => return of_tls(error),
            None => match error.kind() {
                ErrorKind::ConnectionRefused => ("connection refused", Fault::Network),
                ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset => ("connection lost", Fault::Network),
                _ => return (error.to_string(), Fault::Network),
            },
        },
        other => return (other.to_string(), Fault::Network),
    };
    (cause.to_owned(), fault)
}

fn of_tls(error: &rustls::Error) -> (String, Fault) {
    use rustls::Error as Tls;
    let (cause, fault) = match error {
        Tls::InvalidCertificate(wrong) => match wrong {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                ("its certificate has expired", Fault::Expired)
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                ("its certificate is not valid yet", Fault::Expired)
            }
            CertificateError::UnknownIssuer => {
                ("its certificate was signed by an authority that this machine does not know", Fault::Authority)
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                ("its certificate belongs to another host", Fault::Name)
            }
            // Among them: self-signed certificates that are no authority's.
            other => return (format!("its certificate cannot be trusted: {other}"), Fault::Authority),
        },
        Tls::PeerIncompatible(_) | Tls::AlertReceived(_) => ("it speaks no TLS that is safe", Fault::Protocol),
        // An answer that is no TLS at all was not sent by the cloud.
        Tls::InvalidMessage(_) => ("the answer is no TLS", Fault::Portal),
        other => return (format!("the encrypted connection failed: {other}"), Fault::Protocol),
    };
    (cause.to_owned(), fault)
}
