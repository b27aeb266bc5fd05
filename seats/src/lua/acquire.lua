-- Takes a seat for a holder: the one it has, or a free one.
--
-- ARGV: holder, session id to use, ttl ms, and the licence as Postgres has it: generation, revision, limit, state.
-- Answers one of
--   cold
--   inactive  state
--   full      limit, in use, ms until the next seat can fall free
--   held      session, grant, expires ms, generation, revision, limit, in use, gone…   the holder's live session, extended
--   granted   the same for a new session
-- `gone` are the sessions (each with "grant|holder") whose rows the caller must close, or write as closed, in the
-- transaction that writes this one: a seat passes on only together with the end of whoever had it.
local t = terms()
if not t or tonumber(ARGV[4]) > t.generation then
    return {'cold'}
end
learn(t, tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7])
if t.state ~= 'active' then
    return {'inactive', t.state}
end

local holder, ttl, now = ARGV[1], tonumber(ARGV[3]), now_ms()

local function answer(what, session, grant)
    local list = {
        what, session, grant, int(now + ttl), int(t.generation), int(t.revision), int(t.limit), int(in_use(now)),
    }
    for _, gone in ipairs(redis.call('HGETALL', KEYS[5])) do
        list[#list + 1] = gone
    end
    return list
end

local held = redis.call('HGET', KEYS[3], holder)
if held then
    local _, grant, confirmed = entry_of(held)
    -- A seat nobody was told of isn't kept over a limit that came down since.
    local rightful = confirmed == '+' or t.size <= t.limit
    if rightful and tonumber(redis.call('ZSCORE', KEYS[2], held)) > now then
        redis.call('ZADD', KEYS[2], int(now + ttl), held)
        return answer('held', held, grant)
    end
    drop(t, held)
end

-- A handful of expired sessions is dropped each time, so that a morning after 20,000 dead laptops is not one long
-- script; more only while there is no room.
repeat
    local expired = redis.call('ZRANGE', KEYS[2], '-inf', int(now), 'BYSCORE', 'LIMIT', 0, 32)
    for _, session in ipairs(expired) do
        drop(t, session)
    end
until t.size < t.limit or #expired == 0
redis.call('HSET', KEYS[1], 'size', int(t.size))

if t.size >= t.limit then
    -- Every session left is live. With more holders than seats, several have to go before one falls free.
    local next_free = redis.call('ZRANGE', KEYS[2], t.size - t.limit, t.size - t.limit, 'WITHSCORES')
    local wait = ttl
    if next_free[2] then
        wait = tonumber(next_free[2]) - now
    end
    return {'full', int(t.limit), int(t.size), int(wait)}
end

local grant = int(t.grants + 1)
add(t, ARGV[2], holder, grant, '', now + ttl)
redis.call('HSET', KEYS[1], 'grants', grant, 'size', int(t.size))
return answer('granted', ARGV[2], grant)
