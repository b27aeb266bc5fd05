-- License keys move to a newer pepper: whoever knows a key's hashes under both, which takes the key, may put one in the
-- other's place. Everything before it goes on as it was.
alter table licenses add column key_hashed_at timestamptz not null default now();

do $$ begin execute format('grant coditect_lookup to %I', current_user); end $$;
grant usage, create on schema public to coditect_lookup;
grant select (key_hashed_at), update (key_hash, key_hashed_at) on licenses to coditect_lookup;
create policy rehash on licenses for update to coditect_lookup using (true) with check (true);

-- Not twice within an hour: while a rollout is under way, releases that disagree about the newer pepper serve side by side.
create function license_key_rehash(found bytea, wanted bytea) returns void
    language sql volatile security definer set search_path = pg_catalog, public, pg_temp
    as $$
        update public.licenses set key_hash = wanted, key_hashed_at = now()
        where key_hash = found and key_hashed_at < now() - interval '1 hour'
    $$;
alter function license_key_rehash(bytea, bytea) owner to coditect_lookup;
revoke all on function license_key_rehash(bytea, bytea) from public;
grant execute on function license_key_rehash(bytea, bytea) to coditect_validate, coditect_auth;
revoke create on schema public from coditect_lookup;
do $$ begin execute format('revoke coditect_lookup from %I', current_user); end $$;
