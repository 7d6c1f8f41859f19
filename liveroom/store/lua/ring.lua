-- Take the bells that are due, and lease them: another node hears them again only if this one dies.
--
-- uses  fence
--
-- KEYS[1]  bells  sorted set by due time in ms
-- ARGV[1]  lease in ms
-- ARGV[2]  how many at most
--
-- returns  {when the next one is due in ms or -1, then the names of those that are due}

local now = server_ms()
local answer = { -1 }
local due = redis.call("ZRANGEBYSCORE", KEYS[1], "-inf", now, "LIMIT", 0, ARGV[2])
for _, bell in ipairs(due) do
    redis.call("ZADD", KEYS[1], now + tonumber(ARGV[1]), bell)
    table.insert(answer, bell)
end
local soonest = redis.call("ZRANGE", KEYS[1], 0, 0, "WITHSCORES")
if soonest[2] then
    answer[1] = math.floor(tonumber(soonest[2]))
end
return answer
