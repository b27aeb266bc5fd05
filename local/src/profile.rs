//! Profiles: several identities of one person on one machine, with nothing in common.
//!
//! The default profile is the home folder itself. Another one is a home folder of its own, in the folder `profiles` of it:
//! with its own key, sign-in, settings and context.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::{Error, environment};

/// The folder in a home folder that has the other profiles' homes.
const FOLDER: &str = "profiles";

/// The name of the profile that is the home folder itself.
const DEFAULT: &str = "default";

/// The longest name, in bytes.
const MAX_LEN: usize = 64;

/// A profile's name: letters, digits, `-`, `_` and `.`, beginning with a letter or digit.
///
/// ```
/// use local::Profile;
/// use std::path::Path;
///
/// let work: Profile = "work".parse().unwrap();
/// assert_eq!(work.home(Path::new("/home/ann/.coditect")), Path::new("/home/ann/.coditect/profiles/work"));
/// assert!("../work".parse::<Profile>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile(String);

impl Profile {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the profile's home folder, under the folder of the default one.
    pub fn home(&self, under: &Path) -> PathBuf {
        if self.0 == DEFAULT { under.to_owned() } else { under.join(FOLDER).join(&self.0) }
    }

    /// Returns the home folder of a profile. Folder and profile are those that are named here, else the environment's.
    ///
    /// # Errors
    /// [`Error::Profile`] when `CODITECT_PROFILE` is no name, [`Error::NoHome`] when there is no home folder.
    pub fn locate(home: Option<PathBuf>, profile: Option<&Self>) -> Result<PathBuf, Error> {
        let under = home.or_else(environment::home).ok_or(Error::NoHome)?;
        let named = match profile {
            Some(_) => None,
            None => environment::profile().map(|name| name.parse::<Self>()).transpose()?,
        };
        Ok(profile.or(named.as_ref()).map_or_else(|| under.clone(), |profile| profile.home(&under)))
    }

    /// Returns the profile that a home folder belongs to.
    pub fn of(home: &Path) -> Self {
        let beside = home.parent().and_then(Path::file_name).is_some_and(|folder| folder == FOLDER);
        let name = home.file_name().and_then(|name| name.to_str()?.parse().ok()).filter(|_| beside);
        name.unwrap_or_else(|| Self(DEFAULT.to_owned()))
    }
}

impl FromStr for Profile {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let letter = |byte: u8| byte.is_ascii_alphanumeric();
        let fits = text.len() <= MAX_LEN && text.bytes().next().is_some_and(letter);
        if fits && text.bytes().all(|byte| letter(byte) || matches!(byte, b'-' | b'_' | b'.')) {
            return Ok(Self(text.to_owned()));
        }
        Err(Error::Profile { name: text.chars().take(MAX_LEN).collect() })
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_in_its_folder() {
        let home = Path::new("/h");
        for good in ["work", "a", "Client-2", "acme.test", "x_y"] {
            let profile: Profile = good.parse().unwrap();
            assert_eq!(profile.home(home), Path::new("/h/profiles").join(good));
            assert_eq!(Profile::of(&profile.home(home)), profile);
        }
        for bad in ["", ".", "..", "a/b", "/a", "-a", "a b", "ä", &"a".repeat(65)] {
            assert!(bad.parse::<Profile>().is_err(), "{bad:?}");
        }
        let default: Profile = DEFAULT.parse().unwrap();
        assert_eq!(default.home(home), home);
        assert_eq!(Profile::of(home), default);
    }
}
