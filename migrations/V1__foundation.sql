-- Tenants, users, plans, licences, devices, seats' sessions, and who may see what.
--
-- Every table with a `tenant_id` has forced row-level security: without `app.tenant_id` no row is visible, not even to
-- the owner. The few look-ups that must come before the tenant is known are SECURITY DEFINER functions at the end.

create function current_tenant() returns uuid
    language sql stable parallel safe
    -- The setting reads '' after a transaction that set it locally, hence nullif.
    return nullif(current_setting('app.tenant_id', true), '')::uuid;

-- What a licence is worth now, as one word; every function asks in the same words.
create function license_state(state text, standing text, expires_at timestamptz) returns text
    language sql stable parallel safe
    return case when state <> 'active' then state
                when expires_at <= now() then 'expired'
                when standing = 'inactive' then 'subscription_inactive'
                else 'active' end;

create table plans (
    code             text primary key check (code ~ '^[A-Z][A-Z0-9_]{1,31}$'),
    tier             text not null check (tier in ('FREE', 'PRO', 'TEAM', 'BUSINESS', 'ENTERPRISE')),
    name             text not null,
    included_seats   integer not null check (included_seats >= 1),
    devices_per_user integer not null check (devices_per_user >= -1),
    features         text[] not null,
    quotas           jsonb not null,
    updated_at       timestamptz not null default now()
);
comment on column plans.devices_per_user is 'times seats = the device limit of a licence; -1: no limit';

create table plan_prices (
    price_id  text primary key,
    plan_code text not null references plans,
    kind      text not null check (kind in ('base', 'seat')),
    seats     integer not null check (seats >= 1)
);
comment on table plan_prices is 'Stripe price id to plan: a base brings its seats once per quantity, a seat adds to them';

