-- Puts a licence's open sessions back, as one restore read them from Postgres, all live for a whole ttl.
--
-- ARGV: ttl ms, generation, revision, limit, state, then session, holder, grant for each.
-- Answers 1, or 0 when a later restore came first. What a restore replaces was fenced off by its generation: nothing
-- that was granted under an earlier one can be committed any more.
local generation = tonumber(ARGV[2])
local t = terms()
if t and t.generation >= generation then
    return 0
end
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5])
t = {size = 0}
local grants, expires = 0, now_ms() + tonumber(ARGV[1])
for i = 6, #ARGV, 3 do
    add(t, ARGV[i], ARGV[i + 1], ARGV[i + 2], '+', expires)
    grants = math.max(grants, tonumber(ARGV[i + 2]))
end
redis.call('HSET', KEYS[1], 'generation', ARGV[2], 'revision', ARGV[3], 'limit', ARGV[4], 'state', ARGV[5],
    'grants', int(grants), 'size', int(t.size))
return 1
