//! User settings: `config.json`, in clear, for there is nothing secret in it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::home::Home;
use crate::text::json;
use crate::{Address, Error, Profile};

const FILE: &str = "config.json";

/// Lock held while the settings are read, changed and written, so that of two concurrent changes both are kept.
const LOCK: &str = "config.lock";

/// The settings in a home folder.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let home = folder.path().join("home");
/// let config = local::Config::open(Some(home))?;
/// assert_eq!(config.cloud_url()?.as_str(), local::Address::DEFAULT);
/// assert!(!config.sync()?, "until it is turned on");
///
/// config.set_cloud_url(&"https://coditect.example.com".parse()?)?;
/// assert_eq!(config.cloud_url()?.as_str(), "https://coditect.example.com");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    home: Home,
}

impl Config {
    /// Opens the settings in this folder; else in `CODITECT_HOME`, else in `~/.coditect`; those of `CODITECT_PROFILE` where
    /// one is named.
    pub fn open(home: Option<PathBuf>) -> Result<Self, Error> {
        let path = home.map_or_else(|| Profile::locate(None, None), Ok)?;
        Ok(Self { home: Home::new(path) })
    }

    /// Returns the home folder.
    pub fn path(&self) -> &Path {
        self.home.path()
    }

    /// Creates the home folder and its settings unless they exist; returns true if they were created.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), local::Error> {
    /// assert!(local::Config::open(Some("/tmp/fresh".into()))?.init()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn init(&self) -> Result<bool, Error> {
        // Settings that can't be read are reported now, and not at the first use.
        self.read()?;
        self.home.write_new(FILE, &text(&Settings::default()))
    }

    /// Returns the settings in a home folder.
    pub fn in_home(home: Home) -> Self {
        Self { home }
    }

    /// Returns the cloud's address: the one that was set, else [`Address::DEFAULT`].
    pub fn cloud_url(&self) -> Result<Address, Error> {
        self.read()?.cloud_url.as_deref().unwrap_or(Address::DEFAULT).parse()
    }

    /// Sets the cloud's address.
    pub fn set_cloud_url(&self, url: &Address) -> Result<(), Error> {
        self.change(|settings| settings.cloud_url = Some(url.to_string()))
    }

    /// Resets the cloud's address to the default.
    pub fn unset_cloud_url(&self) -> Result<(), Error> {
        self.change(|settings| settings.cloud_url = None)
    }

    /// Returns true if context sync is turned on. It is off by default.
    pub fn sync(&self) -> Result<bool, Error> {
        Ok(self.read()?.sync)
    }

    /// Turns context sync on or off.
    pub fn set_sync(&self, on: bool) -> Result<(), Error> {
        self.change(|settings| settings.sync = on)
    }

    /// Returns true if secrets are kept in the operating system's keychain, where there is one. They are by default.
    pub fn keychain(&self) -> Result<bool, Error> {
        Ok(self.read()?.keychain.unwrap_or(true))
    }

    pub(crate) fn set_keychain(&self, on: bool) -> Result<(), Error> {
        self.change(|settings| settings.keychain = Some(on))
    }

    /// Returns the organization's own identity provider that was last signed in with; none if it was the cloud's.
    pub fn sso(&self) -> Result<Option<Sso>, Error> {
        Ok(self.read()?.sso)
    }

    /// Sets the identity provider to sign in with, in place of the cloud's.
    pub fn set_sso(&self, sso: Option<Sso>) -> Result<(), Error> {
        if self.read()?.sso == sso {
            return Ok(());
        }
        self.change(|settings| settings.sso = sso)
    }

    fn change(&self, change: impl FnOnce(&mut Settings)) -> Result<(), Error> {
        // An unreadable file is reported without leaving a lock behind.
        self.read()?;
        let _held = self.home.lock(LOCK)?;
        let mut settings = self.read()?;
        change(&mut settings);
        self.home.write(FILE, &text(&settings))
    }

    /// Returns the home folder, with what can be done in it.
    pub fn home(&self) -> &Home {
        &self.home
    }

    fn read(&self) -> Result<Settings, Error> {
        let Some(text) = self.home.read(FILE)? else { return Ok(Settings::default()) };
        json(&text).map_err(|cause| Error::Settings { path: self.home.file(FILE), cause })
    }
}

fn text(settings: &Settings) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(settings).expect("settings are text with names");
    text.push(b'\n');
    text
}

/// Content of `config.json`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Settings {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cloud_url: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    sync: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keychain: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sso: Option<Sso>,
    /// Fields that a newer version has written, which are kept.
    #[serde(flatten)]
    others: serde_json::Map<String, serde_json::Value>,
}

/// An organization's own identity provider, in place of the one that the cloud names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Sso {
    /// Its issuer URL.
    pub issuer: String,
    /// This program's client id at the provider; that at the cloud's own provider, if none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
}
