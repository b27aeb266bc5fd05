//! The statements of `webhook-stripe`.

use stripe::facts::{Catalogue, Facts, Price, PriceKind};
use tokio_postgres::Row;
use uuid::Uuid;

/// Finds the owners of customers, subscriptions, invoices, charges and payment intents by their ids.
pub(crate) const OWNERS: &str = "/* stripe_owners */
    select named.id, o.tenant_id, o.customer_id, o.subscription_id
    from unnest($1::text[]) named (id), lateral stripe_owner(array[named.id], $2) o";

/// Locks a customer, so that its events are applied one after the other.
pub(crate) const CUSTOMER_LOCK: &str =
    "/* stripe_customer_lock */ select pg_advisory_xact_lock(hashtextextended($1, 2))";

/// Inserts an event together with its effects: no row when it is known already.
pub(crate) const EVENT_APPLY: &str = "/* stripe_event_apply */
    insert into stripe_events (id, livemode, type, created, body, state) values ($1, $2, $3, to_timestamp($4::bigint), $5, 'applied')
    on conflict (id) do nothing returning id";

/// Marks a stored event as applied: no row when it was applied meanwhile.
pub(crate) const EVENT_APPLY_KEPT: &str = "/* stripe_event_apply_kept */
    update stripe_events set state = 'applied', waits_for = '{}', error = null, attempts = attempts + 1, updated_at = now()
    where id = $1 and state in ('waiting', 'failed') returning id";

/// Stores an event that was not applied. One that was applied is left alone.
pub(crate) const EVENT_KEEP: &str = "/* stripe_event_keep */
    insert into stripe_events (id, livemode, type, created, body, state, waits_for, error)
    values ($1, $2, $3, to_timestamp($4::bigint), $5, $6, $7, $8)
    on conflict (id) do update set state = excluded.state, waits_for = excluded.waits_for, error = excluded.error,
        attempts = stripe_events.attempts + 1, updated_at = now()
    where stripe_events.state in ('waiting', 'failed')";

pub(crate) const EVENT_STATE: &str = "/* stripe_event_state */ select state from stripe_events where id = $1";

/// Marks an event whose subscription has to be compared with Stripe later.
pub(crate) const EVENT_RECHECK: &str =
    "/* stripe_event_recheck */ update stripe_events set recheck = $2 where id = $1 returning id";

/// Clears the marks of [`EVENT_RECHECK`] of a subscription whose state is known.
pub(crate) const EVENTS_COMPARED: &str =
    "/* stripe_events_compared */ update stripe_events set recheck = null where recheck = $1";

/// Events that wait for one of these, from behind one of them.
pub(crate) const EVENTS_WAITING: &str = "/* stripe_events_waiting */
    select id, body from stripe_events
    where state = 'waiting' and waits_for && $1
      and ($2::text is null or (created, id) > (select behind.created, behind.id from stripe_events behind where behind.id = $2))
    order by created, id limit 100";

/// Events that are stored without being applied, the oldest first; all, or one.
pub(crate) const EVENTS_KEPT: &str = "/* stripe_events_kept */
    select id, body from stripe_events where state in ('waiting', 'failed') and ($1::text is null or id = $1)
    order by created, id limit 10000";

/// Events whose subscription has to be compared with Stripe; all, or one.
pub(crate) const EVENTS_RECHECK: &str = "/* stripe_events_recheck */
    select id, body, recheck from stripe_events where recheck is not null and ($1::text is null or id = $1)
    order by created, id limit 10000";

/// The subscription that a license follows.
pub(crate) const SUBSCRIPTION_OF_LICENSE: &str = "/* subscription_of_license */
    select s.id, s.customer_id, c.livemode from subscriptions s join stripe_customers c on c.id = s.customer_id
    where s.license_id = $1";
/// A tenant's customers of one mode.
pub(crate) const CUSTOMERS: &str =
    "/* stripe_customers */ select id from stripe_customers where livemode = $1 order by created_at, id";

pub(crate) const TENANT: &str = "/* tenant */ select id from tenants";
pub(crate) const TENANT_INSERT: &str =
    "/* tenant_insert */ insert into tenants (id, name, slug) values (current_tenant(), $1, $2)";
/// Inserts a claim on the tenant for the address of the purchase, until the person confirms it.
pub(crate) const OWNER_CLAIM: &str = "/* owner_claim */
    insert into users (id, tenant_id, email, role, claimed_at) values ($1, current_tenant(), $2, 'owner', now())
    on conflict do nothing";

pub(crate) const CUSTOMER: &str =
    "/* stripe_customer */ select email, deleted_at is not null from stripe_customers where id = $1";
