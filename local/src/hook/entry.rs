//! Finds, adds and removes our entry among an agent's hooks, in the text of the agent's settings.
//!
//! ```json
//! {"hooks": {"PostToolUse": [{"matcher": "…", "hooks": [{"type": "command", "command": "'/usr/bin/coditect' hook task-plan"}]}]}}
//! ```

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::document::Container;

/// Tools of which each use is passed to the hook.
const MATCHER: &str = "TodoWrite|TaskCreate|TaskUpdate";

const HOOKS: &str = "hooks";
const AFTER_TOOL: &str = "PostToolUse";

/// End of our command.
const VERB: &str = "hook task-plan";

/// The beginning of a portable command, which does nothing, silently, where coditect is not installed.
const IF_THERE: &str = "! command -v coditect >/dev/null || ";

/// Longest time that the agent waits for the hook, in seconds. It should never have to.
const TIMEOUT: u32 = 10;

/// Reason why a text can't be changed.
#[derive(Debug)]
pub(super) enum Fault {
    /// It is not JSON.
    Syntax(serde_json::Error),
    /// It is JSON, but not of the form of an agent's settings.
    Shape(&'static str),
}

/// Outermost item that was created for the first entry, so that removing the entry restores the previous text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Made {
    /// Nothing but the entry.
    Entry,
    /// The list that it is in.
    List,
    /// The object that the list is in.
    Hooks,
    /// The file.
    File,
}

/// One of our entries in the settings.
#[derive(Debug)]
pub(super) struct Found {
    /// Index of its group in the list, and its own in the group.
    place: (usize, usize),
    /// The command that it runs.
    pub(super) command: String,
    /// True if its matcher covers all the tools.
    pub(super) covers: bool,
}

#[derive(Serialize)]
struct Hooks<'a> {
    #[serde(rename = "PostToolUse")]
    after_tool: [Group<'a>; 1],
}

#[derive(Serialize)]
struct Group<'a> {
    matcher: &'a str,
    hooks: [Hook<'a>; 1],
}

#[derive(Serialize)]
struct Hook<'a> {
    r#type: &'a str,
    command: &'a str,
    timeout: u32,
}

/// Returns the command that an entry runs: this program, quoted for a shell.
pub(super) fn command(program: &str, home: Option<&str>) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
    let home = home.map(|home| format!(" --home {}", quoted(home))).unwrap_or_default();
    format!("{}{home} {VERB}", quoted(program))
}

/// Returns the command for settings that several people share: this program by its name in `PATH`.
pub(super) fn portable_command() -> String {
    format!("{IF_THERE}coditect {VERB}")
}

/// Returns the reason why an entry with another matcher does not record all changes.
pub(super) fn not_covered() -> String {
    format!("its matcher is not {MATCHER}, so that changes are missed")
}

/// Returns our entries, in order.
pub(super) fn find(text: &str) -> Result<Vec<Found>, Fault> {
    let root = root(text)?;
    let Some(list) = list(text, &root)? else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for (at, group) in list.values.iter().enumerate() {
        // A value that isn't a group of hooks is another program's, and is ignored.
        let Some(group) = Container::object(text, group) else { continue };
        let Some(hooks) = group.get(HOOKS).and_then(|hooks| Container::list(text, hooks)) else { continue };
        let covers = group.get("matcher").and_then(word).is_none_or(|matcher| covers(&matcher));
        for (place, hook) in hooks.values.iter().enumerate() {
            let hook = Container::object(text, hook);
            let command = hook.and_then(|hook| hook.get("command").and_then(word));
            if let Some(command) = command.filter(|command| is_ours(command)) {
                found.push(Found { place: (at, place), command, covers });
            }
        }
    }
    Ok(found)
}

