-- Stripe's events, customers and subscriptions, what they do to licences, and the outbox.

-- A refund or a dispute holds a licence back like a suspension, but is Stripe's to lift and not an operator's.
alter table licenses drop constraint licenses_standing_check;
alter table licenses add constraint licenses_standing_check
    check (standing in ('good', 'past_due', 'inactive', 'refunded', 'disputed'));
create or replace function license_state(state text, standing text, expires_at timestamptz) returns text
    language sql stable parallel safe
    return case when state <> 'active' then state
                when standing in ('refunded', 'disputed') then 'suspended'
                when expires_at <= now() then 'expired'
                when standing = 'inactive' then 'subscription_inactive'
                else 'active' end;

-- Events as they came. They are nobody's until they were applied, so that no tenant can see them; only the webhook can.
create table stripe_events (
    id          text primary key,
    livemode    boolean not null,
    type        text not null,
    created     timestamptz not null,
    body        bytea not null,
    state       text not null check (state in ('applied', 'waiting', 'failed', 'ignored')),
    waits_for   text[] not null default '{}',
    error       text,
    recheck     text,
    attempts    integer not null default 1,
    received_at timestamptz not null default now(),
    updated_at  timestamptz not null default now(),
    check ((state = 'waiting') = (cardinality(waits_for) > 0))
);
comment on column stripe_events.waits_for is 'ids of which one must become known before the event can be applied';
comment on column stripe_events.recheck is 'the subscription to compare with Stripe, because the events alone could not decide';
create index stripe_events_waiting on stripe_events using gin (waits_for) where state = 'waiting';
create index stripe_events_open on stripe_events (created) where state in ('waiting', 'failed');
create index stripe_events_recheck on stripe_events (created) where recheck is not null;

create table stripe_customers (
    id         text primary key,
    tenant_id  uuid not null references tenants,
    livemode   boolean not null,
    email      text,
    name       text,
    as_of      bigint not null default 0,
    deleted_at bigint,
    created_at timestamptz not null default now(),
    unique (tenant_id, id)
);
comment on column stripe_customers.as_of is 'seconds since 1970: when Stripe made the event that email and name are from';

create table subscriptions (
    id          text primary key,
    tenant_id   uuid not null,
    customer_id text not null,
    license_id  uuid unique,
    facts       jsonb not null,
    status      text,
    created_at  timestamptz not null default now(),
    updated_at  timestamptz not null default now(),
    foreign key (tenant_id, customer_id) references stripe_customers (tenant_id, id),
    foreign key (tenant_id, license_id) references licenses (tenant_id, id)
);
comment on column subscriptions.facts is 'what events said, merged so that their order does not matter; the licence follows from it alone';
create index subscriptions_by_customer on subscriptions (tenant_id, customer_id);

-- Invoices, charges and payment intents by the subscription they are for: a dispute names nothing else.
create table stripe_references (
    reference       text primary key,
    tenant_id       uuid not null,
    subscription_id text not null references subscriptions
);

-- What must reach the outside: written with what caused it, delivered at least once by `ops outbox deliver`.
create table outbox (
    id              uuid primary key,
    tenant_id       uuid not null,
    kind            text not null check (kind in ('mail', 'seats')),
    once            text not null,
    payload         jsonb not null,
    secret          bytea,
    attempts        integer not null default 0,
    created_at      timestamptz not null default now(),
    next_attempt_at timestamptz not null default now(),
    last_error      text,
    delivered_at    timestamptz,
    dead_at         timestamptz,
    unique (tenant_id, once)
);
comment on column outbox.once is 'what it is about; the same thing is not sent twice, however often its cause is seen';
comment on column outbox.secret is 'a license key, encrypted under the pepper; wiped on delivery';
create index outbox_due on outbox (next_attempt_at) where delivered_at is null and dead_at is null;

do $$
declare t text;
begin
    foreach t in array array['stripe_customers', 'subscriptions', 'stripe_references', 'outbox'] loop
        execute format('alter table %I enable row level security', t);
        execute format('alter table %I force row level security', t);
        execute format('create policy tenant on %I using (tenant_id = current_tenant()) with check (tenant_id = current_tenant())', t);
    end loop;
end $$;

do $$
declare r text;
begin
    foreach r in array array['webhook_stripe', 'billing'] loop
        if not exists (select from pg_roles where rolname = 'coditect_' || r) then
            execute format('create role %I login', 'coditect_' || r);
        end if;
    end loop;
    execute format('grant coditect_lookup to %I', current_user);
