-- An operator names a session without its tenant.
do $$ begin execute format('grant coditect_lookup to %I', current_user); end $$;
grant usage, create on schema public to coditect_lookup;
grant select (id, tenant_id) on sessions to coditect_lookup;
create policy lookup on sessions for select to coditect_lookup using (true);

create function tenant_of_session(session uuid) returns uuid
    language sql stable security definer set search_path = pg_catalog, public, pg_temp
    as 'select tenant_id from public.sessions where id = session';
alter function tenant_of_session(uuid) owner to coditect_lookup;
revoke all on function tenant_of_session(uuid) from public;
revoke create on schema public from coditect_lookup;
do $$
begin
    execute format('grant execute on function tenant_of_session(uuid) to %I', current_user);
    execute format('revoke coditect_lookup from %I', current_user);
end $$;