/// Returns the text with our entry as the last one, and the outermost item that was created for it.
pub(super) fn add(text: &str, command: &str) -> Result<(String, Made), Fault> {
    let hook = Hook { r#type: "command", command, timeout: TIMEOUT };
    let group = Group { matcher: MATCHER, hooks: [hook] };
    let root = root(text)?;
    let Some(hooks) = hooks(text, &root)? else {
        return Ok((root.with(Some(HOOKS), &Hooks { after_tool: [group] }), Made::Hooks));
    };
    match list(text, &root)? {
        None => Ok((hooks.with(Some(AFTER_TOOL), &[group]), Made::List)),
        Some(list) => Ok((list.with(None, &group), Made::Entry)),
    }
}

/// Returns the text without our entries and without the containers that were created for them.
pub(super) fn take_out(text: &str, made: Made) -> Result<String, Fault> {
    let mut text = text.to_owned();
    while let Some(found) = find(&text)?.pop() {
        text = without(&text, &found)?;
    }
    if made >= Made::List {
        let root = root(&text)?;
        if let (Some(hooks), Some(list)) = (hooks(&text, &root)?, list(&text, &root)?)
            && list.values.is_empty()
            && let Some(at) = hooks.position(AFTER_TOOL)
        {
            text = hooks.without(at);
        }
    }
    if made >= Made::Hooks {
        let root = root(&text)?;
        if let (Some(hooks), Some(at)) = (hooks(&text, &root)?, root.position(HOOKS))
            && hooks.values.is_empty()
        {
            text = root.without(at);
        }
    }
    Ok(text)
}

/// Returns true if the settings are empty.
pub(super) fn is_empty(text: &str) -> bool {
    root(text).is_ok_and(|root| root.values.is_empty())
}

/// Returns the text without one entry, and without its group if there is no other entry in it.
fn without(text: &str, found: &Found) -> Result<String, Fault> {
    const GONE: Fault = Fault::Shape("its hooks changed while they were read");
    let root = root(text)?;
    let list = list(text, &root)?.ok_or(GONE)?;
    let (at, place) = found.place;
    let group = Container::object(text, list.values[at]).ok_or(GONE)?;
    let hooks = group.get(HOOKS).and_then(|hooks| Container::list(text, hooks)).ok_or(GONE)?;
    Ok(if hooks.values.len() == 1 { list.without(at) } else { hooks.without(place) })
}

fn root(text: &str) -> Result<Container<'_>, Fault> {
    let value: &RawValue = serde_json::from_str(text).map_err(Fault::Syntax)?;
    Container::object(text, value).ok_or(Fault::Shape("it is not a JSON object"))
}

fn hooks<'a>(text: &'a str, root: &Container<'a>) -> Result<Option<Container<'a>>, Fault> {
    let hooks = root.get(HOOKS).map(|hooks| Container::object(text, hooks));
    hooks.map(|hooks| hooks.ok_or(Fault::Shape("its `hooks` are not an object"))).transpose()
}

fn list<'a>(text: &'a str, root: &Container<'a>) -> Result<Option<Container<'a>>, Fault> {
    let list = hooks(text, root)?.and_then(|hooks| hooks.get(AFTER_TOOL)).map(|list| Container::list(text, list));
    list.map(|list| list.ok_or(Fault::Shape("its `PostToolUse` hooks are not a list"))).transpose()
}

fn word(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

/// Returns true if a matcher covers all the tools. One that is more than a list of names is a user's own choice, and is
/// taken to cover them.
fn covers(matcher: &str) -> bool {
    let names: Vec<&str> = matcher.split('|').map(str::trim).collect();
    let plain =
        names.iter().all(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'));
    !plain || MATCHER.split('|').all(|tool| names.contains(&tool))
}

/// Returns true if a command is this program's hook, wherever the program was when the entry was added.
fn is_ours(command: &str) -> bool {
    let command = command.trim();
    let command = command.strip_prefix(IF_THERE).unwrap_or(command);
    let Some(before) = command.strip_suffix(VERB) else { return false };
    let program = first_word(before);
    Path::new(&program).file_name().is_some_and(|name| name.to_string_lossy().starts_with("coditect"))
}

/// Splits a command of ours into words; `None` if a shell would do more with it than remove quotes.
pub(super) fn words(command: &str) -> Option<Vec<String>> {
    let command = command.trim();
    let command = command.strip_prefix(IF_THERE).unwrap_or(command);
    let (mut words, mut word) = (Vec::new(), None::<String>);
    let mut chars = command.chars();
    while let Some(char) = chars.next() {
        match char {
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '\'' => break,
                        char => word.push(char),
                    }
                }
            }
            '\\' => word.get_or_insert_default().push(chars.next()?),
            ' ' => words.extend(word.take()),
            char if char.is_alphanumeric() || "/._-+@%:,".contains(char) => word.get_or_insert_default().push(char),
            _ => return None,
        }
    }
    words.extend(word);
    Some(words)
}

