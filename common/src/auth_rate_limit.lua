-- Counts attempts in a fixed window that starts with the first of them.
-- KEYS[1] the counter. ARGV: how many to add (0 only looks), the window in milliseconds.
-- Answers the count and the milliseconds until it starts anew.
local count
if ARGV[1] == '0' then
    count = tonumber(redis.call('GET', KEYS[1]) or '0')
else
    count = redis.call('INCRBY', KEYS[1], ARGV[1])
end
local left = redis.call('PTTL', KEYS[1])
if left < 0 then
    left = tonumber(ARGV[2])
    if count > 0 then
        redis.call('PEXPIRE', KEYS[1], left)
    end
end
return {count, left}
