//! Owners of events: decided by the subscription, then by the customer, and by other ids only where it names neither.

use common::Problem;
use common::postgres::TenantTx;
use protocol::id::TenantId;
use stripe::event::{Event, Meaning, News};
use tokio_postgres::Row;
use uuid::Uuid;

use super::{Entry, Ledger, Owner};
use crate::queries;

impl Ledger {
    /// Finds the owner of the event; a purchase makes one where there is none.
    pub(super) async fn owner_of(&self, entry: &Entry<'_>) -> Result<Option<Owner>, Problem> {
        let meaning = &entry.meaning;
        let rows = self.db.outside_tenants((queries::OWNERS, &[&meaning.names(), &entry.event.livemode])).await?;
        if let Some(owner) = named(meaning, &rows) {
            return Ok(Some(owner));
        }
        let (News::Checkout { tenant, .. }, Some(customer)) = (&meaning.news, &meaning.customer) else {
            return Ok(None);
        };
        // Only metadata is believed: the client_reference_id can be set in the address of a Payment Link.
        let named = tenant.as_deref().and_then(|t| t.parse::<Uuid>().ok()).map(TenantId::from_uuid);
        let known = match named {
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
            subscription: meaning.subscription.clone(),
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

/// The owner among the ids that are known, each with its tenant, customer and subscription.
fn named(meaning: &Meaning, rows: &[Row]) -> Option<Owner> {
    let of = |id: &str| rows.iter().find(|row| row.get::<_, &str>(0) == id);
    if let Some(row) = meaning.subscription.as_deref().and_then(of) {
        return Some(owner(row));
    }
    let references = || meaning.references.iter().filter_map(|id| of(id)).map(owner);
    let mut found = match &meaning.customer {
        Some(customer) => {
            let mut found = owner(of(customer)?);
            let of_customer = references().find(|reference| reference.customer == found.customer);
            found.subscription = of_customer.and_then(|reference| reference.subscription);
            found
        }
        None if meaning.subscription.is_some() => return None,
        None => references().next()?,
    };
    found.subscription = meaning.subscription.clone().or(found.subscription);
    Some(found)
}

fn owner(row: &Row) -> Owner {
    Owner::known(TenantId::from_uuid(row.get(1)), row.get(2), row.get(3))
}
