-- Puts some of a license's open sessions aside, as a restore read them from Postgres, all live for a whole ttl. They are found
-- by the end of that restore alone, and expire when it does not come.
--
-- KEYS: live, holders, sessions, places, instances (all aside), the marker of the process that restores.
-- ARGV: ttl ms, ms to keep what is aside, ms to keep the marker, ends (empty: never), then session, holder, grant, place,
-- instances (with commas) for each.
local expires = int(math.min(now_ms() + tonumber(ARGV[1]), tonumber(ARGV[4]) or math.huge))
local live, holders, sessions, places, instances = {}, {}, {}, {}, {}
local function append(list, first, second)
    list[#list + 1] = first
    list[#list + 1] = second
end
for i = 5, #ARGV, 5 do
    local session, holder, names = ARGV[i], ARGV[i + 1], ARGV[i + 4]
    if string.find(names, ',', 1, true) then
        names = string.gsub(names, '[^,]+', '%0=' .. expires)
    end
    append(live, expires, session)
    append(holders, holder, session)
    append(sessions, session, ARGV[i + 2] .. '+|' .. holder)
    append(places, ARGV[i + 3], session)
    append(instances, session, names)
end
redis.call('ZADD', KEYS[1], unpack(live))
redis.call('HSET', KEYS[2], unpack(holders))
redis.call('HSET', KEYS[3], unpack(sessions))
redis.call('ZADD', KEYS[4], unpack(places))
redis.call('HSET', KEYS[5], unpack(instances))
for i = 1, 5 do
    redis.call('PEXPIRE', KEYS[i], ARGV[2])
end
redis.call('PEXPIRE', KEYS[6], ARGV[3])
return #live / 2
