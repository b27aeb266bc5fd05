//! What is kept for a time only, and goes.

use crate::office::Office;
use crate::person;
use crate::printer::{Failure, Shown};
use crate::redaction::{self, Extent};

/// So many at once that a statement stays far below the time it may take.
const SWEEP: &str = "/* idempotency_keys_sweep */
    delete from idempotency_keys where ctid = any(array(
        select ctid from idempotency_keys where created_at < now() - interval '24 hours' limit 5000))
    returning 1";

/// Stripe's events that were done with 30 days ago, and still say who paid.
const EVENTS_OLD: &str = "/* stripe_events_old */
    select id, body, state = 'ignored', livemode from stripe_events
    where redacted_at is null and id > $1 and state in ('applied', 'ignored') and recheck is null
      and received_at < now() - interval '30 days'
    order by id limit 500";
/// Checks whether one of these ids is known: then nothing of the event is needed any more.
const IS_KNOWN: &str = "/* stripe_event_is_known */ select exists (select from stripe_owner($1, $2))";
const EVENTS_REDACT: &str = "/* stripe_events_redact */
    update stripe_events e set body = x.body, redacted_at = now()
    from unnest($1::text[], $2::bytea[]) as x (id, body) where e.id = x.id";

/// Deletes it, in every tenant.
///
/// # Errors
/// When the database doesn't answer; what was deleted before that is.
pub async fn all(office: &Office) -> Result<Shown, Failure> {
    let tenants = office.tenants().await?;
    let mut people = 0;
    for tenant in &tenants {
        people += person::erase_due(office, *tenant).await?;
        while !office.db.tenant("sweep", *tenant).await?.finish([(SWEEP, &[])]).await?[0].is_empty() {}
    }
    redact_events(office).await?;
    let mut said = format!("Swept {} tenants.", tenants.len());
    if people > 0 {
        said.push_str(&format!(" People erased, whose time was over: {people}."));
    }
    Ok(Shown::Done(said))
}

/// Takes the person out of Stripe's old events. What they did is kept.
async fn redact_events(office: &Office) -> Result<(), Failure> {
    let mut seen = String::new();
    loop {
        let rows = office.db.outside_tenants((EVENTS_OLD, &[&seen])).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        seen = last.get(0);
        let (mut ids, mut bodies) = (Vec::new(), Vec::new());
        for row in &rows {
            let (id, body): (String, Vec<u8>) = (row.get(0), row.get(1));
            let is_done = row.get(2) || {
                let known =
                    office.db.outside_tenants((IS_KNOWN, &[&redaction::ids(&body), &row.get::<_, bool>(3)])).await?;
                known.first().is_some_and(|row| row.get(0))
            };
            if is_done {
                ids.push(id);
                bodies.push(redaction::redact(&body, Extent::Everything).unwrap_or(body));
            }
        }
        office.db.outside_tenants((EVENTS_REDACT, &[&ids, &bodies])).await?;
    }
}
