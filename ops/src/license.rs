//! Issues, changes and shows licenses.

use common::LogEvent;
use common::license_key::KeyHasher;
use jiff::Timestamp;
use protocol::id::{LicenseId, TenantId};
use protocol::key::{Brand, LicenseKey};
use protocol::wire::Tier;
use seats::{LICENSE_LOCK, Seats, Terms};
use serde_json::{Value, json};
use tokio_postgres::Row;
use webhook_stripe::event_store::EventStore;
use webhook_stripe::event_store::lift::LiftOutcome;

use crate::ops_context::{AUDIT, OpsContext};
use crate::printer::{Failure, Output};

const PLAN: &str = "/* plan */ select tier, included_seats from plans where code = $1";
const LICENSE_INSERT: &str = "/* license_insert */
    insert into licenses (id, tenant_id, plan_code, seats, expires_at, key_hash, key_hint)
    values ($1, current_tenant(), $2, $3, $4, $5, $6)";
const LICENSES: &str = "/* licenses */
    select l.id, l.tenant_id, l.plan_code, p.tier, l.seats, license_state(l.state, l.standing, l.expires_at) as state,
           l.standing = 'past_due' as past_due, l.expires_at, l.key_hint, l.created_at, l.key_hashed_at,
           case when l.state = 'suspended' then 'operator' when l.standing = 'refunded' then 'refund'
                when l.standing = 'disputed' then 'dispute' when l.standing = 'inactive' then 'subscription' end as suspended_by
    from licenses l join plans p on p.code = l.plan_code
    where ($1::uuid is null or l.id = $1)
      and ($2::text is null or l.id in (select s.license_id from subscriptions s where s.customer_id = $2))
    order by l.created_at";
const STRIPE_OWNER: &str = "/* stripe_owner */
    select tenant_id from (values (true), (false)) mode (live), stripe_owner(array[$1::text], live) where customer_id = $1";
/// Selects the terms of a license, for Redis.
pub(crate) const LICENSE_TERMS: &str = "/* license_terms */
    select seat_generation, revision, seats, license_state(state, standing, expires_at) as state, expires_at,
        database_identity() as database
    from licenses where id = $1";
const FORMER_KEYS: &str = "/* former_license_keys */
    select key_hint, replaced_at, good_until from former_license_keys where license_id = $1 order by replaced_at";
const REFUSALS: &str = "/* refusals */
    select day::text, sum(count) filter (where kind = 'seat_refused')::bigint, sum(count) filter (where kind = 'device_refused')::bigint
    from license_daily_counts where license_id = $1 group by day order by day desc limit 30";
const SESSIONS_END: &str = "/* sessions_end */
    update sessions set ended_at = now(), ended_reason = $2 where license_id = $1 and ended_at is null returning id";
/// Changes state and seats, where given. A revoked license stays revoked. Ending the sessions ends a generation: a Redis that
/// missed the change and then learns of the license's return must not have kept them.
const LICENSE_CHANGE: &str = "/* license_change */
    update licenses l set state = coalesce($2, l.state), seats = coalesce($3, l.seats), revision = l.revision + 1,
        seat_generation = l.seat_generation + case when $2 in ('suspended', 'revoked') then 1 else 0 end
    from (select state from licenses where id = $1) was
    where l.id = $1 and (l.state <> 'revoked' or $2 = 'revoked')
    returning seat_generation, revision, seats, license_state(l.state, standing, expires_at) as state, expires_at,
        database_identity() as database, was.state as former_state";

const COLUMNS: &[&str] = &[
    "license_id",
    "tenant_id",
    "plan",
    "tier",
    "seats",
    "state",
    "suspended_by",
    "past_due",
    "expires_at",
    "key_hint",
    "created_at",
    "key_hashed_at",
];

