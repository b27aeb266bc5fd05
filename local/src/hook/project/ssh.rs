//! Hosts that a person has given another name in `~/.ssh/config`, as one does for a second account at the same host.

use std::path::Path;

use super::read;
use crate::text::decoded;

/// The host that an alias stands for.
pub(super) fn host_name(home: &Path, alias: &str) -> Option<String> {
    find(&decoded(&read(&home.join(".ssh/config"))?), alias)
}

fn find(text: &str, alias: &str) -> Option<String> {
    let mut applies = false;
    for line in text.lines() {
        let Some((keyword, value)) = line.trim().split_once(|char: char| char.is_whitespace() || char == '=') else {
            continue;
        };
        let value = value.trim_matches(|char: char| char.is_whitespace() || matches!(char, '=' | '"'));
        match keyword.to_ascii_lowercase().as_str() {
            "host" => applies = value.split_whitespace().any(|name| name.trim_matches('"').eq_ignore_ascii_case(alias)),
            "match" => applies = false,
            "hostname" if applies => return Some(value.replace("%h", alias).to_lowercase()),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_stands_for_its_host() {
        let text = "HostName nothing\n# Host commented\nHost work github-work\n  HostName = GitHub.com\nHost *\n  HostName other\n\
                    Match host own\n  HostName matched\nhost \"own\"\n\thostname\t\"%h.example.com\"\n";
        assert_eq!(find(text, "github-work").as_deref(), Some("github.com"));
        assert_eq!(find(text, "own").as_deref(), Some("own.example.com"));
        assert_eq!(find(text, "commented"), None);
    }
}
