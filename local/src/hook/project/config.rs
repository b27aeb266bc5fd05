//! Reads Git's configuration, as far as remotes need it: sections, quotes, escapes, comments, includes.

use std::path::{Path, PathBuf};

use super::read;
use crate::text::decoded;

/// The deepest nesting of included files; git's own limit.
const MAX_DEPTH: usize = 10;

/// Variables in the order in which they are set.
#[derive(Debug, Default)]
pub(super) struct Config(Vec<Variable>);

#[derive(Debug, PartialEq)]
struct Variable {
    /// In lowercase.
    section: String,
    subsection: String,
    /// In lowercase.
    name: String,
    value: String,
}

impl Config {
    /// Reads a repository's configuration file, with its includes.
    pub(super) fn read(path: &Path, home: Option<&Path>) -> Self {
        let mut variables = Vec::new();
        collect(path, home, MAX_DEPTH, &mut variables);
        Self(variables)
    }

    /// Reads a user's own configuration files.
    pub(super) fn personal(home: &Path) -> Self {
        let mut variables = Vec::new();
        for file in [".config/git/config", ".gitconfig"] {
            collect(&home.join(file), Some(home), MAX_DEPTH, &mut variables);
        }
        Self(variables)
    }

    /// Returns the URL of the default remote: `origin`, else `upstream`, else the first by name.
    pub(super) fn remote_url(&self) -> Option<&str> {
        let urls = || self.0.iter().filter(|variable| variable.section == "remote" && variable.name == "url");
        let urls = || urls().filter(|variable| !variable.value.trim().is_empty());
        let named = |name: &str| urls().find(|variable| variable.subsection == name);
        let url = named("origin").or_else(|| named("upstream")).or_else(|| urls().min_by_key(|url| &url.subsection))?;
        Some(url.value.trim())
    }

    /// Expands a URL that `url.….insteadOf` abbreviates.
    pub(super) fn instead_of(&self, url: &str) -> Option<String> {
        let rules = self.0.iter().filter(|variable| variable.section == "url" && variable.name == "insteadof");
        let rules = rules.filter(|rule| !rule.value.is_empty() && url.starts_with(&rule.value));
        let rule = rules.max_by_key(|rule| rule.value.len())?;
        Some(format!("{}{}", rule.subsection, &url[rule.value.len()..]))
    }
}

fn collect(path: &Path, home: Option<&Path>, depth: usize, variables: &mut Vec<Variable>) {
    let Some(text) = read(path).filter(|_| depth > 0) else { return };
    for variable in parse(&decoded(&text)) {
        // Conditions of `includeIf`, such as folders and branches, are not evaluated: a remote that is set under one is as
        // good as any.
        let includes = matches!(variable.section.as_str(), "include" | "includeif") && variable.name == "path";
        if includes {
            collect(&included(path, home, &variable.value), home, depth - 1, variables);
        } else {
            variables.push(variable);
        }
    }
}

fn included(from: &Path, home: Option<&Path>, path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), home) {
        (Some(path), Some(home)) => home.join(path),
        _ => from.parent().unwrap_or(Path::new("")).join(path),
    }
}

/// Parses the variables of a text. Anything that can't be parsed is left out.
fn parse(text: &str) -> Vec<Variable> {
    let (mut section, mut subsection) = (String::new(), String::new());
    let mut variables = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let mut line = line.trim_start();
        if let Some(header) = line.strip_prefix('[') {
            let Some((found, rest)) = parse_header(header) else { continue };
            (section, subsection) = found;
            line = rest.trim_start();
        }
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        let (name, value) = line.split_once('=').unwrap_or((line, "true"));
        let value = parse_value(value, &mut lines);
        let name = name.trim().to_ascii_lowercase();
        variables.push(Variable { section: section.clone(), subsection: subsection.clone(), name, value });
    }
    variables
}