/// Parameters of a new license.
#[derive(Debug)]
pub struct NewLicense<'a> {
    /// Slug or id.
    pub tenant: &'a str,
    /// The plan's code.
    pub plan: &'a str,
    /// Seats; the plan's own number where none is given.
    pub seats: Option<u32>,
    /// When it ends; never where none is given.
    pub expires: Option<Timestamp>,
    /// The brand in front of the key.
    pub brand: Brand,
}

/// A change of a license.
#[derive(Debug, Clone, Copy)]
pub enum Change {
    /// Sessions end, and no new ones begin.
    Suspend,
    /// A suspended license can be used again.
    Resume,
    /// The license ends for good.
    Revoke,
    /// The license gets more or fewer seats.
    Seats(u32),
}

/// Issues a license and shows its key, once.
///
/// # Errors
/// When there is no such tenant or plan, or the license would be over at once.
pub async fn issue(ops: &OpsContext, hasher: &KeyHasher, request: &NewLicense<'_>) -> Result<Output, Failure> {
    let tenant = ops.tenant(request.tenant).await?;
    let plans = ops.db.outside_tenants((PLAN, &[&request.plan])).await?;
    let plan = plans.first().ok_or_else(|| {
        Failure::Refused(format!("There is no plan {}. `ops plan list` shows those there are.", request.plan))
    })?;
    let tier: Tier = plan.get::<_, &str>(0).parse().map_err(|e| Failure::Broken(format!("{e}")))?;
    let seats = request.seats.map_or(plan.get(1), |n| i32::try_from(n).unwrap_or(i32::MAX));
    if !(1..=1_000_000).contains(&seats) {
        return Err(Failure::Refused("A license has 1 to 1,000,000 seats.".to_owned()));
    }
    if request.expires.is_some_and(|end| end <= Timestamp::now()) {
        return Err(Failure::Refused("That expiry has passed. Give one in the future.".to_owned()));
    }
    let (id, key) = (LicenseId::new(), LicenseKey::generate(request.brand, tier.into()));
    let hash = hasher.hash(&key);
    let detail = json!({"plan": request.plan, "seats": seats, "expires_at": request.expires});
    let tx = ops.db.tenant("license_issue", tenant).await?;
    tx.finish([
        (LICENSE_INSERT, &[&id.as_uuid(), &request.plan, &seats, &request.expires, &hash.as_slice(), &key.redacted()]),
        (AUDIT, &[&uuid::Uuid::now_v7(), &ops.actor, &"license.issued", &id.as_uuid(), &detail]),
    ])
    .await?;
    let issued = u64::from(seats.unsigned_abs());
    LogEvent::LicenseCreated { license: id.as_uuid(), plan: request.plan, by: "operator", seats: issued }.emit();
    Ok(Output::Record(vec![
        ("license_id", json!(id)),
        ("tenant_id", json!(tenant)),
        ("plan", json!(request.plan)),
        ("tier", json!(tier)),
        ("seats", json!(seats)),
        ("expires_at", json!(request.expires)),
        ("license_key", json!(key.to_string())),
    ]))
}

