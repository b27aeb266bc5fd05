//! Self-update: finds new versions of this program, verifies their signature, and installs them.
//!
//! A manifest names the newest version and, for each system, the file, its size and its SHA-256. It is trusted once its
//! signature is that of a key which was built in, so that neither the server nor an attacker on the network can make this
//! machine run a program of theirs. An attacker who can't sign could still send an old manifest with its valid signature
//! (replay); one that is older than the latest one seen here is refused, and a version that is older than this one is never
//! installed.
//!
//! A crash at any point leaves the old program: the new one is written beside it, checked, run once, and renamed over it.

mod manifest;
mod memory;
mod owner;
mod place;

use std::path::PathBuf;

use jiff::Timestamp;
use local::home::Home;
use local::notice::{Notice, Notify};
use local::{clock, environment};

pub use crate::UpdateError;
pub use memory::Memory;

pub(crate) use memory::this_version;

use crate::cloud::Cloud;
use crate::core::Core;
use crate::{Address, Error};
use manifest::{Keys, Manifest};
use place::Place;

/// Address of the manifest, unless `CODITECT_UPDATE_URL` names another.
const MANIFEST: &str = "https://download.coditect.ai/stable/manifest.json";

/// Largest manifest, and signature, in bytes: both have a few kilobytes.
const MAX_MANIFEST_LEN: u64 = 64 * 1024;

/// Finds, and installs, new versions.
///
/// ```no_run
/// # fn main() -> Result<(), coditect::Error> {
/// let updater = coditect::LicenseClient::builder().build()?.updater()?;
/// let newest = updater.check()?;
/// if newest.is_newer() {
///     updater.install(&newest, |_, _| ())?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Updater {
    cloud: Cloud,
    home: Home,
    notify: Notify,
    manifest: Address,
    keys: Keys,
}

/// The newest version there is.
#[derive(Debug)]
pub struct Newest {
    manifest: Manifest,
}

impl Newest {
    /// Returns its number.
    pub fn version(&self) -> String {
        self.manifest.version.to_string()
    }

    /// Returns the time of its release.
    pub fn released_at(&self) -> Timestamp {
        self.manifest.released_at
    }

    /// Returns true if it is newer than this program.
    pub fn is_newer(&self) -> bool {
        self.manifest.version > this_version()
    }
}

/// Returns true if this program can look for updates at all.
pub fn is_possible() -> bool {
    matches!(Keys::built_in(), Ok(Some(_)))
}

impl Updater {
    /// Returns the updater of a client.
    pub(crate) fn new(core: &Core) -> Result<Self, Error> {
        let keys = Keys::built_in()?.ok_or(UpdateError::NoKey)?;
        let manifest = environment::update_url().as_deref().unwrap_or(MANIFEST).parse()?;
        let Core { cloud, home, notify, .. } = core;
        Ok(Self { cloud: cloud.clone(), home: home.clone(), notify: notify.clone(), manifest, keys })
    }

    /// Asks the server for the newest version, and records it.
    ///
    /// # Errors
    /// [`Error::Update`] when the manifest can't be fetched, isn't signed, or is older than one that was seen before.
    pub fn check(&self) -> Result<Newest, Error> {
        let manifest = self.fetch(&self.manifest)?;
        let signature = self.fetch(&self.manifest.join(".minisig"))?;
        // Nothing in the manifest is trusted before this.
        self.keys.check(&manifest, &signature)?;
        let manifest = Manifest::parse(&manifest, clock::now())?;
        let _held = Memory::hold(&self.home);
        let mut memory = Memory::read(&self.home);
        memory.learn(&manifest.version, manifest.released_at)?;
        if let Err(error) = memory.write(&self.home) {
            self.notify.send(&Notice::NotStored(error));
        }
        Ok(Newest { manifest })
    }

    /// Replaces this program with the newest version, and returns the program's path. `progress` receives the number of
    /// bytes written so far, and the total.
    ///
    /// # Errors
    /// [`Error::Update`] when it isn't newer, when this program was installed by something that also updates it, when its
    /// folder can't be written to, or when the fetched file does not match the manifest, or doesn't start. Then nothing has
    /// changed.
    pub fn install(&self, newest: &Newest, progress: impl FnMut(u64, u64)) -> Result<PathBuf, Error> {
        let (version, here) = (&newest.manifest.version, this_version());
        if *version <= here {
            return Err(UpdateError::Downgrade { newest: version.clone(), here }.into());
        }
        let place = Place::find()?;
        if let Some(owner) = owner::of(place.program()) {
            return Err(UpdateError::Managed { by: owner.name, command: owner.command }.into());
        }
        let file = newest.manifest.file()?;
        let from = file.address(&self.manifest)?;
        let _lock = place.lock()?;
        let mut new = place.begin(file.size, progress)?;
        self.cloud.download(&from, file.size, &mut new).map_err(UpdateError::of)?;
        new.finish(file)?;
        new.start_once(version)?;
        new.put_in_place().map_err(Error::from)
    }

    fn fetch(&self, from: &Address) -> Result<Vec<u8>, Error> {
        let mut content = Vec::new();
        self.cloud.download(from, MAX_MANIFEST_LEN, &mut content).map_err(UpdateError::of)?;
        Ok(content)
    }
}
