-- People who leave, and what waits in the outbox.
do $$ begin execute format('grant coditect_lookup to %I', current_user); end $$;
grant usage, create on schema public to coditect_lookup;

-- Until then it can be undone; meanwhile nobody signs in as this person, and no mail goes there.
alter table users add column erase_at timestamptz;
comment on column users.erase_at is 'when what is held of this person is erased for good; null: never';
grant select (erase_at) on users to coditect_lookup;

create or replace function users_by_identity(of_issuer text, of_subject text, of_email text, of_tenant uuid)
    returns table (user_id uuid, tenant_id uuid, role text)
    language sql stable security definer set search_path = pg_catalog, public, pg_temp
    as $$
        select u.id, u.tenant_id, u.role from public.users u
        where ((u.issuer = of_issuer and u.subject = of_subject) or (u.issuer is null and u.email = of_email))
          and (of_tenant is null or u.tenant_id = of_tenant)
          and u.erase_at is null
        order by u.tenant_id, u.issuer nulls last
        limit 2
    $$;

-- What waits in all tenants' outboxes, as numbers alone; and where one process answers everything, it may count plans' seats.
grant select (created_at) on outbox to coditect_lookup;

create function outbox_waiting() returns table (waiting bigint, oldest_seconds bigint, dead bigint)
    language sql stable security definer set search_path = pg_catalog, public, pg_temp
    as $$
        select count(*) filter (where dead_at is null),
               greatest(coalesce(extract(epoch from now() - min(created_at) filter (where dead_at is null)), 0), 0)::bigint,
               count(*) filter (where dead_at is not null)
        from public.outbox where delivered_at is null
    $$;
alter function outbox_waiting() owner to coditect_lookup;
revoke all on function outbox_waiting() from public;
grant execute on function outbox_waiting(), tenants_all() to coditect_all;
revoke create on schema public from coditect_lookup;
do $$
begin
    execute format('grant execute on function outbox_waiting() to %I', current_user);
    execute format('revoke coditect_lookup from %I', current_user);
end $$;

-- Delivered entries stay, and are not to be read for that.
create index outbox_open on outbox (created_at) include (dead_at) where delivered_at is null;
