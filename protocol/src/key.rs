//! License keys: `CODITECT-PRO-A7F3E9D2C4B1-8F2A`, that is brand, type, 60 random bits and a check.
//!
//! A key is protected by its random bits. The check protects the person who types it: it is a Reed–Solomon code over
//! brand, type and body (proved in `key/check.rs`), so any four wrong characters, and any two that changed places, are noticed on
//! the spot. Brands are rows of one table; there is no second code path.

mod check;
mod decoration;
mod error;
mod symbol;

pub use decoration::is_invisible;
pub use error::KeyError;

use std::fmt;
use std::str::FromStr;

use rand::TryRngCore;
use rand::rngs::OsRng;

use crate::wire::Tier;

/// Maximum length of a text that is parsed, in bytes, everything around and between the characters of the key included. The
/// longest key has 35.
pub const MAX_INPUT_LEN: usize = 512;

/// Number of characters of the random part.
pub const BODY_LEN: usize = 12;

/// The brand that sells the key: its first word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Brand {
    /// `CODITECT`
    Coditect,
    /// `CSFW`
    Csfw,
}

/// The kind of license that the key was made for: its second word. The plan, not the key, determines what it grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyType {
    /// `FREE`
    Free,
    /// `PRO`
    Pro,
    /// `TEAM`
    Team,
    /// `BUSINESS`
    Business,
    /// `ENT`
    Ent,
}

// A row's place is its symbol in the check: rows may be added at the end, and never move.
const BRANDS: [(Brand, &str); 2] = [(Brand::Coditect, "CODITECT"), (Brand::Csfw, "CSFW")];
const TYPES: [(KeyType, &str); 5] = [
    (KeyType::Free, "FREE"),
    (KeyType::Pro, "PRO"),
    (KeyType::Team, "TEAM"),
    (KeyType::Business, "BUSINESS"),
    (KeyType::Ent, "ENT"),
];

impl From<Tier> for KeyType {
    fn from(tier: Tier) -> Self {
        match tier {
            Tier::Free | Tier::Other => Self::Free,
            Tier::Pro => Self::Pro,
            Tier::Team => Self::Team,
            Tier::Business => Self::Business,
            Tier::Enterprise => Self::Ent,
        }
    }
}

impl Brand {
    /// Every brand.
    pub const ALL: [Self; 2] = [BRANDS[0].0, BRANDS[1].0];

    /// Returns the word in the key.
    pub const fn as_str(self) -> &'static str {
        BRANDS[self as usize].1
    }
}

impl KeyType {
    /// Every type.
    pub const ALL: [Self; 5] = [TYPES[0].0, TYPES[1].0, TYPES[2].0, TYPES[3].0, TYPES[4].0];

    /// Returns the word in the key.
    pub const fn as_str(self) -> &'static str {
        TYPES[self as usize].1
    }
}

/// A well-formed license key. [`Display`](fmt::Display) writes the secret; [`Debug`] and [`LicenseKey::redacted`] do not.
#[derive(Clone, PartialEq, Eq)]
pub struct LicenseKey {
    brand: Brand,
    key_type: KeyType,
    body: [u8; BODY_LEN],
}

impl LicenseKey {
    /// Generates a new key from the operating system's random source.
    pub fn generate(brand: Brand, key_type: KeyType) -> Self {
        let random = OsRng.try_next_u64().expect("an operating system that serves programs serves random numbers");
        let body = std::array::from_fn(|place| (random >> (5 * place) & 31) as u8);
        Self { brand, key_type, body }
    }

    /// Parses a key that a person typed or pasted: any case, O for 0, I or L for 1, and without what mail, chat and word
    /// processors add (`key/decoration.rs`).
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        if text.len() > MAX_INPUT_LEN {
            return Err(KeyError::TooLong);
        }
        let text = decoration::removed(text);
        if text.is_empty() {
            return Err(KeyError::Empty);
        }

        let mut parts = text.split('-');
        let brand = parts.next().unwrap_or_default();
        let brand = BRANDS.into_iter().find(|row| row.1 == brand).ok_or(KeyError::UnknownBrand)?.0;
        let key_type = parts.next().ok_or(KeyError::Shape)?;
        let key_type = TYPES.into_iter().find(|row| row.1 == key_type).ok_or(KeyError::UnknownType)?.0;
        let rest: Vec<&str> = parts.collect();
        let (body, check) = match rest[..] {
            [body, check] => (body, check),
            // {COMPANY}-{SEATS}-{EXPIRY}-{SIG}: the name of a license file, which is what is verified.
            [_, _, _, _] if key_type == KeyType::Ent => return Err(KeyError::NeedsLicenseFile),
            _ => return Err(KeyError::Shape),
        };

        let body = symbol::read::<BODY_LEN>(body).map_err(|fault| fault.in_body())?;
        let check = symbol::read::<{ check::LEN }>(check).map_err(|fault| fault.in_check())?;
        let key = Self { brand, key_type, body };
        if key.check() == check { Ok(key) } else { Err(KeyError::Mistyped) }
    }

    /// Returns the brand that sells it.
    pub fn brand(&self) -> Brand {
        self.brand
    }

    /// Returns the kind of license it was made for.
    pub fn key_type(&self) -> KeyType {
        self.key_type
    }

    /// Returns enough to recognize the key by, and too little to use it: `CODITECT-PRO-A7F3…`.
    pub fn redacted(&self) -> String {
        let shown: String = self.body[..4].iter().map(|&value| symbol::write(value)).collect();
        format!("{}-{}-{shown}…", self.brand.as_str(), self.key_type.as_str())
    }

    fn check(&self) -> [u8; check::LEN] {
        let mut message = [0; 2 + BODY_LEN];
        message[0] = self.brand as u8;
        message[1] = self.key_type as u8;
        message[2..].copy_from_slice(&self.body);
        check::of(&message)
    }
}

/// Writes the whole secret, in its canonical form.
impl fmt::Display for LicenseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |symbols: &[u8]| symbols.iter().map(|&value| symbol::write(value)).collect::<String>();
        write!(f, "{}-{}-{}-{}", self.brand.as_str(), self.key_type.as_str(), text(&self.body), text(&self.check()))
    }
}

impl fmt::Debug for LicenseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LicenseKey({})", self.redacted())
    }
}

impl FromStr for LicenseKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::parse(text)
    }
}