/// Inserts or updates a customer. The newest contact wins.
pub(crate) const CUSTOMER_WRITE: &str = "/* stripe_customer_write */
    insert into stripe_customers (id, tenant_id, livemode, email, name, as_of, deleted_at)
    values ($1, current_tenant(), $2, $3, $4, $5, $6)
    on conflict (id) do update set deleted_at = coalesce(stripe_customers.deleted_at, excluded.deleted_at),
        email = case when excluded.as_of >= stripe_customers.as_of then coalesce(excluded.email, stripe_customers.email) else stripe_customers.email end,
        name = case when excluded.as_of >= stripe_customers.as_of then coalesce(excluded.name, stripe_customers.name) else stripe_customers.name end,
        as_of = greatest(excluded.as_of, stripe_customers.as_of)";

/// A customer's subscriptions with their licenses.
pub(crate) const SUBSCRIPTIONS: &str = "/* stripe_subscriptions */
    select s.id, s.facts || jsonb_build_object('payments', s.payments), s.license_id, l.plan_code, l.seats, l.standing, extract(epoch from l.expires_at)::bigint
    from subscriptions s left join licenses l on l.id = s.license_id where s.customer_id = $1";
pub(crate) const SUBSCRIPTION_WRITE: &str = "/* stripe_subscription_write */
    insert into subscriptions (id, tenant_id, customer_id, facts, payments, status, license_id)
    values ($1, current_tenant(), $2, $3::jsonb - 'payments', $3::jsonb -> 'payments', $4, $5)
    on conflict (id) do update set facts = excluded.facts, payments = excluded.payments, status = excluded.status,
        license_id = excluded.license_id, updated_at = now()";
pub(crate) const REFERENCES_WRITE: &str = "/* stripe_references_write */
    insert into stripe_references (reference, tenant_id, subscription_id) select r, current_tenant(), $1 from unnest($2::text[]) r
    on conflict do nothing";

pub(crate) const CATALOGUE: &str = "/* plan_prices */
    select price_id, plan_code, kind, pp.seats, p.tier from plan_prices pp join plans p on p.code = pp.plan_code";

pub(crate) const LICENSE_INSERT: &str = "/* license_insert */
    insert into licenses (id, tenant_id, plan_code, seats, standing, expires_at, key_hash, key_hint)
    values ($1, current_tenant(), $2, $3, $4, to_timestamp($5::bigint), $6, $7)";
/// Changes a license. Ending the sessions ends a generation, so that a Redis which missed the change has none of them when the
/// license is active again.
pub(crate) const LICENSE_CHANGE: &str = "/* license_change */
    update licenses set plan_code = $2, seats = $3, standing = $4, expires_at = to_timestamp($5::bigint), revision = revision + 1,
        seat_generation = seat_generation + case when $6 then 1 else 0 end
    where id = $1
    returning seat_generation, revision, seats, license_state(state, standing, expires_at) as state, expires_at,
        database_identity() as database";
pub(crate) const SESSIONS_END: &str = "/* sessions_end */
    update sessions set ended_at = now(), ended_reason = 'suspended' where license_id = $1 and ended_at is null";

pub(crate) const AUDIT: &str = "/* audit_entry */
    insert into audit_log (id, tenant_id, actor, action, license_id, detail) values ($1, current_tenant(), $2, $3, $4, $5)";
/// Adds an audit entry at most once: its id is made of what it is about.
pub(crate) const AUDIT_ONCE: &str = "/* audit_entry_once */
    insert into audit_log (id, tenant_id, actor, action, license_id, detail)
    values (md5($1)::uuid, current_tenant(), $2, $3, $4, $5) on conflict do nothing";
pub(crate) const OUTBOX_DONE: &str = "/* outbox_done */ delete from outbox where id = $1";

/// A subscription as it is stored.
#[derive(Debug)]
pub(crate) struct SubscriptionRow {
    pub(crate) id: String,
    pub(crate) facts: Facts,
    pub(crate) license: Option<License>,
}

/// A license as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct License {
    pub(crate) id: Uuid,
    pub(crate) plan: String,
    pub(crate) seats: i32,
    pub(crate) standing: String,
    pub(crate) expires_at: Option<i64>,
}

impl SubscriptionRow {
    pub(crate) fn from_row(row: &Row) -> Result<Self, serde_json::Error> {
        let license = row.get::<_, Option<Uuid>>(2).map(|id| License {
            id,
            plan: row.get(3),
            seats: row.get(4),
            standing: row.get(5),
            expires_at: row.get(6),
        });
        Ok(Self { id: row.get(0), facts: serde_json::from_value(row.get(1))?, license })
    }
}

/// Parses the catalogue's prices.
pub(crate) fn catalogue(rows: &[Row]) -> Catalogue {
    rows.iter()
        .map(|row| {
            let seats = u32::try_from(row.get::<_, i32>(3)).unwrap_or(0);
            (row.get(0), Price { plan: row.get(1), kind: PriceKind::parse(row.get(2)), seats })
        })
        .collect()
}
