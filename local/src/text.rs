//! Text as it comes from people, editors and file systems: byte order marks, UTF-16, Unicode's normal forms.

use std::borrow::Cow;
use std::path::Path;

use protocol::key::is_invisible;
use serde::Serializer;
use serde::de::DeserializeOwned;
use unicode_normalization::{UnicodeNormalization, is_nfc};

/// The byte order mark, with which some editors and shells begin a file in UTF-8.
pub(crate) const MARK: char = '\u{feff}';

/// The text of a file or of standard input: without a byte order mark, and from UTF-16 where the mark says so.
///
/// ```
/// use local::text::decoded;
///
/// assert_eq!(decoded(b"\xef\xbb\xbfon"), "on");
/// assert_eq!(decoded(b"\xff\xfeo\0n\0"), "on");
/// ```
pub fn decoded(bytes: &[u8]) -> Cow<'_, str> {
    match Encoding::of(bytes) {
        Encoding::Utf8 => String::from_utf8_lossy(without_mark(bytes)),
        encoding => Cow::Owned(String::from_utf16_lossy(&encoding.units(bytes))),
    }
}

/// The text of a file that must be one: none where bytes are not of its encoding.
pub(crate) fn decoded_exactly(bytes: &[u8]) -> Option<String> {
    match Encoding::of(bytes) {
        Encoding::Utf8 => std::str::from_utf8(without_mark(bytes)).ok().map(str::to_owned),
        encoding => String::from_utf16(&encoding.units(bytes)).ok().filter(|_| bytes.len().is_multiple_of(2)),
    }
}

/// Writes a text as another one is written: with its byte order mark, and in UTF-16 where that is.
pub(crate) fn encoded_like(other: &[u8], text: &str) -> Vec<u8> {
    let marked = || MARK.encode_utf16(&mut [0; 1]).to_vec().into_iter().chain(text.encode_utf16());
    match Encoding::of(other) {
        Encoding::Utf8 if without_mark(other).len() < other.len() => format!("{MARK}{text}").into_bytes(),
        Encoding::Utf8 => text.as_bytes().to_vec(),
        Encoding::Utf16Le => marked().flat_map(u16::to_le_bytes).collect(),
        Encoding::Utf16Be => marked().flat_map(u16::to_be_bytes).collect(),
    }
}

/// Reports whether the byte order mark says that a text is UTF-16.
pub(crate) fn is_utf16(bytes: &[u8]) -> bool {
    !matches!(Encoding::of(bytes), Encoding::Utf8)
}

/// Reads JSON from a file or pipe, as [`decoded`] reads text.
pub(crate) fn json<T: DeserializeOwned>(bytes: &[u8]) -> serde_json::Result<T> {
    match Encoding::of(bytes) {
        // Bytes that are not UTF-8 are an error of the parser's, and are not replaced.
        Encoding::Utf8 => serde_json::from_slice(without_mark(bytes)),
        _ => serde_json::from_str(&decoded(bytes)),
    }
}

/// An encoding of Unicode, as the byte order mark says; UTF-8 without one.
#[derive(Clone, Copy)]
enum Encoding {
    Utf8,
    Utf16Le,
    Utf16Be,
}

impl Encoding {
    fn of(bytes: &[u8]) -> Self {
        match bytes {
            [0xff, 0xfe, ..] => Self::Utf16Le,
            [0xfe, 0xff, ..] => Self::Utf16Be,
            _ => Self::Utf8,
        }
    }

    /// The 16-bit units of a text after its mark.
    fn units(self, bytes: &[u8]) -> Vec<u16> {
        let number = if matches!(self, Self::Utf16Be) { u16::from_be_bytes } else { u16::from_le_bytes };
        bytes.chunks_exact(2).skip(1).map(|pair| number([pair[0], pair[1]])).collect()
    }
}

/// The bytes of a text in UTF-8 without its byte order mark.
pub(crate) fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(MARK.encode_utf8(&mut [0; 3]).as_bytes()).unwrap_or(bytes)
}

/// A text in Unicode's normal form C, in which keyboards of most systems type. A letter with an accent is one character.
///
/// ```
/// assert_eq!(local::text::nfc("cafe\u{301}"), "caf\u{e9}");
/// ```
pub fn nfc(text: &str) -> Cow<'_, str> {
    if text.is_ascii() || is_nfc(text) { Cow::Borrowed(text) } else { Cow::Owned(text.nfc().collect()) }
}

/// Reports whether nothing of a text can be seen: space, controls, and characters that only join, mark or fill.
///
/// ```
/// assert!(local::text::is_blank(" \u{200b}\u{feff}\n"));
/// assert!(!local::text::is_blank("-"));
/// ```
pub fn is_blank(text: &str) -> bool {
    text.chars().all(is_invisible)
}

/// A text as it is compared in a search: in normal form C and lower case.
///
/// ```
/// assert_eq!(local::text::folded("CAFE\u{301}"), "caf\u{e9}");
/// ```
pub fn folded(text: &str) -> String {
    nfc(text).to_lowercase()
}

/// A text in its normal forms: C first, as it is, and D; each once.
///
/// ```
/// assert_eq!(local::text::forms("caf\u{e9}"), ["caf\u{e9}", "cafe\u{301}"]);
/// assert_eq!(local::text::forms("tea"), ["tea"]);
/// ```
pub fn forms(text: &str) -> Vec<String> {
    let mut forms = vec![nfc(text).into_owned()];
    for form in [text.to_owned(), text.nfd().collect()] {
        if !forms.contains(&form) {
            forms.push(form);
        }
    }
    forms
}

/// Serializes a path as text, also one that is not UTF-8.
pub fn lossy<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_written_as_it_was_read() {
        let text = "{\"a\": \"caf\u{e9} \u{1f600}\"}";
        let utf16 = |number: fn(u16) -> [u8; 2]| -> Vec<u8> {
            format!("{MARK}{text}").encode_utf16().flat_map(number).collect()
        };
        for bytes in [
            text.as_bytes().to_vec(),
            format!("{MARK}{text}").into_bytes(),
            utf16(u16::to_le_bytes),
            utf16(u16::to_be_bytes),
        ] {
            assert_eq!((decoded(&bytes).as_ref(), decoded_exactly(&bytes).as_deref()), (text, Some(text)));
            assert_eq!(encoded_like(&bytes, text), bytes);
            assert_eq!(json::<serde_json::Value>(&bytes).unwrap()["a"], "caf\u{e9} \u{1f600}");
        }
        for wrong in [&b"\xff"[..], b"\xff\xfea", b"\xff\xfe\x00\xd8"] {
            assert_eq!(decoded_exactly(wrong), None);
        }
    }
}
