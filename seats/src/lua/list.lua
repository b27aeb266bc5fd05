-- Lists the sessions that hold a seat, with the ms that they have left (negative: expired, not yet passed on), for operators.
local t = terms()
if not t then
    return {}
end
local now, answer = now_ms(), {}
local all = redis.call('ZRANGE', KEYS[2], 0, -1, 'WITHSCORES')
for i = 1, #all, 2 do
    answer[#answer + 1] = {all[i], int(tonumber(all[i + 1]) - now)}
end
return answer
