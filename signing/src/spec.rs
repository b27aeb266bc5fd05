//! Where the signing key is, as `SIGNING_KEY` says it.

use std::path::PathBuf;

/// Where the signing key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SigningKeySpec {
    /// A Cloud KMS key version: its resource name.
    Kms(String),
    /// A PEM file.
    File(PathBuf),
}

/// The parts of a key version's resource name, in order.
const PARTS: [&str; 5] = ["projects", "locations", "keyRings", "cryptoKeys", "cryptoKeyVersions"];

impl SigningKeySpec {
    /// Parses `kms:projects/…/cryptoKeyVersions/N` or `file:/path.pem`.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn parse(value: &str) -> Result<Self, String> {
        if let Some(path) = value.strip_prefix("file:") {
            return if path.is_empty() {
                Err("names no file; write file:/path/to/key.pem".to_owned())
            } else {
                Ok(Self::File(path.into()))
            };
        }
        let name = value.strip_prefix("kms:").ok_or("must begin with `kms:` or `file:`")?;
        let parts: Vec<&str> = name.split('/').collect();
        let well_formed = parts.len() == 2 * PARTS.len()
            && parts.chunks(2).zip(PARTS).all(|(part, expected)| {
                part[0] == expected
                    && !part[1].is_empty()
                    && part[1].bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b))
            });
        if well_formed {
            Ok(Self::Kms(name.to_owned()))
        } else {
            Err("must name a key version: kms:projects/P/locations/L/keyRings/R/cryptoKeys/K/cryptoKeyVersions/N"
                .to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERSION: &str = "projects/p-1/locations/europe-west1/keyRings/r/cryptoKeys/k/cryptoKeyVersions/3";

    #[test]
    fn both_kinds_are_understood() {
        assert_eq!(SigningKeySpec::parse("file:/a/b.pem"), Ok(SigningKeySpec::File("/a/b.pem".into())));
        assert_eq!(SigningKeySpec::parse(&format!("kms:{VERSION}")), Ok(SigningKeySpec::Kms(VERSION.to_owned())));
    }

    #[test]
    fn anything_else_is_refused_with_a_sentence() {
        let broken = [
            String::new(),
            "file:".to_owned(),
            "/a/b.pem".to_owned(),
            VERSION.to_owned(),
            "kms:projects/p".to_owned(),
            format!("kms:{VERSION}/more"),
            format!("kms:{VERSION}").replace("keyRings", "rings"),
            format!("kms:{VERSION}").replace("p-1", "p?x=1"),
            format!("kms:{VERSION}").replace("p-1", ""),
        ];
        for value in broken {
            assert!(SigningKeySpec::parse(&value).is_err(), "{value} was accepted");
        }
    }
}
