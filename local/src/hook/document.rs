//! Edits a JSON text in one place and keeps all others as they are: order, unknown fields, spaces and line endings.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::Serialize;
use serde_json::value::RawValue;

/// Indentation of new lines where the text has none to follow.
const UNIT: &str = "  ";

/// Object or list in a JSON text, with its values in order; each value is a slice of the text.
#[derive(Debug)]
pub(super) struct Container<'a> {
    text: &'a str,
    span: Range<usize>,
    /// The names of an object's members; empty for a list.
    names: Vec<String>,
    pub(super) values: Vec<&'a RawValue>,
}

impl<'a> Container<'a> {
    /// Returns the members of an object in the text; `None` if the value isn't an object.
    pub(super) fn object(text: &'a str, value: &'a RawValue) -> Option<Self> {
        let Members(members) = serde_json::from_str(value.get()).ok()?;
        let (names, values) = members.into_iter().unzip();
        Some(Self { text, span: span(text, value), names, values })
    }

    /// Returns the items of a list in the text; `None` if the value isn't a list.
    pub(super) fn list(text: &'a str, value: &'a RawValue) -> Option<Self> {
        let values = serde_json::from_str(value.get()).ok()?;
        Some(Self { text, span: span(text, value), names: Vec::new(), values })
    }

    /// Returns the index of a member; that of the last one, as in JSON parsers, if a name occurs twice.
    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.names.iter().rposition(|found| found == name)
    }

    /// Returns a member's value.
    pub(super) fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.position(name).map(|position| self.values[position])
    }

    /// Returns the text with one more value at the end of this container; `name` is for objects.
    pub(super) fn with(&self, name: Option<&str>, value: &impl Serialize) -> String {
        let layout = Layout::of(self.text);
        let item = |indent: &str| match name {
            Some(name) => format!("{}: {}", quoted(name), layout.render(value, indent)),
            None => layout.render(value, indent),
        };
        let Some(last) = self.values.last() else {
            let outer = indent_of_line(self.text, self.span.start);
            let inside = match layout.newline {
                Some(newline) => {
                    let inner = format!("{outer}{}", layout.unit);
                    format!("{newline}{inner}{}{newline}{outer}", item(&inner))
                }
                None => item(""),
            };
            return replaced(self.text, self.span.start + 1..self.span.end - 1, &inside);
        };
        let open = self.span.start + 1;
        let lead = &self.text[open..skip_space(self.text, open)];
        let end = span(self.text, last).end;
        let addition = match lead.rsplit_once('\n') {
            Some((_, indent)) => format!(",{lead}{}", item(indent)),
            None => format!(", {}", Layout { newline: None, ..layout.clone() }.item(name, value)),
        };
        replaced(self.text, end..end, &addition)
    }

    /// Returns the text without one of the values.
    pub(super) fn without(&self, position: usize) -> String {
        let end = |position: usize| span(self.text, self.values[position]).end;
        let gone = if self.values.len() == 1 {
            self.span.start + 1..self.span.end - 1
        } else if position > 0 {
            end(position - 1)..end(position)
        } else {
            let comma = skip_space(self.text, end(0));
            skip_space(self.text, self.span.start + 1)..skip_space(self.text, comma + 1)
        };
        replaced(self.text, gone, "")
    }
}

/// Layout of a text.
#[derive(Clone)]
struct Layout<'a> {
    /// Line ending; `None` if all is on one line.
    newline: Option<&'static str>,
    unit: &'a str,
}

impl<'a> Layout<'a> {
    fn of(text: &'a str) -> Self {
        let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
        let body = text.trim();
        let one_line = !body.contains('\n') && body[1..].trim_start() != "}";
        let first = body.find('\n').map(|at| indent_of_line(body, at + 1)).filter(|unit| !unit.is_empty());
        Self { newline: (!one_line).then_some(newline), unit: first.unwrap_or(UNIT) }
    }

    fn item(&self, name: Option<&str>, value: &impl Serialize) -> String {
        let value = self.render(value, "");
        name.map_or_else(|| value.clone(), |name| format!("{}: {value}", quoted(name)))
    }

    fn render(&self, value: &impl Serialize, indent: &str) -> String {
        let Some(newline) = self.newline else {
            return serde_json::to_string(value).expect("what is added is text with names");
        };
        let mut json = Vec::new();
        let pretty = serde_json::ser::PrettyFormatter::with_indent(self.unit.as_bytes());
        let written = value.serialize(&mut serde_json::Serializer::with_formatter(&mut json, pretty));
        written.expect("what is added is text with names");
        let json = String::from_utf8(json).expect("JSON is UTF-8");
        json.replace('\n', &format!("{newline}{indent}"))
    }
}

/// An object's members in their order, which a map would not keep.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

/// Returns the range of a part in its text. Borrowed values are slices of the text that they were read from.
fn span(text: &str, part: &RawValue) -> Range<usize> {
    let start = part.get().as_ptr().addr() - text.as_ptr().addr();
    start..start + part.get().len()
}

fn replaced(text: &str, range: Range<usize>, by: &str) -> String {
    [&text[..range.start], by, &text[range.end..]].concat()
}

fn skip_space(text: &str, from: usize) -> usize {
    text.len() - text[from..].trim_start_matches([' ', '\t', '\r', '\n']).len()
}

fn indent_of_line(text: &str, at: usize) -> &str {
    let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let line = &text[start..];
    &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("text is always written")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(text: &str) -> Container<'_> {
        Container::object(text, serde_json::from_str(text).unwrap()).unwrap()
    }

    #[test]
    fn what_is_added_is_laid_out_like_its_neighbors_and_can_be_taken_out_without_a_trace() {
        for (before, after) in [
            ("{}", "{\n  \"x\": [\n    1\n  ]\n}"),
            ("{}\n", "{\n  \"x\": [\n    1\n  ]\n}\n"),
            ("{\n\t\"b\": 1\n}\n", "{\n\t\"b\": 1,\n\t\"x\": [\n\t\t1\n\t]\n}\n"),
            ("{\r\n    \"b\": 1\r\n}", "{\r\n    \"b\": 1,\r\n    \"x\": [\r\n        1\r\n    ]\r\n}"),
            ("{\"b\":1,\"a\":2}", "{\"b\":1,\"a\":2, \"x\": [1]}"),
            ("{ \"b\": { } }", "{ \"b\": { }, \"x\": [1] }"),
        ] {
            let added = root(before).with(Some("x"), &[1]);
            assert_eq!(added, after);
            let container = root(&added);
            assert_eq!(container.without(container.position("x").unwrap()), before);
        }
    }

    #[test]
    fn the_first_of_several_goes_with_its_comma() {
        let text = "{\n  \"a\": [ 1 , 2 ],\n  \"b\": 2\n}";
        assert_eq!(root(text).without(0), "{\n  \"b\": 2\n}");
        let list = root(text).get("a").map(|list| Container::list(text, list).unwrap().without(0));
        assert_eq!(list.unwrap(), "{\n  \"a\": [ 2 ],\n  \"b\": 2\n}");
    }

    #[test]
    fn what_is_no_container_is_none() {
        assert!(Container::object("[]", serde_json::from_str("[]").unwrap()).is_none());
        assert!(Container::list("{}", serde_json::from_str("{}").unwrap()).is_none());
    }
}
