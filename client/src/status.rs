//! Status of this machine, without asking the cloud.

use std::path::PathBuf;

use jiff::Timestamp;
use local::text::lossy;
use protocol::id::HardwareId;
use protocol::key::LicenseKey;
use serde::Serialize;

use crate::core::Core;
use crate::{
    Allowance, ContextStore, Error, HeldSeat, LastError, LastRefusal, License, SyncStatus, last_validation,
    license_key, seat, sign_in, validation,
};

/// Status of this machine: what is stored here.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// Current time, as far as this machine's clock can be trusted.
    pub at: Timestamp,
    /// The signed-in user. Seats are taken for them, regardless of a stored license key.
    pub signed_in_as: Option<String>,
    /// The license key's beginning, if one has been activated, or the environment has one.
    pub license_key: Option<String>,
    /// True if the key is the environment's (`CODITECT_LICENSE_KEY`), of which nothing is stored.
    pub license_key_is_given: bool,
    /// Reason why the stored key or sign-in cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locked: Option<String>,
    /// License that applies; none if the last answer is not valid any more.
    pub license: Option<License>,
    /// The cloud's last refusal of the stored license key, unless a license applies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_refusal: Option<LastRefusal>,
    /// The commands of today, where they are limited.
    pub commands_today: Option<Allowance>,
    /// The seats that this machine has.
    pub seats: Vec<HeldSeat>,
    /// Time until which the last seat's token lets a command start while the cloud is unavailable.
    pub seat_token_until: Option<Timestamp>,
    /// State of the sync; none where there is no context, or none that can be read.
    pub sync: Option<SyncStatus>,
    /// Reason why the context cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync_error: Option<String>,
    /// Last error.
    pub last_error: Option<LastError>,
    /// Address of the cloud.
    pub cloud_url: String,
    /// This machine's id.
    pub hardware_id: HardwareId,
    /// Home folder, in which everything is stored.
    #[serde(serialize_with = "lossy")]
    pub home: PathBuf,
}

/// Returns this machine's status, without asking the cloud.
pub(crate) fn read(core: &Core) -> Result<Status, Error> {
    let mut locked = None;
    // A keychain that is locked is no reason to show nothing.
    let mut unless_locked = |error| match error {
        Error::Keychain { fault, .. } => {
            locked = Some(fault.to_string());
            Ok(None)
        }
        error => Err(error),
    };
    let given = license_key::given(core)?.map(LicenseKey::redacted);
    let key_is_given = given.is_some();
    let kept = || license_key::stored(core).map(|key| key.map(|key| key.redacted()));
    let key = given.map_or_else(kept, |key| Ok(Some(key))).or_else(&mut unless_locked)?;
    let who = sign_in::who(core).map(|who| who.map(|who| who.to_string())).or_else(&mut unless_locked)?;
    let (sync, sync_error) = match sync_status(core) {
        Ok(status) => (status, None),
        Err(error) => (None, Some(error.to_string())),
    };
    let license = validation::known_license(core)?;
    let moment = core.time.look()?;
    if license.is_none() {
        last_validation::tell_doubt(core, moment)?;
    }
    Ok(Status {
        at: moment.now,
        seat_token_until: if key.is_some() || who.is_some() { seat::last_token_until(core)? } else { None },
        seats: seat::held(core)?,
        signed_in_as: who,
        license_key: key,
        license_key_is_given: key_is_given,
        locked,
        last_refusal: if license.is_none() && !key_is_given { LastRefusal::read(&core.vault) } else { None },
        license,
        commands_today: core.command_count().today(&validation::quotas(core)?)?,
        sync,
        sync_error,
        last_error: LastError::read(&core.home),
        cloud_url: core.discovery.cloud_url().to_string(),
        hardware_id: core.machine.clone(),
        home: core.home.path().to_owned(),
    })
}

/// Returns the state of the sync. A status makes no database.
fn sync_status(core: &Core) -> Result<Option<SyncStatus>, Error> {
    ContextStore::open_existing(&core.home)?.map(|store| store.status()).transpose()
}
