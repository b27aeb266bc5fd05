//! Errors of a license key that a person typed.

use std::fmt;

/// Error of a text that is not a license key. Each says what to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// Nothing there.
    Empty,
    /// Longer than any key could be.
    TooLong,
    /// The first word is no brand's.
    UnknownBrand,
    /// The second word is no type.
    UnknownType,
    /// Not four parts.
    Shape,
    /// The short form of an enterprise license, whose signature is in a file.
    NeedsLicenseFile,
    /// The third part has too few or too many characters.
    BodyLength,
    /// The fourth part has too few or too many characters.
    CheckLength,
    /// A character that no key has.
    Character(char),
    /// Everything is in place, but the check does not match.
    Mistyped,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sentence = match self {
            Self::Empty => "No license key was given. It looks like CODITECT-PRO-XXXXXXXXXXXX-XXXX.",
            Self::TooLong => "This is too long for a license key. Paste only the key, which has at most 35 characters.",
            Self::UnknownBrand => {
                "A license key begins with CODITECT- or CSFW-. Copy it again from its first character on."
            }
            Self::UnknownType => {
                "The second part of a license key is FREE, PRO, TEAM, BUSINESS or ENT. Compare it with the original."
            }
            Self::Shape => {
                "A license key has four parts with a hyphen between them: CODITECT-PRO-XXXXXXXXXXXX-XXXX. \
                 Something is missing or too much."
            }
            Self::NeedsLicenseFile => {
                "This names an enterprise license, which is proved by its license file. \
                 Configure the file; the name alone is not enough."
            }
            Self::BodyLength => "The third part of a license key has 12 characters. Some are missing or too many.",
            Self::CheckLength => "The last part of a license key has 4 characters. Some are missing or too many.",
            Self::Character(found) => {
                return write!(f, "{found:?} is in no license key. Compare what you typed with the original.");
            }
            Self::Mistyped => {
                "This looks mistyped: the check characters do not match the rest. \
                 Compare it with the original, character by character."
            }
        };
        f.write_str(sentence)
    }
}

impl std::error::Error for KeyError {}
