//! What the person has chosen: `config.json`, in clear, for there is nothing secret in it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::home::Home;
use crate::text::json;
use crate::{Address, Error, Profile, Sso};

const FILE: &str = "config.json";

/// Held while the settings are read, changed and written, so that of two changes at once both are kept.
const LOCK: &str = "config.lock";

/// The settings in a home folder.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let home = folder.path().join("home");
/// let config = coditect::Config::open(Some(home))?;
/// assert_eq!(config.cloud_url()?.as_str(), coditect::Address::DEFAULT);
/// assert!(!config.sync()?, "until somebody has turned it on");
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
    /// Those in this folder; else in `CODITECT_HOME`, else in `~/.coditect`; of `CODITECT_PROFILE` where one is named.
    pub fn open(home: Option<PathBuf>) -> Result<Self, Error> {
        let path = home.map_or_else(|| Profile::locate(None, None), Ok)?;
        Ok(Self { home: Home::new(path) })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.home.path()
    }

    /// Makes the home folder and its settings, unless they are there already. The answer is whether they were made.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), coditect::Error> {
    /// assert!(coditect::Config::open(Some("/tmp/fresh".into()))?.init()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn init(&self) -> Result<bool, Error> {
        // Settings that can't be read are told of now, and not at the first use.
        self.read()?;
        self.home.write_new(FILE, &text(&Settings::default()))
    }

    pub(crate) fn in_home(home: Home) -> Self {
        Self { home }
    }

    /// Where the cloud is: what was set, else [`Address::DEFAULT`].
    pub fn cloud_url(&self) -> Result<Address, Error> {
        self.read()?.cloud_url.as_deref().unwrap_or(Address::DEFAULT).parse()
    }

    /// Says where the cloud is.
    pub fn set_cloud_url(&self, url: &Address) -> Result<(), Error> {
        self.change(|settings| settings.cloud_url = Some(url.to_string()))
    }

    /// The cloud is where it is by default again.
    pub fn unset_cloud_url(&self) -> Result<(), Error> {
        self.change(|settings| settings.cloud_url = None)
    }

    /// Whether context sync is turned on. It is not, until somebody has.
    pub fn sync(&self) -> Result<bool, Error> {
        Ok(self.read()?.sync)
    }

    /// Turns context sync on or off.
    pub fn set_sync(&self, on: bool) -> Result<(), Error> {
        self.change(|settings| settings.sync = on)
    }

    /// Whether secrets are in the operating system's keychain, where there is one. They are, unless somebody said otherwise.
    pub fn keychain(&self) -> Result<bool, Error> {
        Ok(self.read()?.keychain.unwrap_or(true))
    }

    pub(crate) fn set_keychain(&self, on: bool) -> Result<(), Error> {
        self.change(|settings| settings.keychain = Some(on))
    }

    /// The organization's own identity provider that was last signed in with; none if it was the cloud's.
    pub fn sso(&self) -> Result<Option<Sso>, Error> {
        Ok(self.read()?.sso)
    }

    /// Says which identity provider to sign in with, in place of the cloud's.
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

    pub(crate) fn home(&self) -> &Home {
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

/// The file.
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
    /// What a newer version has written is kept.
    #[serde(flatten)]
    others: serde_json::Map<String, serde_json::Value>,
}
