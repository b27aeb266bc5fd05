//! Faults of the operating system's keychain.

use std::fmt;

/// Reason why a keychain cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeychainFault {
    /// It is turned off here.
    Off,
    /// There is none.
    Missing,
    /// It is locked, and was not unlocked.
    Locked,
    /// It no longer has the item that was stored in it.
    Gone,
    /// Another failure, in the keychain's own words.
    Failed(String),
}

impl KeychainFault {
    /// Returns the remedy.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Off => {
                "`unset CODITECT_KEYCHAIN`, and `coditect config set keychain off` moves your secrets into the home folder."
            }
            Self::Missing => {
                "Try again where the keychain is: in your desktop session. `coditect login` or `coditect activate` there, or \
                 with CODITECT_KEYCHAIN=off here, stores your secrets anew."
            }
            Self::Locked => {
                "Unlock your keychain and try again; `coditect config set keychain off` does without it then."
            }
            Self::Gone => "`coditect login` or `coditect activate` stores your secrets anew.",
            Self::Failed(_) => {
                "Try again; CODITECT_KEYCHAIN=off with `coditect login` or `coditect activate` does without it."
            }
        }
    }
}

impl fmt::Display for KeychainFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("the keychain is turned off by CODITECT_KEYCHAIN"),
            Self::Missing => f.write_str("there is no keychain"),
            Self::Locked => f.write_str("the keychain is locked"),
            Self::Gone => f.write_str("the keychain no longer has it"),
            Self::Failed(cause) => write!(f, "the keychain failed: {cause}"),
        }
    }
}
