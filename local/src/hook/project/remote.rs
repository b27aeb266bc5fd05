//! A remote's address, without what differs between clones of one repository: the protocol, the port, who signs in, the case
//! of the host, `.git` at the end.

use std::path::{Path, PathBuf};

use crate::text::nfc;

/// Where a repository was cloned from.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// Another machine.
    Remote(Remote),
    /// A folder of this one.
    Folder(PathBuf),
}

/// A repository on another machine.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Remote {
    /// The name that people use for it.
    pub(super) name: String,
    /// The identifier that all its clones share.
    pub(super) identity: String,
}

const AZURE: &str = "dev.azure.com";

/// Hosts that are another one's door for SSH, or an old name of it.
const SAME_HOSTS: [(&str, &str); 6] = [
    ("ssh.github.com", "github.com"),
    ("www.github.com", "github.com"),
    ("altssh.gitlab.com", "gitlab.com"),
    ("altssh.bitbucket.org", "bitbucket.org"),
    ("ssh.dev.azure.com", AZURE),
    ("vs-ssh.visualstudio.com", AZURE),
];

/// Hosts that don't tell capitals from small letters in a path.
const CASELESS_HOSTS: [&str; 4] = ["github.com", "gitlab.com", "bitbucket.org", AZURE];

impl Address {
    /// Reads an address as git does. `root` is where relative folders begin; `instead_of` says what an abbreviated address
    /// stands for, and `host_name` what a host's alias does.
    pub(super) fn parse(
        url: &str,
        root: &Path,
        instead_of: &dyn Fn(&str) -> Option<String>,
        host_name: &dyn Fn(&str) -> Option<String>,
    ) -> Option<Self> {
        let (host, path) = match parts(url) {
            // A host without a dot is an abbreviation, or a machine of the local network.
            Some((host, path)) if !host.contains('.') => match instead_of(url) {
                Some(longer) => return Self::parse(&longer, root, &|_| None, host_name),
                None => (host_name(&host).unwrap_or(host), path),
            },
            Some(parts) => parts,
            None => {
                let path = match url.split_once("://") {
                    Some((scheme, path)) if scheme.eq_ignore_ascii_case("file") => path,
                    Some(_) => return None,
                    None => url,
                };
                return Some(Self::Folder(root.join(path)));
            }
        };
        Remote::of(&host, &path).map(Self::Remote)
    }
}

/// Host and path of an address on another machine.
fn parts(url: &str) -> Option<(String, String)> {
    let (authority, path) = match url.split_once("://") {
        Some((scheme, _)) if scheme.eq_ignore_ascii_case("file") => return None,
        Some((_, rest)) => {
            let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
            (authority, percent_decoded(path))
        }
        None => {
            // `git@host:path`; with a slash before the colon it is a folder, and so is a drive's letter.
            let colon = match url.find("]:") {
                Some(end) => end + 1,
                None => url.find(':')?,
            };
            let (authority, path) = (&url[..colon], &url[colon + 1..]);
            if authority.contains('/') || authority.len() == 1 {
                return None;
            }
            (authority, path.to_owned())
        }
    };
    let host = authority.rsplit('@').next().unwrap_or(authority);
    let host = match host.strip_prefix('[') {
        Some(address) => address.split(']').next().unwrap_or(address),
        None => host.split(':').next().unwrap_or(host),
    };
    let host = host.trim_end_matches('.').to_lowercase();
    (!host.is_empty()).then_some((host, path))
}

impl Remote {
    fn of(host: &str, path: &str) -> Option<Self> {
        let host = SAME_HOSTS.iter().find(|(other, _)| *other == host).map_or(host, |(_, same)| same);
        let path = nfc(path);
        let mut parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        // `org.visualstudio.com/project` is `dev.azure.com/org/project` of old.
        if let Some(organization) = host.strip_suffix(".visualstudio.com") {
            parts.retain(|part| !part.eq_ignore_ascii_case("DefaultCollection"));
            parts.insert(0, organization);
            return Self::joined(AZURE, &azure(&parts));
        }
        if host == AZURE {
            return Self::joined(host, &azure(&parts));
        }
        // Where Bitbucket Server has its repositories for HTTPS.
        if parts.len() == 3 && parts[0] == "scm" {
            parts.remove(0);
        }
        Self::joined(host, &parts)
    }

    fn joined(host: &str, parts: &[&str]) -> Option<Self> {
        let path = parts.join("/");
        let path = path.strip_suffix(".git").unwrap_or(&path).trim_end_matches('/');
        let path = if CASELESS_HOSTS.contains(&host) { path.to_lowercase() } else { path.to_owned() };
        let name = path.rsplit('/').next().filter(|name| !name.is_empty())?.to_owned();
        Some(Self { name, identity: format!("{host}/{path}") })
    }
}

