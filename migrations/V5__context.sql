-- Context sync: a tenant's records as one stream, what they were before, and who may push and pull.

-- Plans that have cloud_sync say how much of it; -1: no limit.
update plans set quotas = quotas || '{"context_records": 100000, "context_bytes": 1073741824}' where code = 'PRO';
update plans set quotas = quotas || '{"context_records": 1000000, "context_bytes": 10737418240}' where code in ('TEAM', 'BUSINESS');
update plans set quotas = quotas || '{"context_records": -1, "context_bytes": -1}' where code = 'ENT';

-- Two bytes in every row and index entry, in place of a word.
create table context_kinds (
    code smallint primary key,
    kind text not null unique
);
insert into context_kinds (code, kind) values
    (1, 'message'), (2, 'task'), (3, 'decision'), (4, 'skill_learning'), (5, 'error_solution'), (6, 'tool_analytics'),
    (7, 'project_context'), (8, 'component');

-- The end of each tenant's stream. Every tenant begins with one, so that a missing head is damage and not a beginning.
create table context_heads (
    tenant_id  uuid primary key references tenants,
    epoch      integer not null default 0,
    seq        bigint not null default 0,
    cursor_key bytea not null default sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())),
    key_id     text
) with (fillfactor = 50);
comment on column context_heads.epoch is 'raised by operators when numbers may have been given twice; cursors of another epoch start over';
comment on column context_heads.seq is 'the last number given; a record with a number is visible as soon as its head is';
comment on column context_heads.cursor_key is 'what the tenant''s cursors are authenticated with; it travels with the data, so cursors survive a restore';
comment on column context_heads.key_id is 'the key that contents must be encrypted with; null: none';

-- Text ids compare byte by byte: nobody sorts them for people, and a collation would cost on every insert.
create table context_records (
    tenant_id    uuid not null,
    seq          bigint not null,
    version      bigint not null,
    updated_at   timestamptz not null,
    written_at   timestamptz not null default now(),
    kind         smallint not null check (kind between 1 and 8),
    deleted      boolean not null,
    id           text collate "C" not null,
    device_id    text not null,
    user_id      uuid,
    project_id   text collate "C",
    status       text collate "C",
    content_hash bytea not null,
    content      bytea,
    primary key (tenant_id, kind, id)
);
comment on column context_records.updated_at is 'by the clock of the device that changed it';
comment on column context_records.status is 'a task''s, where it can be read';
comment on column context_records.content is 'canonical JSON, byte for byte what was hashed; null once deleted';
-- The stream. Every number is positive; that it is said keeps look-ups by key, which don't say it, off an index that has nothing
-- but the tenant for them: where the statistics don't know a tenant yet, one looks as short as the other.
create unique index context_records_stream on context_records (tenant_id, seq) where seq > 0;
-- Messages and tool analytics are most of a stream and found by reading it; whatever else is looked for has ranges of its own.
create index context_records_by_kind on context_records (tenant_id, kind, seq) where kind not in (1, 6);
create index context_records_by_project on context_records (tenant_id, project_id, kind, seq) where project_id is not null;
create index context_records_by_status on context_records (tenant_id, status, seq) where status is not null;

create table context_history (
    tenant_id    uuid not null,
    seq          bigint not null,
    version      bigint,
    updated_at   timestamptz not null,
    written_at   timestamptz not null,
    replaced_at  timestamptz,
    kind         smallint not null,
    deleted      boolean not null,
    id           text collate "C" not null,
    device_id    text not null,
    user_id      uuid,
    project_id   text,
    content_hash bytea not null,
    content      bytea,
    primary key (tenant_id, kind, id, seq),
    check ((version is null) = (replaced_at is null))
);
comment on table context_history is 'what records were, and what lost a conflict (without a version)';

create table context_totals (
    tenant_id  uuid not null,
    kind       smallint not null,
    records    bigint not null,
    deleted    bigint not null,
    bytes      bigint not null,
    changed_at timestamptz not null default now(),
    primary key (tenant_id, kind)
) with (fillfactor = 50);
comment on column context_totals.records is 'those that are not deleted';

