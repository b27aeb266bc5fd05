-- Tells Redis a licence's limit and state, from billing and operators.
--
-- ARGV: generation, revision, limit, state.
-- Answers 1, or 0 when the licence is cold and will learn them when it is restored. A later generation means that its
-- sessions were ended, or restored, without this server hearing of it: what it knows of them is worth nothing.
local t = terms()
if not t then
    return 0
end
if tonumber(ARGV[1]) > t.generation then
    redis.call('DEL', KEYS[1])
    return 0
end
learn(t, tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4])
return 1
