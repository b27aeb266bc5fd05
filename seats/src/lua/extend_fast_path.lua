-- Put in front of extend: the usual heartbeat, of a session that one instance has and that asks with its own token. It reads
-- no more than what decides; everything else goes on below.
if ARGV[3] == '' then
    local t = redis.call('HMGET', KEYS[1], 'server', 'state', 'ends')
    if t[2] == 'active'
        and t[1] and string.find(redis.call('INFO', 'replication'), 'master_replid:' .. t[1], 1, true)
        and redis.call('HGET', KEYS[7], ARGV[1]) == ARGV[4] then
        local time = redis.call('TIME')
        local now = time[1] * 1000 + math.floor(time[2] / 1000)
        local before = tonumber(redis.call('ZSCORE', KEYS[2], ARGV[1]) or '0')
        local expires = math.min(now + tonumber(ARGV[2]), tonumber(t[3]) or math.huge)
        if before > now and expires > now then
            expires = string.format('%.0f', expires)
            redis.call('ZADD', KEYS[2], expires, ARGV[1])
            return {'live', expires, string.format('%.0f', now)}
        end
    end
end

