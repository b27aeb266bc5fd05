-- Puts what a restore has set aside in the place of whatever is here.
--
-- KEYS: a license's seven, then live, holders, sessions, places and instances set aside.
-- ARGV: generation, revision, limit, state, ends, database, how many sessions are aside, the last grant's number.
-- Answers 1; 0 when a later restore from the same database came first; -1 when what was set aside is not there as a whole.
-- The state that a restore replaces was fenced off by its generation: no grant under an earlier one can be committed
-- any more.
local t, size = terms(), tonumber(ARGV[7])
local outdated = t and t.database == ARGV[6] and t.generation >= tonumber(ARGV[1])
local whole = redis.call('ZCARD', KEYS[8]) == size and redis.call('HLEN', KEYS[9]) == size
    and redis.call('HLEN', KEYS[10]) == size and redis.call('ZCARD', KEYS[11]) == size
    and redis.call('HLEN', KEYS[12]) == size
if outdated or not whole then
    redis.call('UNLINK', KEYS[8], KEYS[9], KEYS[10], KEYS[11], KEYS[12])
    return outdated and 0 or -1
end
redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7])
if size > 0 then
    for aside, key in pairs({[8] = 2, [9] = 3, [10] = 4, [11] = 6, [12] = 7}) do
        redis.call('RENAME', KEYS[aside], KEYS[key])
    end
end
redis.call('HSET', KEYS[1], 'server', server_id(), 'generation', ARGV[1], 'revision', ARGV[2], 'limit', ARGV[3],
    'state', ARGV[4], 'ends', ARGV[5], 'database', ARGV[6], 'size', ARGV[7], 'grants', ARGV[8], 'gone', '0')
set_key_expiry(now_ms())
return 1
