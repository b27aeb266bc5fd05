-- Drops whoever has fallen silent, for an installation that counts over all of its licences.
--
-- Answers one of
--   cold
--   silent  generation, revision, ms until the next seat can fall free (empty: nobody has one), gone…
-- `gone` as in acquire: their rows must be closed before anybody else is let in.
local t = terms()
if not t then
    return {'cold'}
end
local now = now_ms()
for _, session in ipairs(redis.call('ZRANGE', KEYS[2], '-inf', int(now), 'BYSCORE')) do
    drop(t, session)
end
redis.call('HSET', KEYS[1], 'size', int(t.size))
local next_free = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2]
local answer = {'silent', int(t.generation), int(t.revision), next_free and int(tonumber(next_free) - now) or ''}
for _, gone in ipairs(redis.call('HGETALL', KEYS[5])) do
    answer[#answer + 1] = gone
end
return answer
