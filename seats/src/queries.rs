//! The statements that keep seats in Postgres.
//!
//! Restores and openings of a license's sessions exclude each other by an advisory lock of the transaction: shared for
//! openings, so that they run side by side, exclusive for a restore. A row lock on the license would do the same, but
//! a hundred concurrent share locks on one row are a hundred multixacts.

pub(crate) const LOCK_SHARED: &str =
    "/* seat_lock_shared */ select pg_advisory_xact_lock_shared(hashtextextended($1::uuid::text, 1))";
/// Takes a license's lock exclusively; also for callers that change a license: see [`crate::LICENSE_LOCK`].
pub(crate) const LOCK_EXCLUSIVE: &str =
    "/* seat_lock_exclusive */ select pg_advisory_xact_lock(hashtextextended($1::uuid::text, 1))";

/// Closes the rows of sessions whose seats are passed on. Where an acquire was so slow that there is none, it is written as
/// ended, so that the slow acquire can't open it any more beside the seat's next session. The fence is in each statement: under
/// a later generation or revision it finds no license and changes nothing.
pub(crate) const SESSIONS_EXPIRE: &str = "/* sessions_expire */
    insert into sessions (id, tenant_id, license_id, holder, hardware_id, grant_number, ended_at, ended_reason)
    select gone.id, l.tenant_id, l.id, gone.holder, substring(gone.holder from '[^/]*$'), gone.number, now(), 'expired'
    from licenses l, unnest($2::uuid[], $5::text[], $6::bigint[]) gone (id, holder, number)
    where l.id = $1 and l.seat_generation = $3 and l.revision = $4
    on conflict (id) do update set ended_at = excluded.ended_at, ended_reason = 'expired'
        where sessions.license_id = $1 and sessions.ended_at is null";

/// Writes the session's row. Nothing happens when it is there, when the fence fell, when two requests of one holder write it at
/// once (`on conflict (id)` alone would let the second one fail on `sessions_open`), or when Redis has granted a seat that is
/// taken by the rows: a seat's number is open once, and is one of the license's. While there are open rows without a number, or
/// with one over a limit that came down, numbers alone are not enough, and the rows are counted.
pub(crate) const SESSION_OPEN: &str = "/* session_open */
    insert into sessions (id, tenant_id, license_id, user_id, holder, hardware_id, hostname, client_version, grant_number,
        seat, instances)
    select $2, l.tenant_id, l.id, $5, $6, $7, $8, $9, $10, $11, array[$12::uuid]
    from licenses l where l.id = $1 and l.seat_generation = $3 and l.revision = $4
        and case when $11::integer is null
            or (select coalesce(s.seat, 2147483647) from sessions s
                where s.license_id = l.id and s.ended_at is null order by s.seat desc limit 1) > l.seats
        then (select count(*) from sessions where license_id = l.id and ended_at is null) < l.seats
        else $11 <= l.seats end
    on conflict do nothing";

/// Adds an instance to the session that it shares; the newest sixteen are kept.
pub(crate) const SESSION_JOIN: &str = "/* session_join */
    update sessions set instances = (instances || $3::uuid)[greatest(cardinality(instances) - 14, 1):]
    where id = $1 and license_id = $2 and ended_at is null and not $3 = any(instances)";

/// Selects whether the session is open: no row when the fence fell, null when the session has no row.
pub(crate) const SESSION_IS_OPEN: &str = "/* session_is_open */
    select (select ended_at is null from sessions where id = $4 and license_id = $1)
    from licenses where id = $1 and seat_generation = $2 and revision = $3";

/// Locks a holder, so that its requests that open sessions of different licenses take turns.
pub(crate) const HOLDER_LOCK: &str =
    "/* holder_lock */ select pg_advisory_xact_lock(hashtextextended('holder ' || $1::text, 4))";

