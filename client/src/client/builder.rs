//! Settings of a client before it is built.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use local::clock::{Clock, TrustedClock};
use local::notice::{Notice, Notify};
use local::vault::Vault;
use local::{environment, hardware};
use protocol::id::HardwareId;
use protocol::key::LicenseKey;

use super::LicenseClient;
use crate::cloud::Cloud;
use crate::core::Core;
use crate::discovery::DiscoveryCache;
use crate::token_cache::TokenCache;
use crate::trace::{Trace, Tracer};
use crate::{Address, Config, Diagnosis, Error, Mended, Profile, Uptime, crypto_provider, doctor};

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
    fn config(&self) -> Result<Config, Error> {
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
        Ok(LicenseClient { core: Arc::new(self.core()?) })
    }

    /// Checks everything that the client depends on, even if the client cannot be [built](Self::build).
    ///
    /// ```no_run
    /// // Asks the network, for some seconds at most.
    /// for check in coditect::LicenseClient::builder().diagnose().checks {
    ///     println!("{}: {}", check.name, check.finding);
    /// }
    /// ```
    pub fn diagnose(self) -> Diagnosis {
        doctor::diagnose(self.config(), || self.core())
    }

    /// Rebuilds damaged databases from the rows that can still be read, and keeps the damaged files. The next sync fetches
    /// the cloud's data.
    ///
    /// # Errors
    /// [`ContextError::Busy`](crate::ContextError::Busy) while another process syncs; when nothing can be written.
    pub fn mend(self) -> Result<Vec<Mended>, Error> {
        local::doctor::mend(self.config()?.home())
    }

    fn core(self) -> Result<Core, Error> {
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
        Ok(Core {
            discovery: DiscoveryCache::new(cloud_url, cloud.clone(), vault.clone(), notify.clone(), clock.clone()),
            time: TrustedClock::new(clock, vault.clone(), notify.clone()),
            given_key: environment::license_key().map(|text| LicenseKey::parse(&text)),
            tokens: TokenCache::default(),
            instance: OnceLock::new(),
            home,
            vault,
            machine,
            cloud,
            notify,
        })
    }
}
