//! Transactional outbox: messages to the outside world, written in the transaction of their cause and delivered at least
//! once by `ops outbox deliver`.

use protocol::id::LicenseId;
use serde::{Deserialize, Serialize};

use crate::{Db, LogEvent, Problem};

/// Adds an entry: id, kind, subject (the same one is not sent twice), payload, sealed license key.
pub const OUTBOX_ADD: &str = "/* outbox_add */
    insert into outbox (id, tenant_id, kind, once, payload, secret) values ($1, current_tenant(), $2, $3, $4, $5)
    on conflict (tenant_id, once) do nothing";

const WAITING: &str = "/* outbox_waiting */ select waiting, oldest_seconds, dead from outbox_waiting()";

/// Counts the entries that wait in the outboxes of all tenants, for the fact. For operators, and `coditect_all`.
///
/// # Errors
/// `503` when Postgres doesn't answer.
pub async fn waiting(db: &Db) -> Result<LogEvent<'static>, Problem> {
    let rows = db.outside_tenants((WAITING, &[])).await?;
    let row = rows.first().ok_or_else(|| Problem::internal_error("an aggregate without a row"))?;
    let number = |at| row.get::<_, i64>(at).unsigned_abs();
    Ok(LogEvent::OutboxLevel { waiting: number(0), oldest_seconds: number(1), dead: number(2) })
}

/// The payload of a `mail`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// The address. Without one it goes to the tenant's owner.
    pub to: Option<String>,
    /// The license it is about.
    pub license_id: LicenseId,
    /// The plan's code.
    pub plan: String,
    /// Its subject.
    #[serde(flatten)]
    pub about: About,
}

/// Subject of a mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "about", rename_all = "snake_case")]
pub enum About {
    /// A license was bought. The key is the entry's secret.
    LicenseKey {
        /// Seats bought.
        seats: i32,
        /// The end of the key that this one replaces, if any, in seconds since 1970.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replaces_key_until: Option<i64>,
    },
    /// A payment failed, or needs the customer's confirmation; the license goes on meanwhile.
    PaymentFailed {
        /// True if the customer has to confirm the payment at the bank.
        action_required: bool,
        /// Stripe's page to pay at.
        url: Option<String>,
    },
    /// The trial ends soon.
    TrialEnding {
        /// When the trial ends, in seconds since 1970.
        at: i64,
    },
    /// The subscription was canceled, or given up after failed payments.
    Ending {
        /// When the license ends, in seconds since 1970.
        at: i64,
    },
    /// A refund or dispute holds the license back.
    Suspended {
        /// `refunded` or `disputed`.
        reason: String,
    },
}

/// The payload of `seats`: a license whose limit and state have to be sent to Redis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeatsChanged {
    /// The license.
    pub license_id: LicenseId,
}

/// The payload of `rehash`: a license whose key was found under a former pepper. The key is the entry's secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyFound {
    /// The license.
    pub license_id: LicenseId,
}