/// `v3/org/project/repo` of SSH is `org/project/_git/repo` of HTTPS, and a repository that is called like its project leaves
/// that out.
fn azure<'a>(parts: &[&'a str]) -> Vec<&'a str> {
    let mut parts: Vec<&str> = parts.iter().copied().skip_while(|part| *part == "v3").collect();
    if let Some(at) = parts.iter().position(|part| *part == "_git") {
        parts.remove(at);
        if at == 1
            && let Some(&project) = parts.get(at)
        {
            parts.insert(at, project);
        }
    }
    parts
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        let number = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
        match behind.get(..2).filter(|_| first == b'%').and_then(number) {
            Some(byte) => {
                bytes.push(byte);
                rest = &behind[2..];
            }
            None => {
                bytes.push(first);
                rest = behind;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(url: &str) -> String {
        match Address::parse(url, Path::new("/srv/tree"), &|_| None, &|_| None) {
            Some(Address::Remote(remote)) => remote.identity,
            Some(Address::Folder(folder)) => format!("folder {}", folder.display()),
            None => String::new(),
        }
    }

    #[test]
    fn one_repository_has_one_identity_however_it_is_written() {
        let same: &[(&str, &[&str])] = &[
            (
                "github.com/acme/api",
                &[
                    "https://github.com/acme/api",
                    "https://github.com/acme/api.git",
                    "https://ada:token@GitHub.com:443/Acme/API.git/",
                    "http://github.com//acme/api",
                    "git@github.com:acme/api.git",
                    "github.com:acme/api",
                    "ssh://git@github.com/acme/api.git",
                    "ssh://git@ssh.github.com:443/acme/api.git",
                    "git://github.com/acme/api",
                    "git+ssh://git@github.com./acme/api",
                ],
            ),
            (
                "git.corp.example/Team/api",
                &["https://git.corp.example:8443/scm/Team/api.git", "ssh://git@GIT.corp.example:7999/Team/api.git"],
            ),
            (
                "dev.azure.com/org/our project/repo",
                &[
                    "https://org@dev.azure.com/org/our%20project/_git/repo",
                    "git@ssh.dev.azure.com:v3/org/our project/repo",
                    "https://org.visualstudio.com/DefaultCollection/our%20project/_git/repo",
                    "org@vs-ssh.visualstudio.com:v3/org/our project/repo",
                ],
            ),
            (
                "dev.azure.com/org/api/api",
                &["https://dev.azure.com/org/_git/api", "https://dev.azure.com/org/api/_git/api"],
            ),
            ("::1/srv/api", &["ssh://[::1]:2222/srv/api.git", "[::1]:/srv/api", "git@[::1]:srv/api"]),
            ("host/caf\u{e9}", &["host:cafe\u{301}", "ssh://host/caf%C3%A9", "ssh://host/cafe%CC%81"]),
            ("folder /srv/git/api.git", &["/srv/git/api.git", "file:///srv/git/api.git", "FILE:///srv/git/api.git"]),
            ("folder /srv/tree/../api", &["../api"]),
        ];
        for (expected, urls) in same {
            for url in *urls {
                assert_eq!(identity(url), *expected, "{url}");
            }
        }
        assert_eq!(identity("https://"), "");
        assert_eq!(identity("git@github.com:"), "");
    }

    #[test]
    fn other_repositories_have_other_identities() {
        let urls = [
            "https://github.com/one/api",
            "https://github.com/other/api",
            "https://gitlab.com/one/api",
            "https://git.corp.example/one/api",
            "https://git.corp.example/One/api",
            "https://github.com/one/api-2",
        ];
        let identities: std::collections::BTreeSet<String> = urls.iter().map(|url| identity(url)).collect();
        assert_eq!(identities.len(), urls.len());
    }

    #[test]
    fn an_abbreviation_stands_for_what_it_says() {
        let longer = |url: &str| Some(format!("https://github.com/{}", url.strip_prefix("gh:")?));
        let host = |host: &str| (host == "work").then(|| "github.com".to_owned());
        for url in ["gh:acme/api", "git@work:acme/api.git", "ssh://git@work/acme/api"] {
            let remote = Remote { name: "api".into(), identity: "github.com/acme/api".into() };
            assert_eq!(Address::parse(url, Path::new("/"), &longer, &host), Some(Address::Remote(remote)), "{url}");
        }
    }
}
