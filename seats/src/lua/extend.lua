-- Keeps a session's seat for another ttl from now, but not beyond the license's end.
--
-- ARGV: session, ttl ms, subject (empty: the session itself asks), instance.
-- Answers one of: cold; inactive, state; unknown, generation; expired; left; live, expires ms, now ms.
-- An expired session is left where it is: only acquire drops it, together with the closing of its row. An instance that has
-- left does not join again by a heartbeat that was on its way: only acquire lets it in.
-- The other keys are looked at only when one of those that it reads is missing.
local t = known_terms()
if not t then
    return {'cold'}
end
local now = now_ms()
local reason = inactive(t, now)
if reason then
    return {'inactive', reason}
end
local holder = entry_of(ARGV[1])
local before = redis.call('ZSCORE', KEYS[2], ARGV[1])
local names = redis.call('HGET', KEYS[7], ARGV[1])
if not holder or not before or not names then
    -- One without the others: a release that has fewer keys wrote here, and what it left only looks whole.
    if holder or before or names or not terms() then
        return {'cold'}
    end
    return {'unknown', int(t.generation)}
end
if not is_of(holder, ARGV[3]) then
    return {'unknown', int(t.generation)}
end
before = tonumber(before)
if before <= now then
    return {'expired'}
end
if has_left(names, ARGV[4], now) then
    return {'left'}
end
local expires = expiry(t, now, tonumber(ARGV[2]))
extend(ARGV[1], names, ARGV[4], now, before, expires)
return {'live', int(expires), int(now)}
