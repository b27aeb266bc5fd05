//! Removes a person from Stripe's data: its stored events, and the contact of customers. The payer of each invoice is kept by
//! Stripe itself.

use std::collections::HashMap;

use common::TenantTx;

use crate::printer::Failure;
use crate::redaction::{self, Extent};

/// Selects the tenant's ids that an event can name, and whether each is of a customer with the person's address.
const PAYMENT_IDS: &str = "/* person_payment_ids */
    with customers as (select id, email is not distinct from $1 as is_theirs from stripe_customers)
    select id, is_theirs from customers
    union all
    select s.id, c.is_theirs from subscriptions s join customers c on c.id = s.customer_id
    union all
    select r.reference, c.is_theirs
    from stripe_references r join subscriptions s on s.id = r.subscription_id join customers c on c.id = s.customer_id";
/// Selects the end of the next events, and those of them that have the address or one of the customers. The bytes are compared
/// as text that has only ASCII, because not every body is UTF-8. The number of events keeps the statement far below its
/// timeout.
const EVENTS_WITH: &str = "/* person_events */
    with page as (
        select id, lower(encode(body, 'escape')) as body from stripe_events where id > $1 order by id limit 500
    )
    select max(id),
           coalesce(array_agg(id) filter (where exists (
               select from unnest($2::text[]) word
               where position(lower(encode(convert_to(word, 'UTF8'), 'escape')) in body) > 0)), '{}')
    from page";
const EVENT: &str = "/* person_event */ select body, state from stripe_events where id = $1 for update";
const EVENT_REDACT: &str = "/* person_event_redact */ update stripe_events set body = $2 where id = $1";
/// Checks whether one of these ids, or the address, is of another tenant.
const IS_ELSEWHERE: &str = "/* person_is_elsewhere */
    select exists (select from stripe_owner($1, true)) or exists (select from stripe_owner($1, false)) or email_is_known($2)";
const CUSTOMERS_FORGET: &str = "/* person_customers_forget */
    update stripe_customers set email = null, name = null where email = $1 returning id";

/// Result of taking a person out of customers and events.
pub(super) struct Redacted {
    /// Customers that were the person.
    pub(super) customers: Vec<String>,
    /// Number of changed events.
    pub(super) events: usize,
}

/// Removes the person with this address from the tenant's customers and events, after the person's own row is deleted.
pub(super) async fn redact(tx: &mut TenantTx<'_>, email: &str) -> Result<Redacted, Failure> {
    let [rows] = tx.run([(PAYMENT_IDS, &[&email])]).await?;
    let known: HashMap<String, bool> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let theirs = known.iter().filter(|(id, is_theirs)| **is_theirs && id.starts_with("cus_"));
    let mut words: Vec<&str> = theirs.map(|(id, _)| id.as_str()).collect();
    words.push(email);
    let (mut events, mut seen) = (0, String::new());
    loop {
        let [page] = tx.run([(EVENTS_WITH, &[&seen, &words])]).await?;
        let Some(last) = page.first().and_then(|row| row.get::<_, Option<String>>(0)) else { break };
        for event in page[0].get::<_, Vec<String>>(1) {
            events += usize::from(redact_event(tx, &event, email, &known).await?);
        }
        seen = last;
    }
    let [rows] = tx.run([(CUSTOMERS_FORGET, &[&email])]).await?;
    let mut customers: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    customers.sort();
    Ok(Redacted { customers, events })
}

/// Removes the person from one event, unless it is another tenant's; returns true if there was something to remove.
async fn redact_event(
    tx: &mut TenantTx<'_>,
    event: &str,
    email: &str,
    known: &HashMap<String, bool>,
) -> Result<bool, Failure> {
    let [rows] = tx.run([(EVENT, &[&event])]).await?;
    let Some(row) = rows.first() else { return Ok(false) };
    let (body, state): (Vec<u8>, String) = (row.get(0), row.get(1));
    let ids = redaction::ids(&body);
    let ours: Vec<bool> = ids.iter().filter_map(|id| known.get(id).copied()).collect();
    let mut redacted = None;
    if ours.contains(&true) {
        redacted = redaction::redact(&body, Extent::Everything);
    } else if ours.is_empty() {
        // A waiting event without an owner may still become a purchase, by a person who has the address then.
        let [rows] = tx.run([(IS_ELSEWHERE, &[&ids, &email])]).await?;
        if state == "waiting" || rows.first().is_none_or(|row| row.get(0)) {
            return Ok(false);
        }
    }
    let rest = redacted.as_deref().unwrap_or(&body);
    let redacted = redaction::redact(rest, Extent::Mentions(email)).or(redacted);
    let Some(body) = redacted else { return Ok(false) };
    tx.run([(EVENT_REDACT, &[&event, &body])]).await?;
    Ok(true)
}