create table context_devices (
    tenant_id    uuid not null,
    device_id    text not null,
    last_seen_at timestamptz not null default now(),
    primary key (tenant_id, device_id)
) with (fillfactor = 50);

do $$
declare t text;
begin
    foreach t in array array['context_heads', 'context_records', 'context_history', 'context_totals', 'context_devices'] loop
        execute format('alter table %I enable row level security', t);
        execute format('alter table %I force row level security', t);
        execute format('create policy tenant on %I using (tenant_id = current_tenant()) with check (tenant_id = current_tenant())', t);
    end loop;
end $$;

do $$
declare r text;
begin
    foreach r in array array['sync_push', 'sync_pull'] loop
        if not exists (select from pg_roles where rolname = 'coditect_' || r) then
            execute format('create role %I login', 'coditect_' || r);
        end if;
    end loop;
    -- Makes what every tenant begins with, whoever makes the tenant.
    if not exists (select from pg_roles where rolname = 'coditect_founder') then
        create role coditect_founder nologin;
    end if;
    execute format('grant coditect_founder to %I', current_user);
end $$;
grant coditect_sync_push, coditect_sync_pull to coditect_all;

grant usage, create on schema public to coditect_founder;
grant insert (tenant_id) on context_heads to coditect_founder;
create policy founder on context_heads for insert to coditect_founder with check (true);
create function context_head_found() returns trigger
    language plpgsql security definer set search_path = pg_catalog, public, pg_temp
    as $$ begin insert into public.context_heads (tenant_id) values (new.id); return null; end $$;
alter function context_head_found() owner to coditect_founder;
revoke all on function context_head_found() from public;
revoke create on schema public from coditect_founder;
create trigger context_head after insert on tenants for each row execute function context_head_found();
do $$
declare t uuid;
begin
    execute format('revoke coditect_founder from %I', current_user);
    for t in select id from tenants_all() loop
        perform set_config('app.tenant_id', t::text, true);
        insert into context_heads (tenant_id) values (t);
    end loop;
    perform set_config('app.tenant_id', '', true);
end $$;

-- Whether a caller may sync, in a word: `allowed`, `plan_lacks_feature`, or what its licence is instead; and the limits of the
-- tenant's plans. A licence asks for itself, a user for the best that the tenant has.
create function context_right(of_license uuid) returns table (word text, max_records bigint, max_bytes bigint)
    language sql stable
    begin atomic
        with granted as (
            select case when s.state <> 'active' then s.state
                        when 'cloud_sync' = any(p.features) then 'allowed'
                        else 'plan_lacks_feature' end as word,
                   of_license is null or l.id = of_license as asks,
                   coalesce((p.quotas ->> 'context_records')::bigint, -1) as records,
                   coalesce((p.quotas ->> 'context_bytes')::bigint, -1) as bytes
            from licenses l
            join plans p on p.code = l.plan_code
            cross join lateral license_state(l.state, l.standing, l.expires_at) as s (state)
        )
        select coalesce((select g.word from granted g where g.asks
                         order by g.word <> 'allowed', g.word <> 'plan_lacks_feature', g.word limit 1), 'revoked'),
               (select case when min(g.records) < 0 then -1 else max(g.records) end from granted g where g.word = 'allowed'),
               (select case when min(g.bytes) < 0 then -1 else max(g.bytes) end from granted g where g.word = 'allowed');
    end;

-- The write-ahead log's timeline: another one after a restore to a point in time, or after a replica took over. A number
-- may then have been given twice, so it is part of every cursor.
create function wal_timeline() returns integer
    language sql stable
    return ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::integer;

