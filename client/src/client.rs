//! The client: its machine, its home folder, and its connection to the cloud.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use jiff::Timestamp;
use protocol::id::{HardwareId, InstanceId};
use protocol::key::{KeyError, LicenseKey};
use serde::Serialize;

use crate::access::AccessMemory;
use crate::clock::{Clock, TrustedClock};
use crate::cloud::Cloud;
use crate::discovery::Directories;
use crate::home::Home;
use crate::notice::{Notice, Notify};
use crate::sync::keys;
use crate::trace::{Trace, Tracer};
use crate::vault::Vault;
use crate::{
    Address, Config, Error, KeychainFault, Profile, Uptime, crypto_provider, environment, hardware, instance, sign_in,
};

/// The sealed file with the license key.
const KEY_FILE: &str = "license";

/// Asks the cloud on behalf of one machine, and stores the answers.
///
/// Cheap to clone; all clones share one memory. It blocks, and needs no async runtime.
///
/// ```
/// use coditect::{LicenseClient, Verdict};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let home = folder.path().join("home");
/// let client = LicenseClient::builder()
///     .home(&home) // in place of ~/.coditect
///     .on_notice(|notice| eprintln!("{notice}"))
///     .build()?;
/// match client.validate()? {
///     Verdict::Valid(license) => println!("{} until asked again", license.tier),
///     Verdict::Invalid(no) => println!("{}", no.message),
///     Verdict::Lapsed { outage } => println!("{outage} The free tier applies."),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct LicenseClient {
    pub(crate) inner: Arc<Inner>,
}

/// Discovery answer of the cloud about itself.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Discovered {
    /// Issuer (`iss`) of the cloud's tokens.
    pub issuer: String,
    /// Address of each function, by its name.
    pub functions: BTreeMap<String, String>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) home: Home,
    pub(crate) vault: Vault,
    pub(crate) machine: HardwareId,
    instance: OnceLock<InstanceId>,
    pub(crate) time: TrustedClock,
    pub(crate) cloud: Cloud,
    pub(crate) directories: Directories,
    pub(crate) notify: Notify,
    /// License key of the environment, which takes precedence over all that is stored.
    given_key: Option<Result<LicenseKey, KeyError>>,
    /// Token of requests to the cloud, for as long as it is valid.
    pub(crate) access: Mutex<AccessMemory>,
}

impl Inner {
    /// Returns the id of this home folder, one of those that share the machine's seat.
    pub(crate) fn instance(&self) -> InstanceId {
        *self.instance.get_or_init(|| instance::identify(&self.home))
    }

    /// Reports whether the cloud's answers about licenses are kept for later processes. With a key of the environment
    /// none is: it is for machines that end with their job, and what is kept here may be another license's.
    pub(crate) fn keeps_answers(&self) -> bool {
        self.given_key.is_none()
    }
}

impl LicenseClient {
    /// Returns a builder. Its defaults come from the environment and the home folder.
    pub fn builder() -> LicenseClientBuilder {
        LicenseClientBuilder::default()
    }

    /// Returns this machine's id.
    pub fn hardware_id(&self) -> &HardwareId {
        &self.inner.machine
    }

    /// Returns the folder in which everything is stored.
    pub fn home(&self) -> &Path {
        self.inner.home.path()
    }

    /// Returns the profile that the home folder belongs to.
    pub fn profile(&self) -> Profile {
        Profile::of(self.home())
    }

    /// Returns the address of the cloud.
    pub fn cloud_url(&self) -> &Address {
        self.inner.directories.cloud_url()
    }

    /// Asks the cloud for the addresses of its functions and for its issuer, and stores the answer.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), coditect::Error> {
    /// # let client = coditect::LicenseClient::builder().build()?;
    /// for (function, url) in client.discover()?.functions {
    ///     println!("{function} is at {url}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Unavailable`] when no server answers, or one that is not a cloud; [`Error::Address`] when a function is at an
    /// address that secrets must not be sent to.
    pub fn discover(&self) -> Result<Discovered, Error> {
        let directory = self.inner.directories.refresh(self.inner.time.wall())?;
        Ok(Discovered { issuer: directory.issuer().to_owned(), functions: directory.functions().clone() })
    }