/// Returns the first word of a shell command, as far as quotes and backslashes matter.
fn first_word(command: &str) -> String {
    let mut word = String::new();
    let mut quote = None;
    let mut chars = command.trim_start().chars();
    while let Some(char) = chars.next() {
        match (char, quote) {
            ('\\', None | Some('"')) => word.extend(chars.next()),
            (char, Some(open)) if char == open => quote = None,
            ('\'' | '"', None) => quote = Some(char),
            (char, None) if char.is_whitespace() => break,
            (char, _) => word.push(char),
        }
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_command_is_known_by_any_path() {
        for program in ["/usr/bin/coditect", "/home/o'neil/my bin/coditect", "/opt/\"x\"/coditect-1.2"] {
            for home in [None, Some("/srv/it's here")] {
                assert!(is_ours(&command(program, home)), "{program}");
            }
        }
        assert_eq!(command("/o'n/coditect", None), r"'/o'\''n/coditect' hook task-plan");
        assert!(is_ours("coditect hook task-plan") && is_ours(&portable_command()));
        assert!(is_ours("\"/a b/coditect\" hook task-plan "));
        for other in
            ["other hook task-plan", "coditect hook status", "echo coditect; hook task-plan", "", "hook task-plan"]
        {
            assert!(!is_ours(other), "{other}");
        }
    }

    #[test]
    fn words_are_those_of_a_shell_or_none() {
        let ours = command("/home/o'neil/my bin/coditect", Some("/srv/it's $HOME"));
        assert_eq!(
            words(&ours).unwrap(),
            ["/home/o'neil/my bin/coditect", "--home", "/srv/it's $HOME", "hook", "task-plan"]
        );
        assert_eq!(words(&portable_command()).unwrap(), ["coditect", "hook", "task-plan"]);
        for more in [
            "coditect; x hook task-plan",
            "$X hook",
            "`x` hook",
            "a | b",
            "a > b",
            "'open",
            "~/x",
            "a\nb",
            "\"a\" b",
            "a&b",
        ] {
            assert_eq!(words(more), None, "{more}");
        }
    }

    #[test]
    fn a_matcher_of_names_must_have_them_all() {
        assert!(covers(MATCHER) && covers("*") && covers("") && covers("Todo.*|Task.*"));
        assert!(covers("Edit|TaskUpdate|TaskCreate|TodoWrite"));
        assert!(!covers("TodoWrite") && !covers("Edit|Write"));
    }

    #[test]
    fn what_was_made_goes_and_what_was_there_stays() {
        let ours = command("/bin/coditect", None);
        for before in [
            "{}",
            "{\"hooks\":{}}",
            "{\n  \"model\": \"x\",\n  \"hooks\": {\n    \"PostToolUse\": []\n  }\n}\n",
            "{\n  \"hooks\": {\n    \"Stop\": [],\n    \"PostToolUse\": [\n      {\"hooks\": [ {\"command\":\"other\"} ]}\n    ]\n  },\n  \"z\": 1\n}\n",
        ] {
            let (added, made) = add(before, &ours).unwrap();
            assert_eq!(find(&added).unwrap().len(), 1, "{added}");
            let (twice, _) = add(&added, &command("/old/coditect", None)).unwrap();
            assert_eq!(take_out(&twice, made).unwrap(), before);
        }
    }

    #[test]
    fn a_neighbor_in_the_same_group_stays() {
        let text = r#"{"hooks":{"PostToolUse":[{"matcher":"TodoWrite","hooks":[{"command":"a"},{"command":"coditect hook task-plan"}]}]}}"#;
        let left = r#"{"hooks":{"PostToolUse":[{"matcher":"TodoWrite","hooks":[{"command":"a"}]}]}}"#;
        assert!(!find(text).unwrap()[0].covers);
        assert_eq!(take_out(text, Made::Hooks).unwrap(), left);
    }

    #[test]
    fn what_is_not_an_agents_settings_is_not_touched() {
        for text in ["", "[]", "{", "{} x", "// c\n{}", "{\"hooks\":[]}", "{\"hooks\":{\"PostToolUse\":{}}}", "nul"] {
            assert!(add(text, "c").is_err(), "{text}");
        }
    }
}
