//! Counts the commands of a day against the license's limit, on this machine alone: nothing is sent to the cloud.
//!
//! The count is sealed, so that it can't be changed by hand; a user who deletes it, or the whole folder, starts again from
//! zero. A license's limit of commands need not withstand more than that.

mod days;

use jiff::Zoned;
use jiff::tz::TimeZone;
use protocol::wire::Quotas;

use crate::clock::Clock;
use crate::vault::Vault;
use crate::{Allowance, Error};
use days::Days;

/// The sealed file with the count.
const FILE: &str = "commands";

/// The file that is locked while the count changes.
const LOCK: &str = "commands.lock";

/// The count of a home folder.
#[derive(Debug)]
pub struct CommandCount<'a> {
    vault: &'a Vault,
    now: Zoned,
}

impl<'a> CommandCount<'a> {
    /// Returns the count in a vault, as of now.
    pub fn new(vault: &'a Vault, clock: &Clock) -> Self {
        Self { vault, now: clock.now().to_zoned(TimeZone::system()) }
    }

    /// Counts a command under these quotas, or refuses it if today's limit is reached. Without a limit nothing is counted.
    pub fn add(&self, quotas: &Quotas) -> Result<Option<Allowance>, Error> {
        let Some(limit) = limit(quotas) else { return Ok(None) };
        // Released when this function returns.
        let _held = self.vault.lock(LOCK)?;
        let mut days = self.days()?;
        let today = days.allowance(limit, self.now.time_zone());
        if today.left() == 0 {
            return Err(Error::UsedUp(today));
        }
        days.used += 1;
        self.store(&days)?;
        Ok(Some(days.allowance(limit, self.now.time_zone())))
    }

    /// Takes back the count of a command.
    pub fn take_back(&self, counted: Allowance) -> Result<(), Error> {
        let _held = self.vault.lock(LOCK)?;
        let mut days = self.days()?;
        // The day may have ended in between, and the next one has not counted the command.
        let same_day = days.allowance(counted.limit, self.now.time_zone()).next_day_at == counted.next_day_at;
        if same_day && days.used > 0 {
            days.used -= 1;
            self.store(&days)?;
        }
        Ok(())
    }

    /// Returns the limit and the commands used today, without counting one; none without a limit.
    pub fn today(&self, quotas: &Quotas) -> Result<Option<Allowance>, Error> {
        let Some(limit) = limit(quotas) else { return Ok(None) };
        Ok(Some(self.days()?.allowance(limit, self.now.time_zone())))
    }

    /// Returns the stored days as of now. A file that cannot be opened counts as deleted.
    fn days(&self) -> Result<Days, Error> {
        Ok(self.vault.open_json::<Days>(FILE)?.unwrap_or_default().at(&self.now))
    }

    fn store(&self, days: &Days) -> Result<(), Error> {
        self.vault.seal_json(FILE, days)
    }
}

fn limit(quotas: &Quotas) -> Option<i64> {
    quotas.commands_per_day().filter(|limit| *limit >= 0)
}
