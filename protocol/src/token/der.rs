//! The few lines of DER (X.690) that an RSA public key is written in: definite lengths, sequences, integers.

/// SEQUENCE
pub(super) const SEQUENCE: u8 = 0x30;
/// INTEGER
pub(super) const INTEGER: u8 = 0x02;
/// BIT STRING
pub(super) const BIT_STRING: u8 = 0x03;

/// Takes one element with this tag off the front, and leaves the rest.
pub(super) fn take<'a>(tag: u8, input: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (&found, rest) = input.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        // Two bytes say 65,535, which is more than any key has.
        0x81 | 0x82 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0, |length, &byte| length << 8 | usize::from(byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    *input = rest;
    (found == tag).then_some(content)
}

/// Takes a non-negative integer off the front, without its leading zeros.
pub(super) fn take_unsigned<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    let content = take(INTEGER, input)?;
    let negative = content.first()? & 0x80 != 0;
    (!negative).then(|| without_leading_zeros(content))
}

/// An element.
pub(super) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match content.len() {
        length @ 0..0x80 => out.push(length as u8),
        length @ 0x80..0x100 => out.extend([0x81, length as u8]),
        length => {
            let length = u16::try_from(length).expect("a key of at most 8192 bits is shorter than 64 KiB");
            out.push(0x82);
            out.extend(length.to_be_bytes());
        }
    }
    out.extend(content);
    out
}

/// An integer that is not negative.
pub(super) fn unsigned(magnitude: &[u8]) -> Vec<u8> {
    let mut content = without_leading_zeros(magnitude).to_vec();
    if content.first().is_none_or(|byte| byte & 0x80 != 0) {
        content.insert(0, 0);
    }
    element(INTEGER, &content)
}

/// The same number, as short as it can be written.
pub(super) fn without_leading_zeros(magnitude: &[u8]) -> &[u8] {
    let zeros = magnitude.iter().take_while(|&&byte| byte == 0).count();
    &magnitude[zeros..]
}
