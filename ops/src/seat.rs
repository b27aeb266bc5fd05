//! Who sits where, and freeing a seat.

use std::collections::HashMap;

use protocol::id::{LicenseId, SessionId};
use protocol::wire::EndedReason;
use serde_json::json;

use crate::office::{AUDIT, Office};
use crate::printer::{Failure, Shown};

const SESSIONS: &str = "/* sessions_of_license */
    select s.id, coalesce(u.email, 'license key'), s.hostname, s.hardware_id, s.started_at::text
    from sessions s left join users u on u.id = s.user_id
    where s.license_id = $1 and s.ended_at is null order by s.started_at";
const LICENSE_OF_SESSION: &str = "/* license_of_session */ select license_id, ended_reason from sessions where id = $1";

const COLUMNS: &[&str] = &["session_id", "user", "hostname", "hardware_id", "since", "seconds_left", "state"];

/// Who holds a licence's seats, since when, and for how long yet.
///
/// # Errors
/// When there is no such licence, or Redis doesn't answer.
pub async fn list(office: &Office, license: LicenseId) -> Result<Shown, Failure> {
    let tenant = office.tenant_of_license(license).await?;
    let tx = office.db.tenant("seat_list", tenant).await?;
    let [rows] = tx.finish([(SESSIONS, &[&license.as_uuid()])]).await?;
    let left: HashMap<SessionId, i64> = office.seats()?.list(license).await?.into_iter().collect();
    let rows = rows.iter().map(|r| {
        let id = SessionId::from_uuid(r.get(0));
        let text = |i| json!(r.get::<_, Option<&str>>(i));
        // A session that Redis doesn't have is restored when its licence is next used.
        let (seconds, state) = match left.get(&id) {
            Some(ms) if *ms > 0 => (json!(ms / 1000), "live"),
            Some(_) => (json!(0), "expired"),
            None => (json!(null), "not in Redis"),
        };
        vec![json!(id), text(1), text(2), text(3), text(4), seconds, json!(state)]
    });
    Ok(Shown::List(COLUMNS, rows.collect()))
}

/// Ends a session, so that its seat is free at once; its client is told at its next heartbeat.
///
/// # Errors
/// When there is no such session, or it has ended.
pub async fn evict(office: &Office, session: SessionId) -> Result<Shown, Failure> {
    let tenant = office.tenant_of_session(session).await?;
    let tx = office.db.tenant("license_of_session", tenant).await?;
    let [rows] = tx.finish([(LICENSE_OF_SESSION, &[&session.as_uuid()])]).await?;
    let row = rows.first().ok_or_else(|| Failure::Refused(format!("There is no session {session}.")))?;
    let license = LicenseId::from_uuid(row.get(0));
    let ended: Option<&str> = row.get(1);
    // The seat is freed again also when the row was closed before: the last eviction may have stopped between the two.
    office.seats()?.close(tenant, license, session, EndedReason::Revoked).await?;
    if let Some(reason) = ended {
        return Ok(Shown::Done(format!("Session {session} had ended before ({reason}).")));
    }
    let tx = office.db.tenant("seat_evicted", tenant).await?;
    let detail = json!({"session_id": session});
    tx.finish([(AUDIT, &[&uuid::Uuid::now_v7(), &office.actor, &"seat.evicted", &license.as_uuid(), &detail])]).await?;
    Ok(Shown::Done(format!("Session {session} has ended and its seat is free.")))
}
