-- Tells Redis a licence's limit and state, from billing and operators.
--
-- ARGV: revision, limit, state.
-- Answers 1, or 0 when the licence is cold and will learn them when it is restored.
local t = terms()
if not t then
    return 0
end
learn(t, tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3])
return 1
