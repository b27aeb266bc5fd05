-- The catalogue says which prices are sold; license keys are replaced; a key moves to a newer pepper only by proof; and
-- Stripe's events do not keep for ever who paid.

-- At most one price of a kind is sold for a plan. The others are still understood, for the subscriptions that have them.
-- Checked at the end of a transaction, so that an import can exchange the two.
alter table plan_prices add column sold boolean not null default false;
comment on column plan_prices.sold is 'new subscriptions get this price; others are understood for the subscriptions that have them';
-- Until now the first price of each kind was sold.
update plan_prices p set sold = true
where kind in ('base', 'seat')
  and price_id = (select min(o.price_id) from plan_prices o where o.plan_code = p.plan_code and o.kind = p.kind);
alter table plan_prices add constraint plan_prices_sold_kind check (not sold or kind in ('base', 'seat'));
alter table plan_prices add constraint plan_prices_sold
    exclude using btree (plan_code with =, kind with =) where (sold) deferrable initially deferred;

-- Keys that a license had before. Until `good_until` they are good beside the current one; afterwards they are still
-- known, so that their holders are told that the key was replaced.
create table former_license_keys (
    key_hash    bytea primary key check (length(key_hash) = 32),
    tenant_id   uuid not null,
    license_id  uuid not null,
    key_hint    text not null,
    hashed_at   timestamptz not null,
    replaced_at timestamptz not null default now(),
    good_until  timestamptz not null,
    foreign key (tenant_id, license_id) references licenses (tenant_id, id)
);
create index former_license_keys_by_license on former_license_keys (license_id);
alter table former_license_keys enable row level security;
alter table former_license_keys force row level security;
create policy tenant on former_license_keys using (tenant_id = current_tenant()) with check (tenant_id = current_tenant());
grant select (key_hash, tenant_id, license_id, good_until) on former_license_keys to coditect_validate, coditect_auth;

do $$ begin execute format('grant coditect_lookup to %I', current_user); end $$;
grant usage, create on schema public to coditect_lookup;
grant select (key_hash, tenant_id, license_id, hashed_at) on former_license_keys to coditect_lookup;
create policy lookup on former_license_keys for select to coditect_lookup using (true);

create or replace function tenant_of_license_key(hash bytea) returns uuid
    language sql stable security definer set search_path = pg_catalog, public, pg_temp
    as $$
        select tenant_id from public.licenses where key_hash = hash
        union all
        select tenant_id from public.former_license_keys where key_hash = hash
        limit 1
    $$;

-- The bodies of Stripe's events name the payer. A sweep takes it out of those that were applied long ago.
alter table stripe_events add column redacted_at timestamptz;

-- A function that finds a key under a former pepper no longer writes the new hash, because a hash proves nothing. It
-- hands over the key, sealed under the pepper; `ops outbox deliver` opens it, checks that it is the key of this license,
-- and writes the hash. The release before this one ignores that its function is gone.
drop function license_key_rehash(bytea, bytea);
drop policy rehash on licenses;
revoke update (key_hash, key_hashed_at) on licenses from coditect_lookup;

alter table outbox drop constraint outbox_kind_check;
alter table outbox add constraint outbox_kind_check check (kind in ('mail', 'seats', 'rehash'));
grant insert (id, tenant_id, kind, once, payload, secret) on outbox to coditect_lookup;
create policy rehash on outbox for insert to coditect_lookup with check (kind = 'rehash');

-- Not within an hour after the last hash: while a rollout is under way, releases that disagree about the newer pepper
-- serve side by side. Once an hour at most, so that a request that came to nothing is made again.
create function license_key_rehash_request(found bytea, entry uuid, sealed bytea) returns void
    language sql volatile security definer set search_path = pg_catalog, public, pg_temp
    as $$
        insert into public.outbox (id, tenant_id, kind, once, payload, secret)
        select entry, k.tenant_id, 'rehash',
               'rehash:' || encode(sha256(found), 'hex') || ':' || to_char(now() at time zone 'utc', 'YYYY-MM-DD"T"HH24'),
               jsonb_build_object('license_id', k.license_id), sealed
        from (
            select tenant_id, id as license_id, key_hashed_at as hashed_at from public.licenses where key_hash = found
            union all
            select tenant_id, license_id, hashed_at from public.former_license_keys where key_hash = found
        ) k
        where k.hashed_at < now() - interval '1 hour'
        on conflict do nothing
    $$;
alter function license_key_rehash_request(bytea, uuid, bytea) owner to coditect_lookup;
revoke all on function license_key_rehash_request(bytea, uuid, bytea) from public;
grant execute on function license_key_rehash_request(bytea, uuid, bytea) to coditect_validate, coditect_auth;
revoke create on schema public from coditect_lookup;
do $$ begin execute format('revoke coditect_lookup from %I', current_user); end $$;
