//! Number of seats of each plan that are taken, over all tenants: for metrics, and to see if plans are too small.

use std::collections::BTreeMap;

use common::{LogEvent, Problem};
use protocol::id::{LicenseId, TenantId};

use crate::{Seats, queries};

/// A plan's seats.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Number of licenses of the plan that can be used.
    pub licenses: u64,
    /// Seats of these licenses.
    pub limit: u64,
    /// Seats that are taken.
    pub in_use: u64,
}

impl Usage {
    /// Returns the usage as a fact about a plan.
    #[must_use]
    pub fn log_event(self, plan: &str) -> LogEvent<'_> {
        let Self { licenses, limit, in_use } = self;
        #[expect(clippy::cast_precision_loss, reason = "nobody has so many seats")]
        let used = in_use as f64 / limit.max(1) as f64;
        LogEvent::SeatsInUse { plan, licenses, limit, in_use, used }
    }
}

impl Seats {
    /// Returns the usage of every plan by its code, also of those without licenses.
    ///
    /// # Errors
    /// `503` when Postgres or Redis don't answer.
    pub async fn usage(&self) -> Result<BTreeMap<String, Usage>, Problem> {
        let plans = self.db.outside_tenants((queries::PLANS, &[])).await?;
        let mut plans: BTreeMap<String, Usage> = plans.iter().map(|row| (row.get(0), Usage::default())).collect();
        for tenant in self.db.outside_tenants((queries::TENANTS, &[])).await? {
            let tx = self.db.tenant("licenses_in_use", TenantId::from_uuid(tenant.get(0))).await?;
            let [rows] = tx.finish([(queries::LICENSES_IN_USE, &[])]).await?;
            for row in rows {
                let open = row.get::<_, i64>(3).unsigned_abs();
                let live = match open {
                    0 => 0,
                    _ => match self.list(LicenseId::from_uuid(row.get(0))).await?.as_slice() {
                        // A license that Redis doesn't have is restored with all of its open sessions.
                        [] => open,
                        held => held.iter().filter(|(_, left)| *left > 0).count() as u64,
                    },
                };
                let usage = plans.entry(row.get(1)).or_default();
                usage.licenses += 1;
                usage.limit += u64::from(row.get::<_, i32>(2).unsigned_abs());
                usage.in_use += live;
            }
        }
        Ok(plans)
    }
}