create table tenants (
    id         uuid primary key,
    name       text not null check (length(name) between 1 and 200),
    slug       text not null unique check (slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    created_at timestamptz not null default now()
);

create table users (
    id         uuid primary key,
    tenant_id  uuid not null references tenants,
    email      text not null check (email = lower(email) and length(email) between 3 and 254),
    role       text not null check (role in ('owner', 'admin', 'member')),
    issuer     text,
    subject    text,
    created_at timestamptz not null default now(),
    unique (tenant_id, email),
    unique (tenant_id, issuer, subject),
    check ((issuer is null) = (subject is null))
);
create index users_by_identity on users (issuer, subject);
create index users_by_email on users (email) where issuer is null;

create table licenses (
    id              uuid primary key,
    tenant_id       uuid not null references tenants,
    plan_code       text not null references plans,
    seats           integer not null check (seats between 0 and 1000000),
    state           text not null default 'active' check (state in ('active', 'suspended', 'revoked')),
    standing        text not null default 'good' check (standing in ('good', 'past_due', 'inactive')),
    expires_at      timestamptz,
    key_hash        bytea not null unique check (length(key_hash) = 32),
    key_hint        text not null,
    seat_generation bigint not null default 0,
    revision        bigint not null default 1,
    created_at      timestamptz not null default now(),
    unique (tenant_id, id)
);
comment on column licenses.expires_at is 'null: perpetual';
comment on column licenses.key_hash is 'HMAC-SHA-256 of the canonical license key under the pepper; the key itself is nowhere';
comment on column licenses.seat_generation is 'how often the seats were restored to Redis; fences grants made before a restore';
comment on column licenses.revision is 'grows with every change of seats, state or expiry; the newest one wins in Redis';

-- No foreign key to licenses: its FOR KEY SHARE lock would make every pair of concurrent acquires share a multixact.
-- The insert selects from licenses under the tenant, so that a session without its licence can't be written.
create table sessions (
    id             uuid primary key,
    tenant_id      uuid not null,
    license_id     uuid not null,
    user_id        uuid,
    holder         text not null,
    hardware_id    text not null,
    hostname       text,
    client_version text,
    grant_number   bigint not null,
    started_at     timestamptz not null default now(),
    ended_at       timestamptz,
    ended_reason   text check (ended_reason in ('expired', 'released', 'revoked', 'suspended')),
    check ((ended_at is null) = (ended_reason is null))
);
create unique index sessions_open on sessions (license_id, holder) where ended_at is null;
create index sessions_by_license on sessions (license_id, started_at);

create table devices (
    tenant_id    uuid not null,
    license_id   uuid not null,
    machine_id   text not null,
    activated_at timestamptz not null default now(),
    last_seen_at timestamptz not null default now(),
    valid_until  timestamptz not null,
    removed_at   timestamptz,
    address      inet,
    primary key (license_id, machine_id),
    foreign key (tenant_id, license_id) references licenses (tenant_id, id)
);
comment on column devices.valid_until is 'until when the device can go on offline with what it was last told';

create table license_daily_counts (
    tenant_id  uuid not null,
    license_id uuid not null,
    day        date not null default (now() at time zone 'utc')::date,
    kind       text not null check (kind in ('seat_refused', 'device_refused', 'device_moved', 'validated')),
    count      bigint not null default 1,
    primary key (license_id, day, kind)
);

create table idempotency_keys (
    tenant_id  uuid not null,
    operation  text not null,
    caller     uuid not null,
    key        text not null,
    body_hash  bytea not null,
    status     smallint,
    answer     bytea,
    created_at timestamptz not null default now(),
    primary key (tenant_id, operation, caller, key)
);
create index idempotency_keys_by_age on idempotency_keys (created_at);

create table audit_log (
    id         uuid primary key,
    tenant_id  uuid not null,
    at         timestamptz not null default now(),
    actor      text not null,
    action     text not null,
    license_id uuid,
    address    inet,
    detail     jsonb not null default '{}'
);
create index audit_log_by_time on audit_log (tenant_id, at);

-- Public halves of the keys that tokens were signed with. Signers publish, verifiers read, `ops` retires.
create table signing_keys (
    kid            text primary key,
    public_key_pem text not null,
    created_at     timestamptz not null default now(),
    retired_at     timestamptz
);

do $$
declare t text;
begin
    foreach t in array array['users', 'licenses', 'sessions', 'devices', 'license_daily_counts', 'idempotency_keys', 'audit_log'] loop
        execute format('alter table %I enable row level security', t);
        execute format('alter table %I force row level security', t);
        execute format('create policy tenant on %I using (tenant_id = current_tenant()) with check (tenant_id = current_tenant())', t);
    end loop;
end $$;
alter table tenants enable row level security;
alter table tenants force row level security;
create policy tenant on tenants using (id = current_tenant()) with check (id = current_tenant());

-- Roles are of the whole server, so they may be there already (another database, an earlier installation).
do $$
declare r text;
begin
    foreach r in array array['validate', 'acquire', 'heartbeat', 'release', 'auth', 'all'] loop
        if not exists (select from pg_roles where rolname = 'coditect_' || r) then
            execute format('create role %I login', 'coditect_' || r);
        end if;
    end loop;
    if not exists (select from pg_roles where rolname = 'coditect_lookup') then
        create role coditect_lookup nologin;
    end if;
    execute format('grant coditect_lookup to %I', current_user);
end $$;
grant coditect_validate, coditect_acquire, coditect_heartbeat, coditect_release, coditect_auth to coditect_all;

grant select on plans to coditect_validate, coditect_acquire, coditect_auth;
grant select on signing_keys to coditect_validate, coditect_acquire, coditect_heartbeat, coditect_release, coditect_auth;
grant insert on signing_keys to coditect_validate, coditect_acquire, coditect_auth;

grant select (id, tenant_id, plan_code, seats, state, standing, expires_at, key_hash) on licenses to coditect_validate, coditect_auth;
grant select (id, tenant_id, plan_code, seats, state, standing, expires_at, seat_generation, revision, created_at) on licenses to coditect_acquire;
grant select (id, tenant_id, seats, state, standing, expires_at, seat_generation, revision) on licenses to coditect_heartbeat;
grant update (seat_generation) on licenses to coditect_acquire, coditect_heartbeat;

grant select, insert, update on devices to coditect_validate;
grant select, insert, update on sessions to coditect_acquire;
grant select on sessions to coditect_heartbeat;
grant select, update (ended_at, ended_reason) on sessions to coditect_release;
grant select, insert, update on license_daily_counts to coditect_validate, coditect_acquire;
grant select, insert, update, delete on idempotency_keys to coditect_acquire;
grant insert on audit_log to coditect_validate;

-- What must be known before the tenant is: only these functions look across tenants, and each returns just that.
grant usage, create on schema public to coditect_lookup;
grant select (tenant_id, id, key_hash) on licenses to coditect_lookup;
grant select (id, tenant_id, role, issuer, subject, email) on users to coditect_lookup;
grant select (id, slug) on tenants to coditect_lookup;
create policy lookup on licenses for select to coditect_lookup using (true);
create policy lookup on users for select to coditect_lookup using (true);
create policy lookup on tenants for select to coditect_lookup using (true);

create function tenant_of_license_key(hash bytea) returns uuid
    language sql stable security definer set search_path = pg_catalog, public, pg_temp
    as 'select tenant_id from public.licenses where key_hash = hash';

create function tenant_of_license(license uuid) returns uuid
    language sql stable security definer set search_path = pg_catalog, public, pg_temp
    as 'select tenant_id from public.licenses where id = license';

-- A user is known by the issuer's own subject, or, until one was recorded, by an e-mail address that the issuer vouches for.
create function users_by_identity(of_issuer text, of_subject text, of_email text, of_tenant uuid)
    returns table (user_id uuid, tenant_id uuid, role text)
    language sql stable security definer set search_path = pg_catalog, public, pg_temp
    as $$
        select u.id, u.tenant_id, u.role from public.users u
        where ((u.issuer = of_issuer and u.subject = of_subject) or (u.issuer is null and u.email = of_email))
          and (of_tenant is null or u.tenant_id = of_tenant)
        order by u.tenant_id, u.issuer nulls last
        limit 2
    $$;

create function tenants_all() returns table (id uuid, slug text)
    language sql stable security definer set search_path = pg_catalog, public, pg_temp
    as 'select id, slug from public.tenants order by slug';

alter function tenant_of_license_key(bytea) owner to coditect_lookup;
alter function tenant_of_license(uuid) owner to coditect_lookup;
alter function users_by_identity(text, text, text, uuid) owner to coditect_lookup;
alter function tenants_all() owner to coditect_lookup;
revoke create on schema public from coditect_lookup;

-- A function's owner grants on it; the grants are made while we are still a member of that role.
revoke all on function tenant_of_license_key(bytea), tenant_of_license(uuid), users_by_identity(text, text, text, uuid), tenants_all() from public;
grant execute on function tenant_of_license_key(bytea) to coditect_validate, coditect_auth;
grant execute on function users_by_identity(text, text, text, uuid) to coditect_acquire, coditect_heartbeat, coditect_release;
do $$
begin
    execute format('grant execute on function tenant_of_license(uuid), tenants_all(), tenant_of_license_key(bytea) to %I', current_user);
    execute format('revoke coditect_lookup from %I', current_user);
end $$;