end $$;
grant coditect_webhook_stripe, coditect_billing to coditect_all;

grant select, insert, update on stripe_events to coditect_webhook_stripe;
grant select, insert, update on stripe_customers, subscriptions to coditect_webhook_stripe;
grant select, insert on stripe_references to coditect_webhook_stripe;
grant select (id), insert on tenants to coditect_webhook_stripe;
grant insert on users to coditect_webhook_stripe;
grant select on plans, plan_prices to coditect_webhook_stripe;
grant select (id, tenant_id, plan_code, seats, state, standing, expires_at, seat_generation, revision), insert on licenses to coditect_webhook_stripe;
grant update (plan_code, seats, standing, expires_at, seat_generation, revision) on licenses to coditect_webhook_stripe;
grant select (id, tenant_id, license_id, ended_at), update (ended_at, ended_reason) on sessions to coditect_webhook_stripe;
grant insert on audit_log to coditect_webhook_stripe;
grant select (id, tenant_id, once), insert, delete on outbox to coditect_webhook_stripe;

grant select on plans, plan_prices to coditect_billing;
grant select (id, tenant_id, email, livemode, deleted_at, created_at) on stripe_customers to coditect_billing;
grant select (id, tenant_id, email) on users to coditect_billing;
grant select on signing_keys to coditect_billing;

grant usage, create on schema public to coditect_lookup;
grant select (id, tenant_id, livemode) on stripe_customers to coditect_lookup;
grant select (id, tenant_id, customer_id) on subscriptions to coditect_lookup;
grant select (reference, tenant_id, subscription_id) on stripe_references to coditect_lookup;
grant select (id, tenant_id, next_attempt_at, delivered_at, dead_at) on outbox to coditect_lookup;
create policy lookup on stripe_customers for select to coditect_lookup using (true);
create policy lookup on subscriptions for select to coditect_lookup using (true);
create policy lookup on stripe_references for select to coditect_lookup using (true);
create policy lookup on outbox for select to coditect_lookup using (true);

-- Whose one of these customers, subscriptions, invoices, charges or payment intents is.
create function stripe_owner(ids text[], of_livemode boolean)
    returns table (tenant_id uuid, customer_id text, subscription_id text)
    language sql stable security definer set search_path = pg_catalog, public, pg_temp
    as $$
        select s.tenant_id, s.customer_id, s.id
        from public.subscriptions s join public.stripe_customers c on c.id = s.customer_id and c.livemode = of_livemode
        where s.id = any(ids)
           or s.id in (select r.subscription_id from public.stripe_references r where r.reference = any(ids))
        union all
        select c.tenant_id, c.id, null from public.stripe_customers c where c.id = any(ids) and c.livemode = of_livemode
        limit 1
    $$;

create function outbox_due(most integer) returns table (tenant_id uuid, id uuid)
    language sql stable security definer set search_path = pg_catalog, public, pg_temp
    as $$
        select o.tenant_id, o.id from public.outbox o
        where o.delivered_at is null and o.dead_at is null and o.next_attempt_at <= now()
        order by o.next_attempt_at limit most
    $$;

create function tenant_of_outbox(entry uuid) returns uuid
    language sql stable security definer set search_path = pg_catalog, public, pg_temp
    as 'select tenant_id from public.outbox where id = entry';

-- Whether somebody has this address, in whichever tenant, also who signed in already.
create function email_is_known(of_email text) returns boolean
    language sql stable security definer set search_path = pg_catalog, public, pg_temp
    as 'select exists (select from public.users where email = of_email)';

alter function stripe_owner(text[], boolean) owner to coditect_lookup;
alter function email_is_known(text) owner to coditect_lookup;
alter function outbox_due(integer) owner to coditect_lookup;
alter function tenant_of_outbox(uuid) owner to coditect_lookup;
revoke create on schema public from coditect_lookup;
revoke all on function stripe_owner(text[], boolean), email_is_known(text), outbox_due(integer), tenant_of_outbox(uuid) from public;
grant execute on function stripe_owner(text[], boolean), email_is_known(text) to coditect_webhook_stripe;
grant execute on function users_by_identity(text, text, text, uuid) to coditect_billing;
do $$
begin
    execute format('grant execute on function stripe_owner(text[], boolean), email_is_known(text), outbox_due(integer), tenant_of_outbox(uuid), users_by_identity(text, text, text, uuid) to %I', current_user);
    execute format('revoke coditect_lookup from %I', current_user);
end $$;