/// Filter of a list of licenses.
#[derive(Debug)]
pub enum LicenseFilter<'a> {
    /// All licenses.
    All,
    /// The licenses of a tenant, by slug or id.
    Tenant(&'a str),
    /// The licenses of a customer of Stripe's.
    Customer(&'a str),
}

/// Shows the licenses of one tenant, of one of Stripe's customers, or of all.
///
/// # Errors
/// When there is no such tenant or customer.
pub async fn list(ops: &OpsContext, filter: LicenseFilter<'_>) -> Result<Output, Failure> {
    let (tenants, customer) = match filter {
        LicenseFilter::All => (ops.tenants().await?, None),
        LicenseFilter::Tenant(name) => (vec![ops.tenant(name).await?], None),
        LicenseFilter::Customer(id) => {
            let rows = ops.db.outside_tenants((STRIPE_OWNER, &[&id])).await?;
            let row = rows.first().ok_or_else(|| {
                Failure::Refused(format!(
                    "No event of Stripe has named a customer {id}. Copy the id from Stripe again."
                ))
            })?;
            (vec![TenantId::from_uuid(row.get(0))], Some(id))
        }
    };
    let mut rows = Vec::new();
    for tenant in tenants {
        let tx = ops.db.tenant("licenses", tenant).await?;
        let [found] = tx.finish([(LICENSES, &[&None::<uuid::Uuid>, &customer])]).await?;
        rows.extend(found.iter().map(row));
    }
    Ok(Output::List(COLUMNS, rows))
}

/// Shows one license, with its seats in use and its refusals of the last days.
///
/// # Errors
/// When there is no such license.
pub async fn show(ops: &OpsContext, seats: &Seats, license: LicenseId) -> Result<Output, Failure> {
    let tenant = ops.tenant_of_license(license).await?;
    let tx = ops.db.tenant("license_show", tenant).await?;
    let [found, refusals, former] = tx
        .finish([
            (LICENSES, &[&Some(license.as_uuid()), &None::<&str>]),
            (REFUSALS, &[&license.as_uuid()]),
            (FORMER_KEYS, &[&license.as_uuid()]),
        ])
        .await?;
    let values = found.first().map(row).unwrap_or_default();
    let mut fields: Vec<(&str, Value)> = COLUMNS.iter().copied().zip(values).collect();
    // Redis may be down, which is no reason not to show the rest.
    let in_use = match seats.list(license).await {
        Ok(held) => json!(held.iter().filter(|(_, left)| *left > 0).count()),
        Err(_) => Value::Null,
    };
    fields.push(("seats_in_use", in_use));
    let refusals = refusals.iter().map(|r| {
        let count = |i| r.get::<_, Option<i64>>(i).unwrap_or(0);
        json!({"day": r.get::<_, &str>(0), "seats_refused": count(1), "devices_refused": count(2)})
    });
    fields.push(("refusals", Value::Array(refusals.collect())));
    let former = former.iter().map(|r| {
        let (replaced_at, good_until): (Timestamp, Timestamp) = (r.get(1), r.get(2));
        json!({"key_hint": r.get::<_, &str>(0), "replaced_at": replaced_at, "good_until": good_until})
    });
    fields.push(("former_keys", Value::Array(former.collect())));
    Ok(Output::Record(fields))
}

/// Changes a license: the row, the sessions it ends and the audit log in one transaction, then Redis. Repeating a change is no
/// mistake: it updates Redis again.
///
/// # Errors
/// When there is no such license, or it was revoked. When Redis doesn't answer, or a license that is resumed is held back by
/// billing all the same: the change then stands.
pub async fn change(ops: &OpsContext, seats: &Seats, license: LicenseId, change: Change) -> Result<Output, Failure> {
    let tenant = ops.tenant_of_license(license).await?;
    let (action, state, count, ends) = match change {
        Change::Suspend => ("license.suspended", Some("suspended"), None, Some("suspended")),
        Change::Resume => ("license.resumed", Some("active"), None, None),
        Change::Revoke => ("license.revoked", Some("revoked"), None, Some("revoked")),
        Change::Seats(n) if n <= 1_000_000 => ("license.seats_changed", None, i32::try_from(n).ok(), None),
        Change::Seats(_) => return Err(Failure::Refused("A license has at most 1,000,000 seats.".to_owned())),
    };
    let id = license.as_uuid();
    let mut tx = ops.db.tenant("license_change", tenant).await?;
    let [_, changed] = tx.run([(LICENSE_LOCK, &[&id]), (LICENSE_CHANGE, &[&id, &state, &count])]).await?;
    let Some(changed) = changed.first() else {
        return Err(Failure::Refused(format!("License {license} was revoked, which is for good. Issue another one.")));
    };
    let terms = Terms::from_row(changed);
    let held = match (change, terms.state.as_str()) {
        (Change::Resume, "suspended") => {
            Some(format!("a refund or dispute does: `ops license resume {license} --billing` lifts that"))
        }
        (Change::Resume, "subscription_inactive") => {
            Some("its subscription is not paid at Stripe, or has ended there".to_owned())
        }
        _ => None,
    };
    if let Some(why) = held.as_ref().filter(|_| changed.get::<_, &str>("former_state") == "active") {
        return Err(Failure::Refused(format!("No operator suspends license {license}, but {why}.")));
    }
    let detail = json!({"seats": terms.limit, "state": terms.state});
    let audit_id = uuid::Uuid::now_v7();
    let audit: common::postgres::Query<'_> = (AUDIT, &[&audit_id, &ops.actor, &action, &id, &detail]);
    match ends {
        Some(reason) => tx.finish([(SESSIONS_END, &[&id, &reason]), audit]).await.map(drop)?,
        None => tx.finish([audit]).await.map(drop)?,
    }
    if let Some(reason) = ends {
        LogEvent::LicenseStopped { license: id, reason, by: "operator" }.emit();
    }
    let shown = update_redis(ops, seats, tenant, license, &terms).await?;
    match held {
        Some(why) => Err(Failure::Refused(format!("No operator suspends license {license} any more, but {why}."))),
        None => Ok(shown),
    }
}

/// Lifts the hold of a refund or dispute on a license.
///
/// # Errors
/// When there is no such license, nothing of billing holds it back, or the database doesn't answer.
pub async fn lift_billing_hold(
    ops: &OpsContext,
    store: &EventStore,
    seats: &Seats,
    license: LicenseId,
) -> Result<Output, Failure> {
    let tenant = ops.tenant_of_license(license).await?;
    match store.lift(tenant, license, &ops.actor).await? {
        LiftOutcome::Lifted(_) => show(ops, seats, license).await,
        LiftOutcome::NoHold => Err(Failure::Refused(format!(
            "No refund or dispute holds license {license} back. `ops license show {license}` says what does."
        ))),
        LiftOutcome::NoSubscription => Err(Failure::Refused(format!(
            "License {license} follows no subscription. `ops license resume {license}` lifts what an operator suspended."
        ))),
        LiftOutcome::Rejected(error) => Err(Failure::Refused(error)),
    }
}

/// Sends changed terms to Redis, and shows the license.
async fn update_redis(
    ops: &OpsContext,
    seats: &Seats,
    tenant: TenantId,
    license: LicenseId,
    terms: &Terms,
) -> Result<Output, Failure> {
    if let Err(e) = seats.set_terms(license, terms).await {
        return Err(Failure::Broken(format!(
            "The change is made, but Redis could not be told ({}): running sessions don't know yet. Run the same command again.",
            e.internal().unwrap_or_default()
        )));
    }
    let tx = ops.db.tenant("license_show", tenant).await?;
    let [found] = tx.finish([(LICENSES, &[&Some(license.as_uuid()), &None::<&str>])]).await?;
    Ok(Output::Record(COLUMNS.iter().copied().zip(found.first().map(row).unwrap_or_default()).collect()))
}

fn row(row: &Row) -> Vec<Value> {
    // A license that isn't paid for is shown as suspended to operators and programs.
    let state = match row.get("state") {
        "subscription_inactive" => "suspended",
        other => other,
    };
    vec![
        json!(row.get::<_, uuid::Uuid>("id")),
        json!(row.get::<_, uuid::Uuid>("tenant_id")),
        json!(row.get::<_, &str>("plan_code")),
        json!(row.get::<_, &str>("tier")),
        json!(row.get::<_, i32>("seats")),
        json!(state),
        json!(row.get::<_, Option<&str>>("suspended_by").filter(|_| state == "suspended")),
        json!(row.get::<_, bool>("past_due")),
        json!(row.get::<_, Option<Timestamp>>("expires_at")),
        json!(row.get::<_, &str>("key_hint")),
        json!(row.get::<_, Timestamp>("created_at")),
        json!(row.get::<_, Timestamp>("key_hashed_at")),
    ]
}
