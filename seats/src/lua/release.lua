-- Releases the seats of sessions whose rows are closed.
--
-- ARGV: sessions…
-- Answers how many were there. A cold license has nothing to free.
local t = terms()
if not t then
    return 0
end
local freed = 0
for _, session in ipairs(ARGV) do
    if remove(t, session) then
        freed = freed + 1
    end
    forget(t, session)
end
save(t)
return freed
