//! Certificate authorities that TLS to Postgres and Redis trusts: the web's, or a deployment's own.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::config::{self, Setup};

/// Certificate authorities of `CA_CERTIFICATES`, beside the web's.
#[derive(Debug, Clone, Default)]
pub struct CaCertificates {
    pem: Option<String>,
    own: Vec<CertificateDer<'static>>,
}

impl CaCertificates {
    /// Reads `CA_CERTIFICATES`; without it there are none. `None` when a mistake was noted.
    #[must_use]
    pub fn from_setup(setup: &mut Setup) -> Option<Self> {
        setup.optional(&config::CA_CERTIFICATES, Self::parse).map(Option::unwrap_or_default)
    }

    /// Parses PEM certificates.
    ///
    /// # Errors
    /// A sentence for the list of mistakes.
    pub fn parse(pem: &str) -> Result<Self, String> {
        let wrong = "must be certificates in PEM: -----BEGIN CERTIFICATE-----, …";
        let own: Vec<_> =
            CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().map_err(|_| wrong.to_owned())?;
        let mut roots = rustls::RootCertStore::empty();
        if own.is_empty() || own.iter().any(|certificate| roots.add(certificate.clone()).is_err()) {
            return Err(wrong.to_owned());
        }
        Ok(Self { pem: Some(pem.to_owned()), own })
    }

    /// Returns a TLS client configuration that trusts the web's authorities and these.
    pub(crate) fn tls(&self) -> rustls::ClientConfig {
        let mut roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.into() };
        roots.add_parsable_certificates(self.own.iter().cloned());
        rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()
    }

    /// Returns these authorities alone, in the form that the Redis client takes.
    pub(crate) fn for_redis(&self) -> Option<redis::TlsCertificates> {
        let pem = self.pem.as_ref()?;
        Some(redis::TlsCertificates { client_tls: None, root_cert: Some(pem.clone().into_bytes()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // As Terraform writes it for Cloud SQL: the name is for the certificate, the address for the connection.
    #[test]
    fn a_url_may_name_the_server_and_its_address() {
        crate::serve::install_crypto();
        let url = "postgresql://coditect_acquire:secret@x.y.europe-west1.sql.goog:5432/coditect?hostaddr=10.21.0.5&sslmode=require";
        assert!(crate::Db::connect(url, &CaCertificates::default()).is_ok());
    }

    #[test]
    fn what_is_no_certificate_is_a_mistake() {
        for wrong in ["", "secret", "-----BEGIN CERTIFICATE-----\nc2VjcmV0\n-----END CERTIFICATE-----"] {
            let sentence = CaCertificates::parse(wrong).unwrap_err();
            assert!(sentence.contains("PEM") && !sentence.contains("c2VjcmV0"), "{sentence}");
        }
    }
}
