-- An installation of its own may serve as many users as its licence file says, over all of its licences.
do $$ begin execute format('grant coditect_lookup to %I', current_user); end $$;
grant usage, create on schema public to coditect_lookup;
grant select (license_id, ended_at) on sessions to coditect_lookup;

create function installation_sessions() returns table (tenant_id uuid, license_id uuid, sessions bigint)
    language sql stable security definer set search_path = pg_catalog, public, pg_temp
    as 'select s.tenant_id, s.license_id, count(*) from public.sessions s where s.ended_at is null group by 1, 2';
alter function installation_sessions() owner to coditect_lookup;
revoke all on function installation_sessions() from public;
grant execute on function installation_sessions() to coditect_all;
revoke create on schema public from coditect_lookup;
do $$ begin execute format('revoke coditect_lookup from %I', current_user); end $$;
