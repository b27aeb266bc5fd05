-- Takes an instance away from the session that it shares. After the last one the session has expired, so that it
-- can't be joined any more while its row is closed.
--
-- ARGV: session, subject (empty: the session itself asks), instance.
-- Answers one of: cold; kept (by others); last, generation; unknown, generation.
local t = terms()
if not t then
    return {'cold'}
end
local holder = entry_of(ARGV[1])
if not holder or not is_of(holder, ARGV[2]) then
    return {'unknown', int(t.generation)}
end
local now, expires = now_ms(), tonumber(redis.call('ZSCORE', KEYS[2], ARGV[1]))
local names = redis.call('HGET', KEYS[7], ARGV[1])
if not expires or not names then
    return {'cold'}
end
local rest, left = {}, {}
if expires > now then
    rest, left = others(names, ARGV[3], now, expires)
end
if #rest == 0 then
    redis.call('ZADD', KEYS[2], int(math.min(now, expires)), ARGV[1])
    return {'last', int(t.generation)}
end
local latest = 0
for _, entry in ipairs(rest) do
    latest = math.max(latest, entry[2])
end
if ARGV[3] ~= UNNAMED then
    if #left >= MAX_INSTANCES then
        table.remove(left, 1)
    end
    left[#left + 1] = ARGV[3] .. '!' .. int(now + LATE_MS)
end
write_instances(ARGV[1], rest, left)
redis.call('ZADD', KEYS[2], int(latest), ARGV[1])
return {'kept'}
