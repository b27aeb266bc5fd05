-- Bounds for the rows that callers add: history and devices of context sync here; indexes for the bounds on devices of a
-- license and on idempotency keys, which the functions keep.

-- Plans that have cloud_sync say how many bytes of history there are at most, and for how many days; -1: no limit.
update plans set quotas = quotas || '{"context_history_bytes": 1073741824, "context_history_days": 30}' where code = 'PRO';
update plans set quotas = quotas || '{"context_history_bytes": 10737418240, "context_history_days": 180}' where code in ('TEAM', 'BUSINESS');
update plans set quotas = quotas || '{"context_history_bytes": -1, "context_history_days": 365}' where code = 'ENT';

-- The heads first: a push locks them before the history, so that neither waits for the other in a circle. Pushes and pulls
-- wait until the index is built and the history counted.
alter table context_heads add column history_bytes bigint not null default 0;
comment on column context_heads.history_bytes is 'of the tenant''s versions in context_history: each one''s content and 256 bytes for its row';

-- The oldest versions are those that were replaced, or lost, first.
create index context_history_by_age on context_history (tenant_id, coalesce(replaced_at, written_at), seq);

-- Counts what is added, also by a push that began before this migration and goes on after it.
create function context_history_count() returns trigger language plpgsql as $$
begin
    update context_heads h set history_bytes = h.history_bytes + a.bytes
    from (select tenant_id, sum(256 + coalesce(octet_length(content), 0)) as bytes from added group by tenant_id) a
    where h.tenant_id = a.tenant_id;
    return null;
end $$;
revoke all on function context_history_count() from public;
create trigger counted after insert on context_history referencing new table as added
    for each statement execute function context_history_count();

do $$
declare t uuid;
begin
    for t in select id from tenants_all() loop
        perform set_config('app.tenant_id', t::text, true);
        update context_heads set history_bytes = (
            select coalesce(sum(256 + coalesce(octet_length(content), 0)), 0) from context_history where tenant_id = t)
        where tenant_id = t;
        delete from context_devices where tenant_id = t and device_id in (
            select device_id from context_devices where tenant_id = t order by last_seen_at desc, device_id offset 1000);
    end loop;
    perform set_config('app.tenant_id', '', true);
end $$;

-- How much history the tenant's plans keep: the most that one of them allows, of those whose licenses are active if any is;
-- -1: no limit; nulls where no plan has cloud_sync.
create function context_history_limits() returns table (max_bytes bigint, max_days integer)
    language sql stable
    begin atomic
        with allowed as (
            select coalesce((p.quotas ->> 'context_history_bytes')::bigint, -1) as bytes,
                   greatest(-1, least(coalesce((p.quotas ->> 'context_history_days')::bigint, -1), 1000000))::integer as days,
                   license_state(l.state, l.standing, l.expires_at) = 'active' as is_active
            from licenses l join plans p on p.code = l.plan_code
            where 'cloud_sync' = any(p.features)
        )
        select case when min(a.bytes) < 0 then -1 else max(a.bytes) end,
               case when min(a.days) < 0 then -1 else max(a.days) end
        from allowed a
        where a.is_active or not exists (select from allowed o where o.is_active);
    end;

-- Removes the tenant's oldest versions, up to `at_most`: while they are from before a time, or while fewer bytes than
-- `excess` are gone. Callers hold the tenant's lock. Answers how many there were, and their bytes.
create function context_history_trim(before timestamptz, excess bigint, at_most integer)
    returns table (versions bigint, bytes bigint)
    language plpgsql
    set enable_seqscan = off set enable_bitmapscan = off
as $$
#variable_conflict use_column
declare
    tenant constant uuid := current_tenant();
begin
    with oldest as (
        select h.ctid as place, h.seq, coalesce(h.replaced_at, h.written_at) as since,
               256 + coalesce(octet_length(h.content), 0) as size
        from context_history h where h.tenant_id = tenant
        order by coalesce(h.replaced_at, h.written_at), h.seq limit at_most
    ), summed as (
        select o.place, o.size, o.since < before as is_old,
               sum(o.size) over (order by o.since, o.seq rows unbounded preceding) - o.size as bytes_before
        from oldest o
    ), gone as (
        delete from context_history h
        where h.ctid = any(array(select s.place from summed s where s.is_old or s.bytes_before < excess))
        returning 256 + coalesce(octet_length(h.content), 0) as size
    )
    select count(*), coalesce(sum(g.size), 0) into versions, bytes from gone g;
    if versions > 0 then
        update context_heads h set history_bytes = h.history_bytes - bytes where h.tenant_id = tenant;
    end if;
    return next;
end $$;
revoke all on function context_history_trim(timestamptz, bigint, integer) from public;
grant execute on function context_history_trim(timestamptz, bigint, integer) to coditect_sync_push;

-- One push, with the arguments, the answer and the lock that V5 describes. Also counts the history that it adds, removes the
-- oldest versions beyond the plan's bytes, and keeps the 1,000 devices of the tenant that were seen last.
create or replace function context_push(
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
    -- Bytes that this push adds to the history.
    added bigint;
    -- Whether all may be new.
    hopeful boolean := cardinality(array_remove(bases, null)) = 0;
    arrived timestamptz;
    is_new_device boolean;
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
    select h.seq, h.key_id, h.history_bytes into head from context_heads h where h.tenant_id = tenant;
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

        -- The oldest versions make room. Where a plan shrank, a push removes at most twice the bytes that it adds, so that
        -- none takes long; later ones and the sweep remove the rest.
        select h.history_bytes - head.history_bytes into added from context_heads h where h.tenant_id = tenant;
        if added > 0 then
            perform context_history_trim(null, least(head.history_bytes + added - l.max_bytes, 2 * added), 20000)
            from context_history_limits() l
            where l.max_bytes >= 0 and head.history_bytes + added > l.max_bytes;
        end if;
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
        on conflict (tenant_id, device_id) do update set last_seen_at = now()
        returning xmax = 0 into is_new_device;
        if is_new_device then
            delete from context_devices d
            where d.tenant_id = tenant and d.device_id in (
                select o.device_id from context_devices o where o.tenant_id = tenant
                order by o.last_seen_at desc, o.device_id offset 1000
            );
        end if;
    end if;
end $$;

grant update (history_bytes) on context_heads to coditect_sync_push;
grant delete on context_history, context_devices to coditect_sync_push;

-- Activations of a license in the last day, and keys of a caller, are counted without reading what is older. Last, so that
-- validating and acquiring wait for nothing else.
create index devices_by_activation on devices (license_id, activated_at);
create index idempotency_keys_by_caller on idempotency_keys (tenant_id, operation, caller, created_at);
