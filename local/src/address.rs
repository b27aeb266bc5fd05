//! Addresses that secrets may be sent to.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use http::Uri;

use crate::Error;

/// A base address that license keys and tokens may be sent to: `https`, or `http` to this machine itself.
///
/// ```
/// use local::Address;
///
/// assert!("https://api.coditect.ai".parse::<Address>().is_ok());
/// assert!("http://127.0.0.1:8080".parse::<Address>().is_ok());
/// assert!("http://api.coditect.ai".parse::<Address>().is_err(), "everybody on the way could read the key");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Without a slash at its end.
    url: String,
    encrypted: bool,
}

impl Address {
    /// Address of the cloud, unless another one is set.
    pub const DEFAULT: &str = "https://api.coditect.ai";

    /// Returns the address, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// Returns true if requests are encrypted; if not, they do not leave this machine.
    pub fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    /// Parses an address that an identity provider named: it must meet the same demands, but may have a query or end with a
    /// slash.
    pub fn parse_endpoint(text: &str) -> Result<Self, Error> {
        let base = text.find('?').map_or(text, |query| &text[..query]);
        let base = base.trim_end_matches('/');
        Ok(base.parse::<Self>()?.join(&text[base.len()..]))
    }

    /// Returns the address of a path under this one.
    pub fn join(&self, path: &str) -> Self {
        Self { url: format!("{}{path}", self.url), encrypted: self.encrypted }
    }
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        // Errors show a bounded part of a wrong address, without a password.
        let shown = || text.rsplit('@').next().unwrap_or_default().chars().take(100).collect();
        let refuse = |fault| Error::Address { url: shown(), fault };
        let uri: Uri = text.parse().map_err(|_| refuse("it is not an address such as https://api.coditect.ai."))?;
        let host = uri.host().ok_or_else(|| refuse("it must begin with https:// and name a host."))?;
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(refuse("it must not hold a name or password."));
        }
        if uri.query().is_some() || text.contains('#') {
            return Err(refuse("it must end before any ? or #."));
        }
        let encrypted = match uri.scheme_str() {
            Some("https") => true,
            Some("http") if is_this_machine(host) => false,
            Some("http") => return Err(refuse("plain http would show the license key on the way. Use https.")),
            _ => return Err(refuse("it must begin with https://.")),
        };
        Ok(Self { url: text.trim_end_matches('/').to_owned(), encrypted })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

fn is_this_machine(host: &str) -> bool {
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    ip.map_or(host.eq_ignore_ascii_case("localhost"), |ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_this_machine_alone() {
        for good in
            ["https://a.example/", "http://localhost:1/x", "http://127.9.9.9", "http://[::1]:8080", " https://a "]
        {
            assert!(good.parse::<Address>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "a.example",
            "http://a.example",
            "http://localhost.evil.example",
            "http://128.0.0.1",
            "http://127.0.0.1@evil",
            "https://user:secret@a.example",
            "ftp://a.example",
            "https://a.example?x",
            "https://a.example#x",
            "//a",
            "http://0.0.0.0",
            "/etc/passwd",
        ] {
            let error = bad.parse::<Address>().unwrap_err();
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        assert_eq!("https://a.example//".parse::<Address>().unwrap().as_str(), "https://a.example");
    }
}