-- One push. Takes a tenant's pushes one by one, from the lock to the commit, so that numbers become visible in their order;
-- nothing waits for the network meanwhile. The arrays have an entry per record, each (kind, id) once; `base`: the version
-- that was changed, null for none, -1 for whichever there is. `totals_*` are per kind of the batch, for when all are new.
--
-- Answers a row for each record that was not simply created: its number in the batch and what became of it; and one with
-- number 0 when the caller may not push, with the word of `context_right`: then nothing was written.
create function context_push(
    of_license uuid, of_user uuid, of_device text,
    kinds smallint[], ids text[], projects text[], statuses text[], updated timestamptz[], deletions boolean[], bases bigint[],
    hashes bytea[], contents bytea[], key_ids text[], total_bytes bigint,
    totals_kind smallint[], totals_records bigint[], totals_deleted bigint[], totals_bytes bigint[]
) returns table (n bigint, outcome text, version bigint, content_hash bytea)
    language plpgsql
    -- However little was known of the tables when a plan was made: records are looked up by their keys.
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
#variable_conflict use_column
declare
    tenant constant uuid := current_tenant();
    total constant integer := cardinality(ids);
    allowed record;
    head record;
    used record;
    barred bigint[];
    barred_for text[];
    made integer;
    -- Whether all may be new.
    hopeful boolean := cardinality(array_remove(bases, null)) = 0;
    arrived timestamptz;
