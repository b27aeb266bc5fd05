//! Counts the commands of a day against the license's limit, on this machine alone: nothing is sent to the cloud.
//!
//! The count is sealed, so that it can't be changed by hand; a user who deletes it, or the whole folder, starts again from
//! zero. A license's limit of commands need not withstand more than that.

mod days;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use protocol::wire::Quotas;
use serde::Serialize;

use crate::client::Inner;
use crate::{Error, License, LicenseClient};
use days::Days;

/// The sealed file with the count.
const FILE: &str = "commands";

/// The file that is locked while the count changes.
const LOCK: &str = "commands.lock";

/// The daily limit of commands, and its use so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Allowance {
    /// Commands allowed per day.
    pub limit: i64,
    /// Commands used today.
    pub used: i64,
    /// When the next day begins: midnight on this machine.
    pub next_day_at: Timestamp,
}

impl Allowance {
    /// Returns the number of commands left today.
    pub fn left(&self) -> i64 {
        (self.limit - self.used).max(0)
    }

    /// Formats the start of the next day in the system's time zone.
    pub(crate) fn next_day(&self) -> String {
        let next = self.next_day_at.to_zoned(TimeZone::system());
        let at = next.strftime("%Y-%m-%d %H:%M");
        if next.start_of_day().is_ok_and(|midnight| midnight == next) {
            format!("at midnight ({at})")
        } else {
            format!("on {at}, since today began in another time zone")
        }
    }
}

impl LicenseClient {
    /// Counts a command, or refuses it if today's limit is reached. Without a limit nothing is counted, and the result is
    /// `None`.
    ///
    /// The limit is that of the license as of the last [`validate`](Self::validate), or the free tier's without a usable
    /// license. A day lasts from midnight to midnight on this machine, in the time zone in which it began: neither travel
    /// to another time zone nor a clock set back gives a second day with the same date.
    ///
    /// ```
    /// use coditect::{Error, FREE_COMMANDS_PER_DAY, LicenseClient};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let home = folder.path().join("home");
    /// let client = LicenseClient::builder().home(&home).build()?;
    /// let mut commands = 0;
    /// let today = loop {
    ///     match client.count_command() {
    ///         Ok(None) => unreachable!("without a license key there is a limit"),
    ///         Ok(Some(_)) => commands += 1,
    ///         Err(Error::UsedUp(today)) => break today,
    ///         Err(error) => return Err(error.into()),
    ///     }
    /// };
    /// assert_eq!((commands, today.left()), (FREE_COMMANDS_PER_DAY, 0));
    /// println!("no more before {}", today.next_day_at);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::UsedUp`]; [`Error::File`] when it cannot be counted, because the home folder cannot be written.
    pub fn count_command(&self) -> Result<Option<Allowance>, Error> {
        count(&self.inner, &self.quotas()?)
    }

    /// Takes back the count of a command that then could not be started.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let home = folder.path().join("home");
    /// # let client = coditect::LicenseClient::builder().home(&home).build()?;
    /// if let Some(counted) = client.count_command()? {
    ///     client.return_command(counted)?;
    /// }
    /// assert_eq!(client.commands_today()?.map(|today| today.used), Some(0));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::File`] when the home folder cannot be written.
    pub fn return_command(&self, counted: Allowance) -> Result<(), Error> {
        let client = &self.inner;
        let _held = client.home.lock(LOCK)?;
        let now = now(client);
        let mut days = stored(client)?.at(&now);
        // The day may have ended in between, and the next one has not counted the command.
        let same_day = days.allowance(counted.limit, now.time_zone()).next_day_at == counted.next_day_at;
        if same_day && days.used > 0 {
            days.used -= 1;
            keep(client, &days)?;
        }
        Ok(())
    }

    /// Returns the limit and the commands used today, without counting one; `None` without a limit.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let home = folder.path().join("home");
    /// # let client = coditect::LicenseClient::builder().home(&home).build()?;
    /// client.count_command()?;
    /// let today = client.commands_today()?.expect("the free tier has a limit");
    /// assert_eq!((today.used, today.limit), (1, 10));
    /// # Ok(())
    /// # }
    /// ```
    pub fn commands_today(&self) -> Result<Option<Allowance>, Error> {
        let Some(limit) = limit(&self.quotas()?) else { return Ok(None) };
        let now = now(&self.inner);
        Ok(Some(stored(&self.inner)?.at(&now).allowance(limit, now.time_zone())))
    }

    fn quotas(&self) -> Result<Quotas, Error> {
        if self.given_key()?.is_some() {
            // The limit comes with each seat, and without a seat nothing runs.
            return Ok(Quotas::default());
        }
        Ok(self.known_license()?.unwrap_or_else(License::free).quotas)
    }
}

/// Counts a command under these quotas.
pub(crate) fn count(client: &Inner, quotas: &Quotas) -> Result<Option<Allowance>, Error> {
    let Some(limit) = limit(quotas) else { return Ok(None) };
    // Released when this function returns.
    let _held = client.home.lock(LOCK)?;
    let now = now(client);
    let mut days = stored(client)?.at(&now);
    let today = days.allowance(limit, now.time_zone());
    if today.left() == 0 {
        return Err(Error::UsedUp(today));
    }
    days.used += 1;
    keep(client, &days)?;
    Ok(Some(days.allowance(limit, now.time_zone())))
}

fn keep(client: &Inner, days: &Days) -> Result<(), Error> {
    let content = serde_json::to_vec(days).expect("dates and numbers are JSON");
    client.vault.seal(FILE, &content)
}

fn limit(quotas: &Quotas) -> Option<i64> {
    quotas.commands_per_day().filter(|limit| *limit >= 0)
}

fn now(client: &Inner) -> Zoned {
    client.time.wall().to_zoned(TimeZone::system())
}

/// Returns the stored days. A file that cannot be opened counts as deleted.
fn stored(client: &Inner) -> Result<Days, Error> {
    let json = match client.vault.open(FILE) {
        Err(Error::Sealed { .. }) => None,
        other => other?,
    };
    Ok(json.and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default())
}