    /// Returns the license key, if one has been activated here.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let home = folder.path().join("home");
    /// # let client = coditect::LicenseClient::builder().home(&home).build()?;
    /// match client.license_key()? {
    ///     Some(key) => println!("activated with {}", key.redacted()),
    ///     None => println!("the free tier"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn license_key(&self) -> Result<Option<LicenseKey>, Error> {
        let Some(text) = self.inner.vault.open(KEY_FILE)? else { return Ok(None) };
        let key = std::str::from_utf8(&text).ok().and_then(|text| LicenseKey::parse(text).ok());
        key.map(Some).ok_or_else(|| Error::Sealed { path: self.inner.home.file(KEY_FILE) })
    }

    /// Returns the license key of the environment (`CODITECT_LICENSE_KEY`). Seats are taken with it, regardless of a sign-in
    /// or an activated key, and nothing of it is stored.
    ///
    /// # Errors
    /// [`Error::KeyVariable`] when the variable is set, and no license key is in it.
    pub fn given_key(&self) -> Result<Option<&LicenseKey>, Error> {
        match &self.inner.given_key {
            None => Ok(None),
            Some(Ok(key)) => Ok(Some(key)),
            Some(Err(error)) => Err(Error::KeyVariable(*error)),
        }
    }

    /// Moves the stored secrets (license key, sign-in, tenant key) under a secret in the operating system's keychain, or
    /// out of it into the home folder, and keeps them there from now on. Returns true if the keychain has them now, which needs
    /// a keychain on this machine. Nothing is changed unless all of them can be opened.
    ///
    /// This client keeps the setting that it was built with; the next one has the new setting.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), coditect::Error> {
    /// # let client = coditect::LicenseClient::builder().build()?;
    /// client.use_keychain(false)?; // for a machine where no user unlocks it
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Keychain`] when the keychain has them and cannot be asked.
    pub fn use_keychain(&self, on: bool) -> Result<bool, Error> {
        let vault = self.inner.vault.with_keychain(on);
        let _held = vault.hold()?;
        vault.take_over(&self.inner.vault, &[KEY_FILE, sign_in::FILE, keys::FILE])?;
        Config::in_home(self.inner.home.clone()).set_keychain(on)?;
        if on {
            return Ok(vault.keychain()?.is_ok());
        }
        vault.leave_keychain()?;
        Ok(false)
    }

    /// Returns `Ok(Ok(()))` if secrets are kept under the operating system's keychain, else the reason why not.
    ///
    /// # Errors
    /// When the home folder cannot be used.
    pub fn keychain(&self) -> Result<Result<(), KeychainFault>, Error> {
        self.inner.vault.keychain()
    }

    /// Returns true if a license key is stored, without opening it.
    pub(crate) fn has_license_key(&self) -> Result<bool, Error> {
        self.inner.vault.holds(KEY_FILE)
    }

    pub(crate) fn forget_key(&self) -> Result<(), Error> {
        self.inner.vault.remove(KEY_FILE)
    }

    pub(crate) fn store_key(&self, key: &LicenseKey) -> Result<(), Error> {
        self.inner.vault.seal_secretly(KEY_FILE, key.to_string().as_bytes())
    }
}

/// Builder of a [`LicenseClient`].
///
/// ```
/// use coditect::LicenseClient;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let home = folder.path().join("home");
/// let client = LicenseClient::builder()
///     .cloud_url("https://coditect.example.com".parse()?)
///     .home(&home)
///     .profile("work".parse()?)
///     .on_notice(|notice| eprintln!("{notice}"))
///     .build()?;
/// assert_eq!(client.home(), home.join("profiles/work"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
pub struct LicenseClientBuilder {
    cloud_url: Option<Address>,
    home: Option<PathBuf>,
    profile: Option<Profile>,
    machine: Option<HardwareId>,
    clock: Option<Clock>,
    keychain: Option<bool>,
    notify: Option<Notify>,
    tracer: Tracer,
}

impl LicenseClientBuilder {
    /// Sets the address of the cloud, in place of the one that `coditect config` has.
    #[must_use]
    pub fn cloud_url(mut self, url: Address) -> Self {
        self.cloud_url = Some(url);
        self
    }

