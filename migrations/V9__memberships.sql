-- People and their tenants: claims of purchases, memberships by identity, and rights that no function needs.
do $$ begin execute format('grant coditect_lookup to %I', current_user); end $$;
grant usage, create on schema public to coditect_lookup;

alter table users add column claimed_at timestamptz;
comment on column users.claimed_at is 'when a purchase named this address as its owner''s, until the person confirms it; null: a member';

grant select (claimed_at), update (issuer, subject) on users to coditect_lookup;
grant select (state, standing, expires_at) on licenses to coditect_lookup;
create policy sign_in on users for update to coditect_lookup using (issuer is null and claimed_at is null) with check (true);

-- The memberships of a person who signed in, and the claims that wait for the person's address. At the first sign-in the
-- subject is recorded for every member with that address; from then on the address matches none of them any more.
-- `of_tenants` and `of_domains` are whom the issuer may speak for; null: every one.
create function memberships_by_identity(of_issuer text, of_subject text, of_email text, of_tenants uuid[], of_domains text[])
    returns table (user_id uuid, tenant_id uuid, role text, is_claim boolean, is_active boolean)
    language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
    as $$
#variable_conflict use_column
begin
    if of_email is not null then
        begin
            update public.users u set issuer = of_issuer, subject = of_subject
            where u.issuer is null and u.email = of_email and u.claimed_at is null and u.erase_at is null
              and (of_tenants is null or u.tenant_id = any (of_tenants))
              and not exists (
                  select from public.users known
                  where known.issuer = of_issuer and known.subject = of_subject and known.tenant_id = u.tenant_id);
        -- The subject was recorded meanwhile for another user of the tenant, which is then the person.
        exception when unique_violation then null;
        end;
    end if;
    return query
        select u.id, u.tenant_id, u.role, u.claimed_at is not null,
               exists (select from public.licenses l
                       where l.tenant_id = u.tenant_id and public.license_state(l.state, l.standing, l.expires_at) = 'active')
        from public.users u
        where ((u.issuer = of_issuer and u.subject = of_subject)
               or (u.issuer is null and u.email = of_email and u.claimed_at is not null))
          and u.erase_at is null
          and (of_tenants is null or u.tenant_id = any (of_tenants))
          and (of_domains is null or split_part(u.email, '@', -1) = any (of_domains))
        order by u.claimed_at is not null, u.tenant_id
        limit 100;
end $$;
alter function memberships_by_identity(text, text, text, uuid[], text[]) owner to coditect_lookup;

-- The previous release still asks this one; a claim was never a membership.
create or replace function users_by_identity(of_issuer text, of_subject text, of_email text, of_tenant uuid)
    returns table (user_id uuid, tenant_id uuid, role text)
    language sql stable security definer set search_path = pg_catalog, public, pg_temp
    as $$
        select u.id, u.tenant_id, u.role from public.users u
        where ((u.issuer = of_issuer and u.subject = of_subject) or (u.issuer is null and u.email = of_email))
          and (of_tenant is null or u.tenant_id = of_tenant)
          and u.erase_at is null and u.claimed_at is null
        order by u.tenant_id, u.issuer nulls last
        limit 2
    $$;

revoke all on function memberships_by_identity(text, text, text, uuid[], text[]) from public;
grant execute on function memberships_by_identity(text, text, text, uuid[], text[])
    to coditect_acquire, coditect_heartbeat, coditect_release, coditect_auth, coditect_billing, coditect_sync_push, coditect_sync_pull;
revoke create on schema public from coditect_lookup;
do $$
begin
    execute format('grant execute on function memberships_by_identity(text, text, text, uuid[], text[]) to %I', current_user);
    execute format('revoke coditect_lookup from %I', current_user);
end $$;

-- A person who signs in with the address and has the license key that was mailed to it owns what was bought.
grant select (id, tenant_id, email, role, issuer, subject, claimed_at, erase_at), update (issuer, subject, claimed_at) on users to coditect_auth;
grant insert on audit_log to coditect_auth;
