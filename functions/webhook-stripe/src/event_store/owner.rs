//! Owners of events: decided by the subscription, then by the customer, and by other ids only where it names neither.

use common::Problem;
use common::postgres::TenantTx;
use protocol::id::TenantId;
use stripe::event::{Event, EventKind, ParsedEvent};
use tokio_postgres::Row;
use uuid::Uuid;

use super::{EventStore, PendingEvent};
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
    /// An owner whose tenant and customer are known.
    pub(crate) fn known(tenant: TenantId, customer: String, subscription: Option<String>) -> Self {
        Self { tenant, customer, subscription, is_new_tenant: false, is_new_customer: false }
    }
}

impl EventStore {
    /// Finds the owner of the event; a purchase makes one where there is none.
    pub(super) async fn owner_of(&self, pending: &PendingEvent<'_>) -> Result<Option<Owner>, Problem> {
        let parsed = &pending.parsed;
        let rows = self.db.outside_tenants((queries::OWNERS, &[&parsed.ids(), &pending.event.livemode])).await?;
        if let Some(owner) = known_owner(parsed, &rows) {
            return Ok(Some(owner));
        }
        let (EventKind::Checkout { tenant, .. }, Some(customer)) = (&parsed.kind, &parsed.customer) else {
            return Ok(None);
        };
        // Only metadata is trusted: the client_reference_id can be set in the URL of a Payment Link.
        let tenant = tenant.as_deref().and_then(|t| t.parse::<Uuid>().ok()).map(TenantId::from_uuid);
        let known = match tenant {
            Some(tenant) => {
                let tx = self.db.tenant("tenant", tenant).await?;
                let [rows] = tx.finish([(queries::TENANT, &[])]).await?;
                rows.first().map(|_| tenant)
            }
            None => None,
        };
        Ok(Some(Owner {
            tenant: known.unwrap_or_else(TenantId::new),
            customer: customer.clone(),
            subscription: parsed.subscription.clone(),
            is_new_tenant: known.is_none(),
            is_new_customer: true,
        }))
    }

    /// Finds the owner of a subscription.
    pub(super) async fn owner(&self, livemode: bool, subscription: &str) -> Result<Option<Owner>, Problem> {
        let rows = self.db.outside_tenants((queries::OWNERS, &[&&[subscription][..], &livemode])).await?;
        Ok(rows.first().map(owner))
    }

    /// Checks whether this customer became known during the wait for the lock.
    pub(super) async fn has_owner(
        &self,
        tx: &mut TenantTx<'static>,
        event: &Event,
        owner: &Owner,
    ) -> Result<bool, Problem> {
        let names = [owner.customer.as_str()];
        let [rows] = tx.run([(queries::OWNERS, &[&&names[..], &event.livemode])]).await?;
        Ok(!rows.is_empty())
    }
}

/// Returns the owner, from the rows of the ids that are known, each with its tenant, customer and subscription.
fn known_owner(parsed: &ParsedEvent, rows: &[Row]) -> Option<Owner> {
    let of = |id: &str| rows.iter().find(|row| row.get::<_, &str>(0) == id);
    if let Some(row) = parsed.subscription.as_deref().and_then(of) {
        return Some(owner(row));
    }
    let references = || parsed.references.iter().filter_map(|id| of(id)).map(owner);
    let mut found = match &parsed.customer {
        Some(customer) => {
            let mut found = owner(of(customer)?);
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

fn owner(row: &Row) -> Owner {
    Owner::known(TenantId::from_uuid(row.get(1)), row.get(2), row.get(3))
}
