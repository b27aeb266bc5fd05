-- Common to all seat scripts, put in front of each of them.
--
-- A license's seats are seven keys in one hash slot:
--   KEYS[1] terms      hash: generation, revision, limit, state, ends (ms, empty: never), database, server, grants (the
--                      last grant number), size and gone (how many entries the other keys have)
--   KEYS[2] live       sorted set: session -> when it expires, in ms of this server's clock
--   KEYS[3] holders    hash: holder -> session
--   KEYS[4] sessions   hash: session -> "grant number|holder", "grant number+|holder" once confirmed
--   KEYS[5] gone       hash: session -> "grant number|holder", for sessions dropped here whose rows may still be open, or
--                      may still be written as such
--   KEYS[6] places     sorted set: session -> its seat's number, 0 where it has none
--   KEYS[7] instances  hash: session -> who shares it: "name", or a list of "name=expires" and, of those that have left,
--                      "name!until"
--
-- When one of them was evicted or expired alone, or the license was never here, or this server is not the one that the
-- license was restored on (a promoted replica, one that loaded a snapshot), the license is cold: nothing is answered
-- before it was restored from Postgres.

-- A license that is not used is forgotten after a week.
local KEEP_MS = 604800000
-- So many instances share a session under names of their own; all others share the name '*', which only expires.
local MAX_INSTANCES = 16
-- Id of clients that name no instance. Several may share it, so that one which leaves says nothing about the others.
local UNNAMED = '00000000-0000-0000-0000-000000000000'
-- For so long, a heartbeat that was sent before its instance left does not bring it back.
local LATE_MS = 60000
-- So many dropped sessions may wait for their rows to be closed before acquire hands out nothing else.
local MAX_GONE = 1000

local function now_ms()
    local t = redis.call('TIME')
    return t[1] * 1000 + math.floor(t[2] / 1000)
end

local function int(n)
    return string.format('%.0f', n)
end

-- Which history of writes this server has: another one after a promotion or a restart, whatever it loaded.
local function server_id()
    return string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)') or ''
end

-- The terms, without a look at the other keys; nil when they are not this server's.
local function known_terms()
    local t = redis.call('HMGET', KEYS[1], 'server', 'generation', 'revision', 'limit', 'state', 'ends', 'database',
        'grants', 'size', 'gone')
    if not t[1] or t[1] ~= server_id() then
        return nil
    end
    return {
        generation = tonumber(t[2]), revision = tonumber(t[3]), limit = tonumber(t[4]), state = t[5],
        ends = tonumber(t[6]) or math.huge, database = t[7], grants = tonumber(t[8]), size = tonumber(t[9]),
        gone = tonumber(t[10]),
    }
end

-- The terms, or nil when the license is cold.
local function terms()
    local t = known_terms()
    if not t
        or redis.call('ZCARD', KEYS[2]) ~= t.size
        or redis.call('HLEN', KEYS[3]) ~= t.size
        or redis.call('HLEN', KEYS[4]) ~= t.size
        or redis.call('ZCARD', KEYS[6]) ~= t.size
        or redis.call('HLEN', KEYS[7]) ~= t.size
        or redis.call('HLEN', KEYS[5]) ~= t.gone then
        return nil
    end
    return t
end

-- Writes what has been counted.
local function save(t)
    redis.call('HSET', KEYS[1], 'grants', int(t.grants), 'size', int(t.size), 'gone', int(t.gone))
end

