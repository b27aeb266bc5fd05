//! What this machine knows, without asking the cloud.

use std::path::PathBuf;

use jiff::Timestamp;
use protocol::id::HardwareId;
use serde::Serialize;

use crate::{Allowance, Error, License, LicenseClient};

/// What this machine knows.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// The license key's beginning, if one has been activated.
    pub license_key: Option<String>,
    /// What may be used; none if the last answer no longer serves.
    pub license: Option<License>,
    /// The commands of today, where they are limited.
    pub commands_today: Option<Allowance>,
    /// Until when the last seat's token lets a command start while the cloud is away.
    pub seat_token_until: Option<Timestamp>,
    /// Where the cloud is.
    pub cloud_url: String,
    /// This machine's id.
    pub hardware_id: HardwareId,
    /// The folder in which everything is kept.
    pub home: PathBuf,
}

impl LicenseClient {
    /// What this machine knows, without asking the cloud.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), coditect::Error> {
    /// # let client = coditect::LicenseClient::builder().build()?;
    /// println!("this machine is {}", client.status()?.hardware_id);
    /// # Ok(())
    /// # }
    /// ```
    pub fn status(&self) -> Result<Status, Error> {
        let key = self.license_key()?;
        let (license, seat_token_until) = match &key {
            Some(_) => (self.remembered_license()?, self.seat_token_until()?),
            None => (Some(License::free()), None),
        };
        Ok(Status {
            license_key: key.map(|key| key.redacted()),
            license,
            commands_today: self.commands_today()?,
            seat_token_until,
            cloud_url: self.cloud_url().to_string(),
            hardware_id: self.hardware_id().clone(),
            home: self.home().to_owned(),
        })
    }
}
