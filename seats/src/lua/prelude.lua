-- Common to all seat scripts, put in front of each of them.
--
-- A licence's seats are five keys in one hash slot:
--   KEYS[1] terms     hash: generation, revision, limit, state, grants (the last grant number), size
--   KEYS[2] live      sorted set: session -> when it expires, in ms of this server's clock
--   KEYS[3] holders   hash: holder -> session
--   KEYS[4] sessions  hash: session -> "grant number|holder", "grant number+|holder" once confirmed
--   KEYS[5] gone      hash: session -> "grant number|holder", for sessions dropped here whose rows may still be open, or
--                     may still be written as such
--
-- All but gone describe the same sessions. When one of them was evicted or expired alone, or the licence was never here,
-- the licence is cold: nothing is answered before it was restored from Postgres.

local function now_ms()
    local t = redis.call('TIME')
    return t[1] * 1000 + math.floor(t[2] / 1000)
end

local function int(n)
    return string.format('%.0f', n)
end

-- The terms, or nil when the licence is cold.
local function terms()
    local t = redis.call('HMGET', KEYS[1], 'generation', 'revision', 'limit', 'state', 'grants', 'size')
    if not t[1] then
        return nil
    end
    local size = tonumber(t[6])
    if redis.call('ZCARD', KEYS[2]) ~= size or redis.call('HLEN', KEYS[3]) ~= size or redis.call('HLEN', KEYS[4]) ~= size then
        return nil
    end
    return {
        generation = tonumber(t[1]), revision = tonumber(t[2]), limit = tonumber(t[3]),
        state = t[4], grants = tonumber(t[5]), size = size,
    }
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

local function add(t, session, holder, grant, confirmed, expires)
    redis.call('ZADD', KEYS[2], int(expires), session)
    redis.call('HSET', KEYS[3], holder, session)
    write_entry(session, holder, grant, confirmed)
    t.size = t.size + 1
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
    t.size = t.size - 1
    return holder, grant
end

-- Takes away a session that is still there, and remembers it as gone.
local function drop(t, session)
    local holder, grant = remove(t, session)
    redis.call('HSET', KEYS[5], session, grant .. '|' .. holder)
end

local function in_use(now)
    return redis.call('ZCOUNT', KEYS[2], '(' .. int(now), '+inf')
end

-- The newest limit and state anybody has seen win, in whatever order they arrive.
local function learn(t, revision, limit, state)
    if revision > t.revision then
        t.revision, t.limit, t.state = revision, limit, state
        redis.call('HSET', KEYS[1], 'revision', int(revision), 'limit', int(limit), 'state', state)
    end
end