/// Closes sessions of another license that hold no seat: its state in Redis was read after the rows.
pub(crate) const SESSIONS_SEATLESS: &str = "/* sessions_seatless */
    update sessions set ended_at = now(), ended_reason = 'expired' where id = any($1) and holder = $2 and ended_at is null";

/// Selects an open session of the holder of another license, unless this one is open already.
pub(crate) const SESSION_ELSEWHERE: &str = "/* session_elsewhere */
    select from licenses l
    where l.id <> $1
      and (select s.id from sessions s where s.license_id = l.id and s.holder = $2 and s.ended_at is null) is not null
      and (select own.id from sessions own where own.id = $3 and own.ended_at is null) is null
    limit 1";

pub(crate) const SESSION_CLOSE: &str = "/* session_close */
    update sessions set ended_at = now(), ended_reason = $2 where id = $1 and ended_at is null";

/// Closes a session that is the subject's, under the generation that it was given back under; else, while it is open, nothing.
pub(crate) const SESSION_RELEASE: &str = "/* session_release */
    with own as (
        select ended_at is not null or (select seat_generation from licenses where id = $2) = $4 as is_current
        from sessions where id = $1 and license_id = $2 and ($3::text is null or starts_with(holder, $3 || '/'))
    ), closed as (
        update sessions set ended_at = now(), ended_reason = 'released'
        where id = $1 and ended_at is null and (select is_current from own)
    )
    select is_current from own";

pub(crate) const GENERATION_NEXT: &str = "/* generation_next */
    update licenses set seat_generation = seat_generation + 1 where id = $1
    returning seat_generation, revision, seats, license_state(state, standing, expires_at) as state, expires_at,
        database_identity() as database";

pub(crate) const TERMS: &str = "/* seat_terms */
    select seat_generation, revision, seats, license_state(state, standing, expires_at) as state, expires_at,
        database_identity() as database
    from licenses where id = $1";

/// Selects the next open sessions of a restore.
pub(crate) const SESSIONS_OPEN: &str = "/* sessions_open */
    select id, holder, grant_number, seat, instances from sessions
    where license_id = $1 and ended_at is null and holder > $2 order by holder limit $3";

/// Selects the sessions of a restore that were closed since it read them.
pub(crate) const SESSIONS_CLOSED: &str =
    "/* sessions_closed */ select id from sessions where id = any($1) and ended_at is not null";

/// Selects an open session whose license has a later generation than the one given.
pub(crate) const SESSION_OVERLOOKED: &str = "/* session_overlooked */ select from sessions s
    join licenses l on l.id = s.license_id where s.id = $1 and s.ended_at is null and l.seat_generation > $2";

/// Selects the reason why a session ended, for a heartbeat that Redis doesn't know.
pub(crate) const SESSION_END: &str = "/* session_end */ select ended_reason from sessions
     where id = $1 and license_id = $2 and ($3::text is null or starts_with(holder, $3 || '/'))";

/// Locks the count of a whole installation: one opening at a time, so that two can't both find the last place.
pub(crate) const INSTALLATION_LOCK: &str =
    "/* installation_lock */ select pg_advisory_xact_lock(hashtextextended('installation', 3))";

pub(crate) const INSTALLATION_OPEN: &str =
    "/* installation_open */ select coalesce(sum(sessions), 0)::bigint from installation_sessions()";

pub(crate) const INSTALLATION_LICENSES: &str =
    "/* installation_licenses */ select tenant_id, license_id from installation_sessions()";

pub(crate) const PLANS: &str = "/* plans_all */ select code from plans";
pub(crate) const TENANTS: &str = "/* tenants_all */ select id from tenants_all()";
pub(crate) const LICENSES_IN_USE: &str = "/* licenses_in_use */
    select l.id, l.plan_code, l.seats, (select count(*) from sessions s where s.license_id = l.id and s.ended_at is null)
    from licenses l where license_state(l.state, l.standing, l.expires_at) = 'active'";