begin
    select * into allowed from context_right(of_license);
    if allowed.word <> 'allowed' then
        return query select 0::bigint, allowed.word, null::bigint, null::bytea;
        return;
    end if;

    -- A push whose answer was lost comes again: if the first record is there already, perhaps all are, and nobody has to wait.
    if exists (select from context_records r where r.kind = kinds[1] and r.id = ids[1] and r.content_hash = hashes[1]) then
        hopeful := false;
        select count(*) into made
        from unnest(kinds, ids, projects, deletions, hashes) as b (kind, id, project_id, deleted, content_hash)
        join context_records r using (kind, id)
        where r.content_hash = b.content_hash and r.deleted = b.deleted and r.project_id is not distinct from b.project_id;
        if made = total then
            return query
                select b.n, 'duplicate', r.version, r.content_hash
                from unnest(kinds, ids) with ordinality as b (kind, id, n) join context_records r using (kind, id);
            return;
        end if;
    end if;

    perform pg_advisory_xact_lock(hashtextextended(tenant::text, 0));
    -- Not the transaction's beginning: who waited longer for the lock did not come earlier.
    arrived := clock_timestamp();
    select h.seq, h.key_id into head from context_heads h where h.tenant_id = tenant;
    if not found then
        raise exception 'tenant % has no head', tenant;
    end if;

    if head.key_id is not null or key_ids is not null then
        -- The first encrypted content says which key it is from then on.
        head.key_id := coalesce(head.key_id, (select k from unnest(key_ids) k where k is not null limit 1));
        select array_agg(b.n), array_agg('encryption_required'::text) into barred, barred_for
        from unnest(deletions) with ordinality as b (deleted, n)
        where not b.deleted and key_ids[b.n] is distinct from head.key_id;
    end if;

    if allowed.max_records >= 0 or allowed.max_bytes >= 0 then
        select coalesce(sum(t.records), 0) as records, coalesce(sum(t.bytes), 0) as bytes into used from context_totals t;
        if (allowed.max_records >= 0 and used.records + total > allowed.max_records)
            or (allowed.max_bytes >= 0 and used.bytes + total_bytes > allowed.max_bytes) then
            -- Close to the limit, records are let in one by one, and none after the first that doesn't fit. What takes no more
            -- room than before always is let in; the room that it makes is there for the next push.
            select barred || array_agg(x.n), barred_for || array_agg('quota_exceeded'::text) into barred, barred_for
            from (
                select b.n, d.records > 0 as more_records, d.bytes > 0 as more_bytes,
                       used.records + sum(d.records) over in_order as records, used.bytes + sum(d.bytes) over in_order as bytes
                from unnest(kinds, ids, updated, deletions, bases, hashes, contents)
                    with ordinality as b (kind, id, updated_at, deleted, base, content_hash, content, n)
                left join context_records r using (kind, id)
                cross join lateral (
                    -- The late retry of what was replaced meanwhile changes nothing.
                    select b.base is distinct from -1 and b.base is distinct from r.version and exists (
                        select from context_history h
                        where h.kind = b.kind and h.id = b.id and h.content_hash = b.content_hash
                          and h.deleted = b.deleted and h.updated_at = b.updated_at and h.device_id = of_device
                    ) as is_late
                ) retry
                cross join lateral (
                    select case when is_late or b.deleted or (r.id is not null and not r.deleted) then 0 else 1 end as records,
                           case when is_late then 0 else coalesce(octet_length(b.content), 0) - coalesce(octet_length(r.content), 0) end as bytes
                ) size
                cross join lateral (
                    select size.records, greatest(size.bytes, 0) as bytes
                ) d
                where barred is null or b.n <> all (barred)
                window in_order as (order by b.n)
            ) x
            where (allowed.max_records >= 0 and x.more_records and x.records > allowed.max_records)
                or (allowed.max_bytes >= 0 and x.more_bytes and x.bytes > allowed.max_bytes);
        end if;
    end if;

    if hopeful and barred is null then
        -- Who names no version believes that all is new. Without `on conflict` that is looked up once and logged once for each
        -- record, in place of twice; nobody else writes meanwhile, so what it meets was there before.
        begin
            insert into context_records (tenant_id, seq, version, updated_at, written_at, kind, deleted, id, device_id, user_id, project_id, status, content_hash, content)
            select tenant, head.seq + b.n, 1, b.updated_at, arrived, b.kind, b.deleted, b.id, of_device, of_user, b.project_id, b.status, b.content_hash, b.content
            from unnest(kinds, ids, projects, statuses, updated, deletions, hashes, contents)
                with ordinality as b (kind, id, project_id, status, updated_at, deleted, content_hash, content, n);
            made := total;
        exception when unique_violation then
            hopeful := false;
        end;
    end if;
    if not hopeful or barred is not null then
        insert into context_records (tenant_id, seq, version, updated_at, written_at, kind, deleted, id, device_id, user_id, project_id, status, content_hash, content)
        select tenant, head.seq + b.n, 1, b.updated_at, arrived, b.kind, b.deleted, b.id, of_device, of_user, b.project_id, b.status, b.content_hash, b.content
        from unnest(kinds, ids, projects, statuses, updated, deletions, hashes, contents)
            with ordinality as b (kind, id, project_id, status, updated_at, deleted, content_hash, content, n)
        where barred is null or b.n <> all (barred)
        on conflict (tenant_id, kind, id) do nothing;
        get diagnostics made = row_count;
    end if;

    if made < total then
        -- Some were there before: theirs are the numbers up to the head.
        return query
        with batch as (
            select *
            from unnest(kinds, ids, projects, statuses, updated, deletions, bases, hashes, contents)
                with ordinality as b (kind, id, project_id, status, updated_at, deleted, base, content_hash, content, n)
            where barred is null or b.n <> all (barred)
        ),
        met as (
            select b.n, r.seq, r.version, r.deleted as was_deleted, r.content_hash as was_hash, octet_length(r.content) as was_bytes,
                   case when r.content_hash = b.content_hash and r.deleted = b.deleted
                             and r.project_id is not distinct from b.project_id then 'duplicate'
                        when b.base in (-1, r.version) then 'updated'
                        when exists (
                            select from context_history h
                            where h.kind = b.kind and h.id = b.id and h.content_hash = b.content_hash
                              and h.deleted = b.deleted and h.updated_at = b.updated_at and h.device_id = of_device
                        ) then 'duplicate'
                        else 'conflict' end as outcome,
                   -- Whose clock is ahead must not win for ever.
                   (least(b.updated_at, arrived), b.content_hash) > (least(r.updated_at, r.written_at), r.content_hash) as is_later
            from batch b join context_records r using (kind, id)
            where r.seq <= head.seq
        ),
        judged as (
            select *, outcome = 'updated' or (outcome = 'conflict' and is_later) as wins from met
        ),
        kept as (
            insert into context_history (tenant_id, seq, version, updated_at, written_at, replaced_at, kind, deleted, id, device_id, user_id, project_id, content_hash, content)
            select tenant, r.seq, r.version, r.updated_at, r.written_at, arrived, r.kind, r.deleted, r.id, r.device_id, r.user_id, r.project_id, r.content_hash, r.content
            from judged j join batch b using (n) join context_records r using (kind, id)
            where j.wins
        ),
        lost as (
            insert into context_history (tenant_id, seq, version, updated_at, written_at, replaced_at, kind, deleted, id, device_id, user_id, project_id, content_hash, content)
            select tenant, head.seq + b.n, null, b.updated_at, arrived, null, b.kind, b.deleted, b.id, of_device, of_user, b.project_id, b.content_hash, b.content
            from judged j join batch b using (n)
            where j.outcome = 'conflict' and not j.wins
        ),
        changed as (
            update context_records r
            set seq = head.seq + b.n, version = r.version + 1, updated_at = b.updated_at, written_at = arrived, deleted = b.deleted,
                device_id = of_device, user_id = of_user, project_id = b.project_id, status = b.status,
                content_hash = b.content_hash, content = b.content
            from judged j join batch b using (n)
            where j.wins and r.kind = b.kind and r.id = b.id
        ),
        counted as (
            insert into context_totals as t (tenant_id, kind, records, deleted, bytes)
            select tenant, b.kind,
                   sum(case when b.deleted then 0 else 1 end - case when j.was_deleted then 0 when j.n is null then 0 else 1 end),
                   sum(case when b.deleted then 1 else 0 end - case when j.was_deleted then 1 else 0 end),
                   sum(coalesce(octet_length(b.content), 0) - coalesce(j.was_bytes, 0))
            from batch b left join judged j using (n)
            where j.n is null or j.wins
            group by b.kind
            on conflict (tenant_id, kind) do update
            set records = t.records + excluded.records, deleted = t.deleted + excluded.deleted,
                bytes = t.bytes + excluded.bytes, changed_at = now()
        )
        select j.n, j.outcome, j.version + case when j.wins then 1 else 0 end, case when j.wins then b.content_hash else j.was_hash end
        from judged j join batch b using (n)
        union all
        select x.n, x.why, null, null from unnest(barred, barred_for) as x (n, why);
    else
        insert into context_totals as t (tenant_id, kind, records, deleted, bytes)
        select tenant, b.* from unnest(totals_kind, totals_records, totals_deleted, totals_bytes) as b
        on conflict (tenant_id, kind) do update
        set records = t.records + excluded.records, deleted = t.deleted + excluded.deleted,
            bytes = t.bytes + excluded.bytes, changed_at = now();
    end if;

    update context_heads set seq = head.seq + total, key_id = head.key_id where tenant_id = tenant;
    if not exists (select from context_devices d where d.device_id = of_device and d.last_seen_at > now() - interval '1 minute') then
        insert into context_devices (tenant_id, device_id) values (tenant, of_device)
        on conflict (tenant_id, device_id) do update set last_seen_at = now();
    end if;
