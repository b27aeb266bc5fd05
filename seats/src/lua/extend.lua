-- Keeps a session's seat for another ttl from now.
--
-- ARGV: session, ttl ms, subject (empty: whoever asks is the session itself).
-- Answers one of: cold; inactive, state; unknown, generation; expired; live, expires ms.
-- An expired session is left where it is: only acquire drops it, together with the closing of its row.
local t = terms()
if not t then
    return {'cold'}
end
if t.state ~= 'active' then
    return {'inactive', t.state}
end
local holder = entry_of(ARGV[1])
if not holder or (ARGV[3] ~= '' and string.sub(holder, 1, #ARGV[3] + 1) ~= ARGV[3] .. '/') then
    return {'unknown', int(t.generation)}
end
local now = now_ms()
if tonumber(redis.call('ZSCORE', KEYS[2], ARGV[1])) <= now then
    return {'expired'}
end
local expires = int(now + tonumber(ARGV[2]))
redis.call('ZADD', KEYS[2], expires, ARGV[1])
return {'live', expires}