-- Says whether a holder is a device of this subject; every holder is one of the empty subject.
local function is_of(holder, subject)
    return subject == '' or string.sub(holder, 1, #subject + 1) == subject .. '/'
end

-- Lets all keys live for as long.
local function set_key_expiry(now)
    for i = 1, 7 do
        redis.call('PEXPIREAT', KEYS[i], int(now + KEEP_MS))
    end
end

-- Returns the reason why no seat may be taken now, or nil.
local function inactive(t, now)
    if t.state ~= 'active' then
        return t.state
    end
    if t.ends <= now then
        return 'expired'
    end
    return nil
end

-- When a seat that is kept now expires: never after the license.
local function expiry(t, now, ttl)
    return math.min(now + ttl, t.ends)
end

-- Holder, grant number, and '+' when confirmed, of a session's entry.
local function entry_of(session)
    local entry = redis.call('HGET', KEYS[4], session)
    if not entry then
        return nil
    end
    local grant, confirmed, holder = string.match(entry, '^(%d+)(%+?)|(.*)$')
    return holder, grant, confirmed
end

local function write_entry(session, holder, grant, confirmed)
    redis.call('HSET', KEYS[4], session, grant .. confirmed .. '|' .. holder)
end

-- Takes a session away; answers its holder and grant number, or nil when it wasn't there.
local function remove(t, session)
    local holder, grant = entry_of(session)
    if not holder then
        return nil
    end
    redis.call('ZREM', KEYS[2], session)
    redis.call('HDEL', KEYS[3], holder)
    redis.call('HDEL', KEYS[4], session)
    redis.call('ZREM', KEYS[6], session)
    redis.call('HDEL', KEYS[7], session)
    t.size = t.size - 1
    return holder, grant
end

-- Takes away a session that is still there, and remembers it as gone.
local function drop(t, session)
    local holder, grant = remove(t, session)
    t.gone = t.gone + redis.call('HSET', KEYS[5], session, grant .. '|' .. holder)
end

-- Forgets that a session is gone: its row is closed.
local function forget(t, session)
    t.gone = t.gone - redis.call('HDEL', KEYS[5], session)
end

-- Appends the sessions that are gone to an answer: few more than may wait.
local function append_gone(t, list)
    if t.gone > 0 then
        for _, word in ipairs(redis.call('HRANDFIELD', KEYS[5], 2 * MAX_GONE, 'WITHVALUES')) do
            list[#list + 1] = word
        end
    end
    return list
end

local function in_use(now)
    return redis.call('ZCOUNT', KEYS[2], '(' .. int(now), '+inf')
end

-- Keeps the newest limit, state and end, in whatever order they arrive.
local function apply_terms(t, revision, limit, state, ends)
    if revision > t.revision then
        t.revision, t.limit, t.state, t.ends = revision, limit, state, tonumber(ends) or math.huge
        redis.call('HSET', KEYS[1], 'revision', int(revision), 'limit', int(limit), 'state', state, 'ends', ends)
    end
end

-- Those of a session's `names`, besides `instance`: a list of {name, expires} of the ones that have not fallen silent (a name
-- alone has the session's own expiry), and the entries of those that left a moment ago.
local function others(names, instance, now, expires)
    local list, left = {}, {}
    for name, sign, at in string.gmatch(names, '([^,=!]+)([=!]?)(%d*)') do
        at = tonumber(at) or expires
        if name ~= instance and at > now then
            if sign == '!' then
                left[#left + 1] = name .. '!' .. int(at)
            else
                list[#list + 1] = {name, at}
            end
        end
    end
    return list, left
end

-- Says whether `instance` left a moment ago.
local function has_left(names, instance, now)
    local _, sign = string.find(names, instance .. '!', 1, true)
    return sign and tonumber(string.match(names, '^%d+', sign + 1)) > now
end

local function write_instances(session, list, left)
    local entries = {list[1][1]}
    if #list + #left > 1 then
        for i, entry in ipairs(list) do
            entries[i] = entry[1] .. '=' .. int(entry[2])
        end
        for _, entry in ipairs(left) do
            entries[#entries + 1] = entry
        end
    end
    redis.call('HSET', KEYS[7], session, table.concat(entries, ','))
end

-- Keeps a session that would have expired at `before` until `expires`, for one of its instances.
local function extend(session, names, instance, now, before, expires)
    redis.call('ZADD', KEYS[2], int(expires), session)
    if names == instance then
        return
    end
    local list, left = others(names, instance, now, before)
    if #list >= MAX_INSTANCES and not string.find(names, instance .. '=', 1, true) then
        instance = '*'
        for i, entry in ipairs(list) do
            if entry[1] == '*' then
                table.remove(list, i)
                break
            end
        end
    end
    list[#list + 1] = {instance, expires}
    write_instances(session, list, left)
end
