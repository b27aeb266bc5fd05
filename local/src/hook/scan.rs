//! Finds the end of the first JSON value of a text while the text is still arriving.

/// Follows a text byte by byte, as far as is needed to know where its first value ends.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    /// The number of bytes that were scanned.
    position: usize,
    depth: usize,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Before the value: space and a byte order mark.
    #[default]
    Before,
    /// Among brackets, commas and words.
    Between,
    InString,
    /// Behind a backslash.
    Escape,
    /// In a number or a word that stands alone.
    Word,
    Done,
}

impl Scanner {
    /// Returns the end of the first value, if that is whole. The text must begin with the text of the previous call.
    pub(super) fn end_of_value(&mut self, text: &[u8]) -> Option<usize> {
        while self.state != State::Done {
            let byte = *text.get(self.position)?;
            self.state = self.next(byte);
            self.position += 1;
        }
        Some(self.position)
    }

    fn next(&mut self, byte: u8) -> State {
        match (self.state, byte) {
            (State::InString, b'\\') => State::Escape,
            (State::InString, b'"') => self.closed(),
            (State::InString | State::Escape, _) => State::InString,
            (State::Before, b' ' | b'\t' | b'\r' | b'\n' | 0xef | 0xbb | 0xbf) => State::Before,
            (State::Word, b' ' | b'\t' | b'\r' | b'\n') => State::Done,
            (State::Word, _) => State::Word,
            (_, b'"') => State::InString,
            (_, b'{' | b'[') => {
                self.depth += 1;
                State::Between
            }
            (_, b'}' | b']') => {
                self.depth = self.depth.saturating_sub(1);
                self.closed()
            }
            (State::Before, _) => State::Word,
            (state, _) => state,
        }
    }

    fn closed(&self) -> State {
        if self.depth == 0 { State::Done } else { State::Between }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_follows_a_value_is_not_waited_for() {
        for (text, value) in [
            ("{}", "{}"),
            (
                "\u{feff} {\"a\": [1, {\"b\": \"}]\\\"\\\\\"}]} {\"second\": 1}",
                "\u{feff} {\"a\": [1, {\"b\": \"}]\\\"\\\\\"}]}",
            ),
            ("\"a\" 1", "\"a\""),
            ("null\n", "null\n"),
            ("[] ]", "[]"),
            ("]", "]"),
        ] {
            assert_eq!(Scanner::default().end_of_value(text.as_bytes()), Some(value.len()), "{text}");
        }
        for text in ["", " ", "\u{feff}", "{", "[1, 2", "\"a", "{\"a\": \"}", "12"] {
            assert_eq!(Scanner::default().end_of_value(text.as_bytes()), None, "{text}");
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from)
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            let list = prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from);
            let object = prop::collection::btree_map(any::<String>(), inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect()));
            prop_oneof![list, object]
        })
    }

    proptest! {
        #[test]
        fn a_value_ends_where_it_ends_however_it_arrives(value in value(), rest in any::<String>(), step in 1_usize..9) {
            let event = json!({ "event": value }).to_string();
            let whole = format!("{event}{rest}");
            let mut scanner = Scanner::default();
            let ends = (0..whole.len() + step).step_by(step).find_map(|len| {
                scanner.end_of_value(&whole.as_bytes()[..len.min(whole.len())])
            });
            prop_assert_eq!(ends, Some(event.len()));
        }
    }
}
