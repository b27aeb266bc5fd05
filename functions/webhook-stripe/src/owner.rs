//! Owners of events: decided by the subscription, then by the customer, and by other ids only where it names neither.

use common::postgres::TenantTx;
use common::{Db, Problem};
use protocol::id::TenantId;
use stripe::event::{EventKind, ParsedEvent};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::queries;

/// Owner of an event.
#[derive(Debug, Clone)]
pub(crate) struct Owner {
    pub(crate) tenant: TenantId,
    pub(crate) customer: String,
    pub(crate) subscription: Option<String>,
    /// The tenant doesn't exist yet.
    pub(crate) is_new_tenant: bool,
    /// The customer isn't known yet.
    pub(crate) is_new_customer: bool,
}

impl Owner {
    /// Returns an owner whose tenant and customer are known.
    pub(crate) fn known(tenant: TenantId, customer: String, subscription: Option<String>) -> Self {
        Self { tenant, customer, subscription, is_new_tenant: false, is_new_customer: false }
    }

    /// Finds the owner of an event; a purchase makes one where there is none.
    pub(crate) async fn of_event(db: &Db, parsed: &ParsedEvent, livemode: bool) -> Result<Option<Self>, Problem> {
        let rows = db.outside_tenants((queries::OWNERS, &[&parsed.ids(), &livemode])).await?;
        if let Some(owner) = Self::from_rows(parsed, &rows) {
            return Ok(Some(owner));
        }
        let (EventKind::Checkout { tenant, .. }, Some(customer)) = (&parsed.kind, &parsed.customer) else {
            return Ok(None);
        };
        // Only metadata is trusted: the client_reference_id can be set in the URL of a Payment Link.
        let tenant = tenant.as_deref().and_then(|t| t.parse::<Uuid>().ok()).map(TenantId::from_uuid);
        let known = match tenant {
            Some(tenant) => {
                let tx = db.tenant("tenant", tenant).await?;
                let [rows] = tx.finish([(queries::TENANT, &[])]).await?;
                rows.first().map(|_| tenant)
            }
            None => None,
        };
        Ok(Some(Self {
            tenant: known.unwrap_or_else(TenantId::new),
            customer: customer.clone(),
            subscription: parsed.subscription.clone(),
            is_new_tenant: known.is_none(),
            is_new_customer: true,
        }))
    }

    /// Finds the owner of a subscription.
    pub(crate) async fn of_subscription(db: &Db, id: &str, livemode: bool) -> Result<Option<Self>, Problem> {
        let rows = db.outside_tenants((queries::OWNERS, &[&&[id][..], &livemode])).await?;
        Ok(rows.first().map(Self::from_row))
    }

    /// Checks whether the customer has become known during the wait for its lock.
    pub(crate) async fn is_customer_known(&self, tx: &mut TenantTx<'static>, livemode: bool) -> Result<bool, Problem> {
        let ids = [self.customer.as_str()];
        let [rows] = tx.run([(queries::OWNERS, &[&&ids[..], &livemode])]).await?;
        Ok(!rows.is_empty())
    }

    /// Returns the owner from the rows of the ids that are known, each with its tenant, customer and subscription.
    fn from_rows(parsed: &ParsedEvent, rows: &[Row]) -> Option<Self> {
        let of = |id: &str| rows.iter().find(|row| row.get::<_, &str>(0) == id);
        if let Some(row) = parsed.subscription.as_deref().and_then(of) {
            return Some(Self::from_row(row));
        }
        let references = || parsed.references.iter().filter_map(|id| of(id)).map(Self::from_row);
        let mut found = match &parsed.customer {
            Some(customer) => {
                let mut found = Self::from_row(of(customer)?);
                let of_customer = references().find(|reference| reference.customer == found.customer);
                found.subscription = of_customer.and_then(|reference| reference.subscription);
                found
            }
            None if parsed.subscription.is_some() => return None,
            None => references().next()?,
        };
        found.subscription = parsed.subscription.clone().or(found.subscription);
        Some(found)
    }

    fn from_row(row: &Row) -> Self {
        Self::known(TenantId::from_uuid(row.get(1)), row.get(2), row.get(3))
    }
}
