//! Repairs input that is invalid JSON because an agent cut a text in the middle of a character.

use std::borrow::Cow;

/// Beginnings of the escapes of surrogates (halves of characters beyond U+FFFF), which JSON parsers refuse when unpaired.
const HALVES: [&str; 2] = ["\\ud", "\\uD"];

/// Length of such an escape, in bytes.
const ESCAPE_LEN: usize = 6;

/// Escape that replaces an unpaired surrogate.
const LOST: &str = "\\ufffd";

/// Returns the text with unpaired surrogates replaced.
pub(super) fn mended(input: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(input);
    if !HALVES.iter().any(|half| text.contains(half)) {
        return text;
    }
    let mut whole = String::with_capacity(text.len());
    let mut rest = &*text;
    while let Some(at) = rest.find('\\') {
        whole.push_str(&rest[..at]);
        rest = &rest[at..];
        let len = match (half(rest), rest.get(ESCAPE_LEN..).and_then(half)) {
            (Some(Half::First), Some(Half::Second)) => 2 * ESCAPE_LEN,
            (Some(_), _) => {
                whole.push_str(LOST);
                rest = &rest[ESCAPE_LEN..];
                continue;
            }
            // An escaped backslash begins no escape.
            (None, _) => rest.char_indices().nth(2).map_or(rest.len(), |(end, _)| end),
        };
        whole.push_str(&rest[..len]);
        rest = &rest[len..];
    }
    whole.push_str(rest);
    Cow::Owned(whole)
}

enum Half {
    First,
    Second,
}

/// Returns the surrogate with which a text begins, if it begins with one.
fn half(text: &str) -> Option<Half> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    match u16::from_str_radix(digits, 16).ok()? {
        0xd800..=0xdbff => Some(Half::First),
        0xdc00..=0xdfff => Some(Half::Second),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_replaced_and_all_else_stays() {
        for (input, expected) in [
            (r#""plain é \n""#, r#""plain é \n""#),
            (r#""\ud83d\ude00""#, r#""\ud83d\ude00""#),
            (r#""cut \ud83d""#, r#""cut \ufffd""#),
            (r#""\ude00\ud83d\ud83d\uDE00x""#, r#""\ufffd\ufffd\ud83d\uDE00x""#),
            (r#""\\ud83d is no escape, \\\ud83d""#, r#""\\ud83d is no escape, \\\ufffd""#),
            (r#""\ud8"#, r#""\ud8"#),
            ("\"\\ud83d\\", "\"\\ufffd\\"),
            ("\"\\é\\ud83d\"", "\"\\é\\ufffd\""),
        ] {
            assert_eq!(mended(input.as_bytes()), expected);
        }
        assert_eq!(mended(b"\"\xff\""), "\"\u{fffd}\"");
    }
}
