-- Sessions that several homes of one machine share, numbered seats, and which database this is.

-- Restored with the session: it ends when the last of them has given it back, or has fallen silent.
alter table sessions add column instances uuid[] not null default '{}';
comment on column sessions.instances is 'the homes that acquired it, newest last; bounded by the program';

-- Two open sessions never have one seat, whatever a cache says. Rows of the previous release have no number.
alter table sessions add column seat integer check (seat >= 1);
create unique index sessions_seat on sessions (license_id, seat) where ended_at is null;

-- Another cluster, another history of it (a promoted standby, a point in time), another database or table, or a
-- start after a crash or from a disk's snapshot: each has another identity, so that a cache of the one is none of the other.
create function database_identity() returns text
    language sql stable
    return (select system_identifier::text from pg_control_system())
        || ':' || case when pg_is_in_recovery() then 'standby' else left(pg_walfile_name(pg_current_wal_lsn()), 8) end
        || ':' || to_regclass('public.sessions')::oid::text
        || ':' || (extract(epoch from pg_postmaster_start_time()) * 1000000)::bigint::text;

-- A release of a session that others may share restores a license that Redis does not know.
grant select (state, standing, expires_at, seats, id, tenant_id, seat_generation, revision) on licenses to coditect_release;
grant update (seat_generation) on licenses to coditect_release;
