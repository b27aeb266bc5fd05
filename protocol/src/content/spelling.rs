//! Check for texts that are canonical as they stand, in one pass over the bytes: most programs that write compact JSON with
//! sorted names write it so, and their texts need not be parsed to a tree.

use super::MAX_DEPTH;

/// Number of digits up to which every whole number is below [`MAX_INTEGER`](super::MAX_INTEGER).
const SAFE_DIGITS: usize = 15;

/// Returns true if the text is an object that [`canonical_json`](super::canonical_json) would write just so.
///
/// False leaves it open: fractions, long numbers, and names that are not plain ASCII are left to the full parser.
pub fn is_canonical_object(text: &str) -> bool {
    let mut rest = Rest(text.as_bytes());
    text.starts_with('{') && rest.value(0).is_some() && rest.0.is_empty()
}

/// The unread rest of the text. Each step consumes what it recognizes, or returns `None`.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn value(&mut self, depth: usize) -> Option<()> {
        match self.0.first()? {
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b'"' => self.text(),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => self.number(),
        }
    }

    fn object(&mut self, depth: usize) -> Option<()> {
        self.word(b"{")?;
        if depth == MAX_DEPTH {
            return None;
        }
        if self.word(b"}").is_some() {
            return Some(());
        }
        let mut before: Option<&[u8]> = None;
        loop {
            let name = self.name()?;
            // Names must be sorted, and none may come twice.
            if before.is_some_and(|before| before >= name) {
                return None;
            }
            before = Some(name);
            self.word(b":")?;
            self.value(depth + 1)?;
            if self.word(b",").is_none() {
                return self.word(b"}");
            }
        }
    }

    fn array(&mut self, depth: usize) -> Option<()> {
        self.word(b"[")?;
        if depth == MAX_DEPTH {
            return None;
        }
        if self.word(b"]").is_some() {
            return Some(());
        }
        loop {
            self.value(depth + 1)?;
            if self.word(b",").is_none() {
                return self.word(b"]");
            }
        }
    }

    /// A name whose bytes are in the order of its UTF-16, as RFC 8785 sorts.
    fn name(&mut self) -> Option<&'a [u8]> {
        self.word(b"\"")?;
        let end = self.0.iter().position(|byte| !matches!(byte, b' '..=b'~') || matches!(byte, b'"' | b'\\'))?;
        let (name, rest) = self.0.split_at(end);
        self.0 = rest;
        self.word(b"\"")?;
        Some(name)
    }

    fn text(&mut self) -> Option<()> {
        self.word(b"\"")?;
        loop {
            let at = self.0.iter().position(|byte| *byte < b' ' || matches!(byte, b'"' | b'\\'))?;
            self.0 = &self.0[at..];
            match self.0 {
                [b'"', rest @ ..] => {
                    self.0 = rest;
                    return Some(());
                }
                [b'\\', b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't', rest @ ..] => self.0 = rest,
                // The other control characters; a NUL is refused elsewhere, with an error message.
                [b'\\', b'u', b'0', b'0', b'0', b'1'..=b'7' | b'b' | b'e' | b'f', rest @ ..]
                | [b'\\', b'u', b'0', b'0', b'1', b'0'..=b'9' | b'a'..=b'f', rest @ ..] => self.0 = rest,
                _ => return None,
            }
        }
    }

    fn number(&mut self) -> Option<()> {
        let digits = self.0.strip_prefix(b"-").unwrap_or(self.0);
        let count = digits.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(digits.len());
        let (number, rest) = digits.split_at(count);
        let is_negative = digits.len() < self.0.len();
        self.0 = rest;
        match number {
            [b'0'] if !is_negative => Some(()),
            [b'1'..=b'9', ..] if count <= SAFE_DIGITS => Some(()),
            _ => None,
        }
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(word)?;
        Some(())
    }
}
