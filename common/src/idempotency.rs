//! `Idempotency-Key`: the same key and body give the same answer for 24 hours, the same key with another body is refused.
//!
//! The key is noted with the body's hash before anything is done, and the answer is kept before it is given. A request
//! that is retried while the first still runs is done again: every operation that takes keys is itself safe to repeat.
//! A caller has a bounded number of keys in 24 hours, and each new one removes some that are older.

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use protocol::id::{IdempotencyKey, TenantId};
use uuid::Uuid;

use crate::body::json;
use crate::postgres::{Db, Query};
use crate::problem::Problem;

const KEY_FORGET: &str = "/* idempotency_key_forget */
    delete from idempotency_keys
    where operation = $1 and caller = $2 and key = $3 and created_at < now() - interval '24 hours'";
/// Deletes old keys, more than one for each new one, so that few are left. Skips those that another request deletes, and so
/// waits for none.
const KEYS_EXPIRE: &str = "/* idempotency_keys_expire */
    delete from idempotency_keys where ctid = any(array(
        select ctid from idempotency_keys
        where operation = $1 and caller = $2 and created_at < now() - interval '24 hours'
        order by created_at limit 20 for update skip locked))";
/// Notes a key, unless the caller has 10,000 of the last 24 hours: more than real use takes, even of a license that many CI
/// machines share.
const KEY_NOTE: &str = "/* idempotency_key_note */
    insert into idempotency_keys (tenant_id, operation, caller, key, body_hash)
    select current_tenant(), $1::text, $2::uuid, $3::text, $4::bytea
    where not exists (
        select from idempotency_keys
        where operation = $1 and caller = $2 and created_at >= now() - interval '24 hours' offset 9999)
    on conflict do nothing";
/// Selects the seconds until the caller's oldest key is older than 24 hours.
const KEYS_ROOM: &str = "/* idempotency_keys_room */
    select ceil(extract(epoch from min(created_at) + interval '24 hours' - now()))::bigint from idempotency_keys
    where operation = $1 and caller = $2 and created_at >= now() - interval '24 hours'";
const KEY_FIND: &str = "/* idempotency_key_find */
    select body_hash, status, answer from idempotency_keys where operation = $1 and caller = $2 and key = $3";
const ANSWER_KEEP: &str = "/* idempotency_answer_keep */
    update idempotency_keys set status = $4, answer = $5
    where operation = $1 and caller = $2 and key = $3 and answer is null";

/// The request's `Idempotency-Key`, if it has one.
#[derive(Debug, Clone)]
pub struct Idempotency(pub Option<IdempotencyKey>);

impl<S: Send + Sync> FromRequestParts<S> for Idempotency {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Some(value) = parts.headers.get("idempotency-key") else { return Ok(Self(None)) };
        let key = value.to_str().ok().and_then(|v| IdempotencyKey::parse(v).ok());
        key.map(|key| Self(Some(key)))
            .ok_or_else(|| Problem::invalid("Idempotency-Key", "must be 1 to 255 visible ASCII characters."))
    }
}

/// An answer that was given before. The operation checks that it still holds before it is given again.
#[derive(Debug)]
pub struct StoredAnswer {
    status: StatusCode,
    /// Its body.
    pub body: Vec<u8>,
}

impl IntoResponse for StoredAnswer {
    fn into_response(self) -> Response {
        json(self.status, self.body)
    }
}

/// A request under a key that was not answered before.
#[derive(Debug)]
pub struct KeyedRequest<'a> {
    db: &'a Db,
    tenant: TenantId,
    operation: &'static str,
    caller: Uuid,
    key: IdempotencyKey,
}

/// Outcome of beginning a request.
#[derive(Debug)]
pub enum Replay<'a> {
    /// The request was answered before.
    Answered(StoredAnswer),
    /// The key is new, or its first request is still running: the answer is stored with [`KeyedRequest::answer`].
    New(KeyedRequest<'a>),
    /// The request has no key.
    Off,
}

impl Idempotency {
    /// Notes the key, and finds out whether the request was answered before.
    ///
    /// # Errors
    /// `422 idempotency_key_reused` when the key came with another body; `429` when the caller has used as many keys as it
    /// may; `503` when Postgres doesn't answer.
    pub async fn begin<'a>(
        self,
        db: &'a Db,
        tenant: TenantId,
        operation: &'static str,
        caller: Uuid,
        body: &[u8],
    ) -> Result<Replay<'a>, Problem> {
        let Some(key) = self.0 else { return Ok(Replay::Off) };
        let request = KeyedRequest { db, tenant, operation, caller, key };
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, body);
        let tx = db.tenant("idempotency_begin", tenant).await?;
        let id: [&(dyn tokio_postgres::types::ToSql + Sync); 3] =
            [&request.operation, &request.caller, &request.key.as_str()];
        let note: Query<'_> = (KEY_NOTE, &[id[0], id[1], id[2], &hash.as_ref()]);
        let [_, _, _, found] = tx.finish([(KEY_FORGET, &id), (KEYS_EXPIRE, &id[..2]), note, (KEY_FIND, &id)]).await?;
        let Some(row) = found.first() else { return Err(request.keys_used_up().await) };
        if row.get::<_, &[u8]>(0) != hash.as_ref() {
            return Err(Problem::idempotency_key_reused());
        }
        Ok(stored_answer(row).map_or(Replay::New(request), Replay::Answered))
    }
}

impl KeyedRequest<'_> {
    /// Returns the refusal of a key beyond the bound, or the problem of finding out for how long it holds.
    async fn keys_used_up(&self) -> Problem {
        let room = async {
            let tx = self.db.tenant("idempotency_keys_room", self.tenant).await?;
            tx.finish([(KEYS_ROOM, &[&self.operation, &self.caller])]).await
        };
        let [room] = match room.await {
            Ok(rows) => rows,
            Err(problem) => return problem,
        };
        let seconds = room.first().and_then(|row| row.get::<_, Option<i64>>(0)).unwrap_or(1);
        u32::try_from(seconds.max(1)).map_or_else(Problem::internal_error, Problem::idempotency_keys_used_up)
    }

    /// Stores the answer and gives it; the one that was stored first, when two requests ran at once.
    ///
    /// # Errors
    /// `503` when Postgres doesn't answer; the caller's retry then finds what was done.
    pub async fn answer(self, status: StatusCode, body: Vec<u8>) -> Result<Response, Problem> {
        let tx = self.db.tenant("idempotency_answer", self.tenant).await?;
        let status = i16::try_from(status.as_u16()).map_err(Problem::internal_error)?;
        let id: [&(dyn tokio_postgres::types::ToSql + Sync); 3] = [&self.operation, &self.caller, &self.key.as_str()];
        let [_, found] = tx.finish([(ANSWER_KEEP, &[id[0], id[1], id[2], &status, &body]), (KEY_FIND, &id)]).await?;
        found
            .first()
            .and_then(stored_answer)
            .map(StoredAnswer::into_response)
            .ok_or_else(|| Problem::internal_error("an idempotent answer vanished"))
    }
}

fn stored_answer(row: &tokio_postgres::Row) -> Option<StoredAnswer> {
    let (status, body): (Option<i16>, Option<Vec<u8>>) = (row.get(1), row.get(2));
    let status = StatusCode::from_u16(u16::try_from(status?).ok()?).ok()?;
    Some(StoredAnswer { status, body: body? })
}
