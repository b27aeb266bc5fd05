-- Drops expired sessions, for an installation that counts over all of its licenses; at most so many at once that
-- their rows can be closed.
--
-- Answers one of
--   cold
--   silent  generation, revision, ms until the next seat can fall free (empty: no seat is taken), gone…
-- `gone` as in acquire: their rows must be closed before another session is opened.
local t = terms()
if not t then
    return {'cold'}
end
local now = now_ms()
local room = math.max(MAX_GONE - t.gone, 0)
for _, session in ipairs(redis.call('ZRANGE', KEYS[2], '-inf', int(now), 'BYSCORE', 'LIMIT', 0, room)) do
    drop(t, session)
end
save(t)
set_key_expiry(now)
local next_free = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2]
return append_gone(t, {
    'silent', int(t.generation), int(t.revision), next_free and int(math.max(tonumber(next_free) - now, 0)) or '',
})