/// Parses a header such as `remote "origin"]`, and returns it with the rest of the line.
fn parse_header(text: &str) -> Option<((String, String), &str)> {
    let name_len = text.find(|char: char| !(char.is_ascii_alphanumeric() || matches!(char, '-' | '.')))?;
    let (name, rest) = text.split_at(name_len);
    let rest = rest.trim_start();
    let Some(quoted) = rest.strip_prefix('"') else {
        // The deprecated syntax: `[remote.origin]`.
        let (section, subsection) = name.split_once('.').unwrap_or((name, ""));
        return Some(((section.to_ascii_lowercase(), subsection.to_ascii_lowercase()), rest.strip_prefix(']')?));
    };
    let mut subsection = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => {
                let rest = quoted[at + 1..].trim_start().strip_prefix(']')?;
                return Some(((name.to_ascii_lowercase(), subsection), rest));
            }
            '\\' => subsection.extend(chars.next().map(|(_, char)| char)),
            char => subsection.push(char),
        }
    }
    None
}

/// Parses a value, without quotes, escapes and comments; one that ends with a backslash continues in the next line.
fn parse_value<'a>(first: &str, lines: &mut impl Iterator<Item = &'a str>) -> String {
    let mut value = String::new();
    // The length without trailing space.
    let mut kept = 0;
    let mut in_quotes = false;
    let mut line = first.trim_start();
    loop {
        let mut goes_on = false;
        let mut chars = line.chars();
        while let Some(char) = chars.next() {
            match char {
                '"' => in_quotes = !in_quotes,
                '#' | ';' if !in_quotes => break,
                '\\' => match chars.next() {
                    None => goes_on = true,
                    Some('n') => value.push('\n'),
                    Some('t') => value.push('\t'),
                    Some(char) => value.push(char),
                },
                char => value.push(char),
            }
            if in_quotes || !char.is_whitespace() {
                kept = value.len();
            }
        }
        if !goes_on {
            break;
        }
        let Some(next) = lines.next() else { break };
        line = next;
    }
    value.truncate(kept);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_as_git_reads_them() {
        let text = "; comment\n[core] bare = false\n[Remote \"or\\\"igin\"]\n\tURL = \"https://a/x#y\" ; why\n\
                    \tfetch = +refs/heads/*:refs/remotes/origin/*\n[remote.old] url=ssh\\\n//b \n[empty]\n\tflag\n[broken\n";
        let found = parse(text);
        let shown: Vec<_> = found
            .iter()
            .map(|found| format!("{}|{}|{}|{}", found.section, found.subsection, found.name, found.value))
            .collect();
        assert_eq!(
            shown,
            [
                "core||bare|false",
                "remote|or\"igin|url|https://a/x#y",
                "remote|or\"igin|fetch|+refs/heads/*:refs/remotes/origin/*",
                "remote|old|url|ssh//b",
                "empty||flag|true",
            ]
        );
    }

    #[test]
    fn the_remote_is_the_one_that_people_mean() {
        let url = |text: &str| Config(parse(text)).remote_url().map(str::to_owned);
        assert_eq!(url("[remote \"a\"]\nurl=1\n[remote \"origin\"]\nurl=2\nurl=3").as_deref(), Some("2"));
        assert_eq!(url("[remote \"b\"]\nurl=1\n[remote \"upstream\"]\nurl=2").as_deref(), Some("2"));
        assert_eq!(url("[remote \"b\"]\nurl=1\n[remote \"a\"]\nurl=2").as_deref(), Some("2"));
        assert_eq!(url("[remote \"origin\"]\nurl=\n"), None);
        assert_eq!(url("[branch \"main\"]\nremote = origin\n"), None);
    }

    #[test]
    fn the_longest_prefix_is_replaced() {
        let rules =
            "[url \"https://github.com/\"]\ninsteadOf = gh:\n[url \"https://corp.example/\"]\ninsteadOf = gh:corp/\n";
        let config = Config(parse(rules));
        assert_eq!(config.instead_of("gh:acme/api").as_deref(), Some("https://github.com/acme/api"));
        assert_eq!(config.instead_of("gh:corp/api").as_deref(), Some("https://corp.example/api"));
        assert_eq!(config.instead_of("https://github.com/acme/api"), None);
    }

    #[test]
    fn included_files_count_and_circles_end() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("config", "\u{feff}[include]\n\tpath = more\n[includeIf \"gitdir:~/x/\"]\npath = ~/mine\n");
        write("more", "[include]\npath = config\n");
        write("mine", "[remote \"origin\"]\nurl = https://a/b\n");
        let config = Config::read(&folder.path().join("config"), Some(folder.path()));
        assert_eq!(config.remote_url(), Some("https://a/b"));
    }
}
