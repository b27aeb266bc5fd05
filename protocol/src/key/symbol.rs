//! Crockford's base 32: a character for five bits, without those that people confuse.

use super::KeyError;

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Why a part of a key could not be read.
pub(super) enum Fault {
    Length,
    Character(char),
}

impl Fault {
    pub(super) fn in_body(self) -> KeyError {
        self.named(KeyError::BodyLength)
    }

    pub(super) fn in_check(self) -> KeyError {
        self.named(KeyError::CheckLength)
    }

    fn named(self, length: KeyError) -> KeyError {
        match self {
            Self::Length => length,
            Self::Character(found) => KeyError::Character(found),
        }
    }
}

/// Reads exactly `N` characters of upper case.
pub(super) fn read<const N: usize>(text: &str) -> Result<[u8; N], Fault> {
    let mut symbols = [0; N];
    let mut count = 0;
    for found in text.chars() {
        let value = value_of(found).ok_or(Fault::Character(found))?;
        *symbols.get_mut(count).ok_or(Fault::Length)? = value;
        count += 1;
    }
    if count == N { Ok(symbols) } else { Err(Fault::Length) }
}

/// The character of a five-bit value.
pub(super) fn write(value: u8) -> char {
    ALPHABET[usize::from(value)].into()
}

fn value_of(found: char) -> Option<u8> {
    let meant = match found {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    let value = ALPHABET.iter().position(|&known| char::from(known) == meant)?;
    Some(value as u8)
}