end $$;

revoke all on function context_push(uuid, uuid, text, smallint[], text[], text[], text[], timestamptz[], boolean[], bigint[], bytea[], bytea[], text[], bigint, smallint[], bigint[], bigint[], bigint[]) from public;
grant execute on function context_push(uuid, uuid, text, smallint[], text[], text[], text[], timestamptz[], boolean[], bigint[], bytea[], bytea[], text[], bigint, smallint[], bigint[], bigint[], bigint[]) to coditect_sync_push;

grant select on plans, signing_keys to coditect_sync_push, coditect_sync_pull;
grant select (id, tenant_id, plan_code, state, standing, expires_at) on licenses to coditect_sync_push, coditect_sync_pull;
do $$ begin execute format('grant coditect_lookup to %I', current_user); end $$;
grant execute on function users_by_identity(text, text, text, uuid) to coditect_sync_push, coditect_sync_pull;
do $$ begin execute format('revoke coditect_lookup from %I', current_user); end $$;
grant select, insert, update on context_records, context_totals, context_devices to coditect_sync_push;
grant select, insert on context_history to coditect_sync_push;
grant select, update (seq, key_id) on context_heads to coditect_sync_push;
grant select on context_heads, context_records, context_history, context_totals, context_devices to coditect_sync_pull;
