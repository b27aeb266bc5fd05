-- Sets a license's limit, state and end, for billing and operators.
--
-- ARGV: generation, revision, limit, state, ends, database.
-- Answers 1, or 0 when the license is cold and will get them when it is restored. A later generation means that its sessions
-- were ended or restored without this server; another database, that Postgres is not the one that they came from: the state
-- here is then discarded.
local t = terms()
if not t then
    return 0
end
if tonumber(ARGV[1]) > t.generation or ARGV[6] ~= t.database then
    redis.call('DEL', KEYS[1])
    return 0
end
apply_terms(t, tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4], ARGV[5])
return 1
