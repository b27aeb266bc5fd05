-- Asks, once the session's row is committed, whether the seat is still held, and forgets the sessions whose rows that
-- transaction closed. It writes, so that a WAIT after it covers the grant too.
--
-- ARGV: session, closed sessions…
-- Answers one of: cold; inactive, state; lost; held, expires ms.
local t = terms()
if not t then
    return {'cold'}
end
for i = 2, #ARGV do
    forget(t, ARGV[i])
end
save(t)
local now = now_ms()
local reason = inactive(t, now)
if reason then
    return {'inactive', reason}
end
local expires = tonumber(redis.call('ZSCORE', KEYS[2], ARGV[1]) or '0')
if expires <= now then
    return {'lost'}
end
local holder, grant = entry_of(ARGV[1])
write_entry(ARGV[1], holder, grant, '+')
return {'held', int(expires)}