    /// Sets the home folder, in which everything is stored, in place of `CODITECT_HOME` or `~/.coditect`.
    #[must_use]
    pub fn home(mut self, path: impl Into<PathBuf>) -> Self {
        self.home = Some(path.into());
        self
    }

    /// Sets the profile, in place of the one that `CODITECT_PROFILE` names; of [`home`](Self::home), where that is given.
    #[must_use]
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = Some(profile);
        self
    }

    /// Sets this machine's id, in place of `CODITECT_HARDWARE_ID` or the operating system's.
    #[must_use]
    pub fn hardware_id(mut self, machine: HardwareId) -> Self {
        self.machine = Some(machine);
        self
    }

    /// Sets the clock, in place of the system's.
    #[must_use]
    pub fn clock(mut self, now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        self.clock = Some(Clock::new(now));
        self
    }

    /// Sets the source of the machine's uptime, which is none where it is unknown; to be called with [`clock`](Self::clock),
    /// and after it.
    #[must_use]
    pub fn uptime(mut self, uptime: impl Fn() -> Option<Uptime> + Send + Sync + 'static) -> Self {
        self.clock = Some(self.clock.unwrap_or_else(Clock::system).with_uptime(uptime));
        self
    }

    /// Allows or forbids the operating system's keychain, which is used where there is one and neither `coditect config` nor
    /// `CODITECT_KEYCHAIN` turns it off.
    #[must_use]
    pub fn keychain(mut self, on: bool) -> Self {
        self.keychain = Some(on);
        self
    }

    /// Sets the listener for unsolicited notices: that the cloud is unavailable, that a seat was lost.
    ///
    /// It is called in the middle of an answer, and from the threads of seats, which wait for it. So it must not call the
    /// client, or drop a seat, in turn: it prints, or sends what happened over a channel.
    #[must_use]
    pub fn on_notice(mut self, listener: impl Fn(&Notice) + Send + Sync + 'static) -> Self {
        self.notify = Some(Notify::new(listener));
        self
    }

    /// Sets the listener for traces: each request with its server and its duration, and the stored answers that are used. It is
    /// called from all threads.
    #[must_use]
    pub fn on_trace(mut self, listener: impl Fn(&Trace) + Send + Sync + 'static) -> Self {
        self.tracer = Tracer::new(listener);
        self
    }

    /// Returns the settings of the home folder that the client would have.
    pub(crate) fn config(&self) -> Result<Config, Error> {
        let home = match &self.profile {
            Some(profile) => Some(Profile::locate(self.home.clone(), Some(profile))?),
            None => self.home.clone(),
        };
        Config::open(home)
    }

    /// Builds the client. Nothing is asked of the cloud yet.
    ///
    /// Installs a crypto provider of `jsonwebtoken` for the whole process, unless the process has installed one already. This
    /// one only checks RS256, as licenses are signed: a program with tokens of other kinds installs its own first.
    pub fn build(self) -> Result<LicenseClient, Error> {
        crypto_provider::install();

        let config = self.config()?;
        let home = config.home().clone();
        let notify = self.notify.unwrap_or_else(|| Notify::new(|_| ()));
        let cloud_url = self.cloud_url.map_or_else(|| config.cloud_url(), Ok)?;
        let machine = self.machine.map_or_else(|| hardware::identify(&home, &notify), Ok)?;
        let keychain = self.keychain.unwrap_or(true) && !environment::keychain_is_off() && config.keychain()?;
        let vault = Vault::new(home.clone(), machine.clone(), notify.clone(), keychain);
        let clock = self.clock.unwrap_or_else(Clock::system);
        let cloud = Cloud::new(self.tracer);
        let inner = Inner {
            directories: Directories::new(cloud_url, cloud.clone(), vault.clone(), notify.clone()),
            time: TrustedClock::new(clock, vault.clone(), notify.clone()),
            given_key: environment::license_key().map(|text| LicenseKey::parse(&text)),
            access: Mutex::default(),
            instance: OnceLock::new(),
            home,
            vault,
            machine,
            cloud,
            notify,
        };
        Ok(LicenseClient { inner: Arc::new(inner) })
    }
}
