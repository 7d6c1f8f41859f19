-- Take the bells that are due, and lease them: another node hears them again only if this one dies.
--
-- uses  fence
--
-- KEYS[1]  bells  sorted set by due time in ms
-- ARGV[1]  lease in ms
-- ARGV[2]  how many at most
--
-- returns  the bells' names

local now = server_ms()
local due = redis.call("ZRANGEBYSCORE", KEYS[1], "-inf", now, "LIMIT", 0, ARGV[2])
for _, bell in ipairs(due) do
    redis.call("ZADD", KEYS[1], now + tonumber(ARGV[1]), bell)
end
return due
