//! Lists the holders of seats, and frees seats.

use std::collections::HashMap;

use jiff::Timestamp;
use protocol::id::{LicenseId, SessionId};
use seats::Seats;
use serde_json::json;

use crate::ops_context::OpsContext;
use crate::printer::{Failure, Output};

const SESSIONS: &str = "/* sessions_of_license */
    select s.id, coalesce(u.email, 'license key'), s.hostname, s.hardware_id, s.started_at
    from sessions s left join users u on u.id = s.user_id
    where s.license_id = $1 and s.ended_at is null order by s.started_at";
/// Closes a session's row together with the audit log's entry; a session that ended before is not changed.
const SESSION_EVICT: &str = "/* session_evict */
    with evicted as (
        update sessions set ended_at = now(), ended_reason = 'revoked' where id = $1 and ended_at is null
        returning license_id
    )
    insert into audit_log (id, tenant_id, actor, action, license_id, detail)
    select $2, current_tenant(), $3, 'seat.evicted', license_id, $4 from evicted returning id";
const SESSION: &str = "/* session_of_operator */ select license_id, ended_reason from sessions where id = $1";

const USAGE_COLUMNS: &[&str] = &["plan", "licenses", "seats", "in_use"];
const COLUMNS: &[&str] = &["session_id", "user", "hostname", "hardware_id", "since", "seconds_left", "state"];

/// Shows the holders of a license's seats, the time since when they hold them, and the time that they have left.
///
/// # Errors
/// When there is no such license, or Redis doesn't answer.
pub async fn list(ops: &OpsContext, seats: &Seats, license: LicenseId) -> Result<Output, Failure> {
    let tenant = ops.tenant_of_license(license).await?;
    let tx = ops.db.tenant("seat_list", tenant).await?;
    let [rows] = tx.finish([(SESSIONS, &[&license.as_uuid()])]).await?;
    let left: HashMap<SessionId, i64> = seats.list(license).await?.into_iter().collect();
    let rows = rows.iter().map(|r| {
        let id = SessionId::from_uuid(r.get(0));
        let text = |i| json!(r.get::<_, Option<&str>>(i));
        // A session that Redis doesn't have is restored when its license is next used.
        let (seconds, state) = match left.get(&id) {
            Some(ms) if *ms > 0 => (json!(ms / 1000), "live"),
            Some(_) => (json!(0), "expired"),
            None => (json!(null), "not in Redis"),
        };
        vec![json!(id), text(1), text(2), text(3), json!(r.get::<_, Timestamp>(4)), seconds, json!(state)]
    });
    Ok(Output::List(COLUMNS, rows.collect()))
}

/// Shows the number of seats of each plan that are taken, over all tenants.
///
/// # Errors
/// When Postgres or Redis don't answer.
pub async fn usage(seats: &Seats) -> Result<Output, Failure> {
    let plans = seats.usage().await?.into_iter().filter(|(_, usage)| usage.licenses > 0);
    let rows = plans.map(|(plan, usage)| {
        usage.log_event(&plan).emit();
        vec![json!(plan), json!(usage.licenses), json!(usage.limit), json!(usage.in_use)]
    });
    Ok(Output::List(USAGE_COLUMNS, rows.collect()))
}

/// Ends a session, so that its seat is free at once; its client is notified at its next heartbeat.
///
/// # Errors
/// When there is no such session, or Redis doesn't answer; the session has then ended all the same.
pub async fn evict(ops: &OpsContext, seats: &Seats, session: SessionId) -> Result<Output, Failure> {
    let tenant = ops.tenant_of_session(session).await?;
    let tx = ops.db.tenant("seat_evict", tenant).await?;
    let detail = json!({"session_id": session});
    let id = session.as_uuid();
    let [evicted, rows] =
        tx.finish([(SESSION_EVICT, &[&id, &uuid::Uuid::now_v7(), &ops.actor, &detail]), (SESSION, &[&id])]).await?;
    let row = rows.first().ok_or_else(|| Failure::Refused(format!("There is no session {session}.")))?;
    let license = LicenseId::from_uuid(row.get(0));
    // The seat is freed again also when the row was closed before: the last eviction may have stopped between the two.
    if let Err(e) = seats.release_in_redis(license, &[session]).await {
        return Err(Failure::Broken(format!(
            "The session has ended, but Redis could not be told ({}): its seat isn't free yet. Run the same command again.",
            e.internal().unwrap_or_default()
        )));
    }
    Ok(Output::Message(match row.get::<_, Option<&str>>(1) {
        Some(reason) if evicted.is_empty() => format!("Session {session} had ended before ({reason})."),
        _ => format!("Session {session} has ended and its seat is free."),
    }))
}
