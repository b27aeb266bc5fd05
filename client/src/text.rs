//! Text as it comes from people, editors and file systems: byte order marks, UTF-16, Unicode's normal forms.

use std::borrow::Cow;
use std::path::Path;

use serde::Serializer;
use unicode_normalization::{UnicodeNormalization, is_nfc};

/// The byte order mark, with which some editors and shells begin a file in UTF-8.
pub(crate) const MARK: char = '\u{feff}';

/// The text of a file or of standard input: without a byte order mark, and from UTF-16 where the mark says so.
///
/// ```
/// use coditect::text::decoded;
///
/// assert_eq!(decoded(b"\xef\xbb\xbfon"), "on");
/// assert_eq!(decoded(b"\xff\xfeo\0n\0"), "on");
/// ```
pub fn decoded(bytes: &[u8]) -> Cow<'_, str> {
    let utf16 = |bytes: &[u8], number: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| number([pair[0], pair[1]])).collect();
        Cow::Owned(String::from_utf16_lossy(&units))
    };
    match bytes {
        [0xff, 0xfe, text @ ..] => utf16(text, u16::from_le_bytes),
        [0xfe, 0xff, text @ ..] => utf16(text, u16::from_be_bytes),
        _ => String::from_utf8_lossy(without_mark(bytes)),
    }
}

/// The bytes of a text in UTF-8 without its byte order mark.
pub(crate) fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(MARK.encode_utf8(&mut [0; 3]).as_bytes()).unwrap_or(bytes)
}

/// A text in Unicode's normal form C, in which keyboards of most systems type. A letter with an accent is one character.
///
/// ```
/// assert_eq!(coditect::text::nfc("cafe\u{301}"), "caf\u{e9}");
/// ```
pub fn nfc(text: &str) -> Cow<'_, str> {
    if text.is_ascii() || is_nfc(text) { Cow::Borrowed(text) } else { Cow::Owned(text.nfc().collect()) }
}

/// A text as it is compared in a search: in normal form C and lower case.
///
/// ```
/// assert_eq!(coditect::text::folded("CAFE\u{301}"), "caf\u{e9}");
/// ```
pub fn folded(text: &str) -> String {
    nfc(text).to_lowercase()
}

/// A text in its normal forms: C first, as it is, and D; each once.
///
/// ```
/// assert_eq!(coditect::text::forms("caf\u{e9}"), ["caf\u{e9}", "cafe\u{301}"]);
/// assert_eq!(coditect::text::forms("tea"), ["tea"]);
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
pub(crate) fn lossy<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}
