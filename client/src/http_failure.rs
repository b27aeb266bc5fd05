//! Causes of failed HTTP calls, in words.

use std::io::ErrorKind;

use rustls::CertificateError;

use crate::Fault;

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
