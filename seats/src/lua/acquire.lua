-- Acquires a seat for a holder: the one it has, or a free one.
--
-- ARGV: holder, session id to use, instance, ttl ms, and the license as Postgres has it: generation, revision, limit,
-- state, ends, database.
-- Answers one of
--   cold
--   inactive  state
--   full      limit, in use, ms until the next seat can fall free
--   behind    generation, revision, gone…     so many are gone that their rows are to be closed before anything else
--   held      session, grant, expires ms, generation, revision, limit, in use, seat, gone…   the holder's live session,
--             extended
--   granted   like `held`, for a new session
-- `gone` are the sessions (each with "grant|holder") whose rows the caller must close, or write as closed, in the transaction
-- that writes this one: a seat passes on only together with the end of its former session.
local t = terms()
if not t or ARGV[10] ~= t.database or tonumber(ARGV[5]) > t.generation then
    return {'cold'}
end
apply_terms(t, tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8], ARGV[9])
local holder, instance, ttl, now = ARGV[1], ARGV[3], tonumber(ARGV[4]), now_ms()
local reason = inactive(t, now)
if reason then
    return {'inactive', reason}
end

local expires = expiry(t, now, ttl)

local function answer(what, session, grant)
    save(t)
    set_key_expiry(now)
    local place = redis.call('ZSCORE', KEYS[6], session)
    return append_gone(t, {
        what, session, grant, int(expires), int(t.generation), int(t.revision), int(t.limit), int(in_use(now)), place,
    })
end

-- The lowest seat that is free, once the highest number that is taken has reached the limit; else the next number.
-- Places are sorted: after those without a number, one that is farther up than its rank lies behind a gap.
local function free_place()
    local top = tonumber(redis.call('ZRANGE', KEYS[6], -1, -1, 'WITHSCORES')[2] or '0')
    if top < t.limit then
        return top + 1
    end
    local unnumbered = redis.call('ZCOUNT', KEYS[6], '-inf', '(1')
    local low, high = unnumbered, t.size - 1
    while low < high do
        local middle = math.floor((low + high) / 2)
        if tonumber(redis.call('ZRANGE', KEYS[6], middle, middle, 'WITHSCORES')[2]) > middle - unnumbered + 1 then
            high = middle
        else
            low = middle + 1
        end
    end
    return low - unnumbered + 1
end

local held = redis.call('HGET', KEYS[3], holder)
if held then
    local _, grant, confirmed = entry_of(held)
    local before, names = tonumber(redis.call('ZSCORE', KEYS[2], held)), redis.call('HGET', KEYS[7], held)
    local place = tonumber(redis.call('ZSCORE', KEYS[6], held))
    if not grant or not before or not names or not place then
        return {'cold'}
    end
    -- A seat that was not confirmed to a client isn't kept over a limit that came down since, nor one with a number above it.
    local rightful = confirmed == '+' or (t.size <= t.limit and place <= t.limit)
    if rightful and before > now then
        extend(held, names, instance, now, before, expires)
        return answer('held', held, grant)
    end
    drop(t, held)
end

-- A handful of expired sessions is dropped each time, so that an acquire after 20,000 sessions have expired is not one long
-- script; more only while there is no room.
local expired
repeat
    expired = redis.call('ZRANGE', KEYS[2], '-inf', int(now), 'BYSCORE', 'LIMIT', 0, 32)
    for _, session in ipairs(expired) do
        drop(t, session)
    end
until t.size < t.limit or #expired == 0 or t.gone >= MAX_GONE

if t.gone >= MAX_GONE then
    save(t)
    set_key_expiry(now)
    return append_gone(t, {'behind', int(t.generation), int(t.revision)})
end

if t.size >= t.limit then
    save(t)
    set_key_expiry(now)
    -- Every session left is live. With more holders than seats, several have to go before one falls free.
    local next_free = redis.call('ZRANGE', KEYS[2], t.size - t.limit, t.size - t.limit, 'WITHSCORES')
    local wait = ttl
    if next_free[2] then
        wait = tonumber(next_free[2]) - now
    end
    return {'full', int(t.limit), int(t.size), int(wait)}
end

local session, place = ARGV[2], free_place()
t.grants = t.grants + 1
redis.call('ZADD', KEYS[2], int(expires), session)
redis.call('HSET', KEYS[3], holder, session)
write_entry(session, holder, int(t.grants), '')
redis.call('ZADD', KEYS[6], int(place), session)
redis.call('HSET', KEYS[7], session, instance)
t.size = t.size + 1
return answer('granted', session, int(t.grants))
