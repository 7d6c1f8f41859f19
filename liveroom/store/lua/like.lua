-- Count one flush of a node's likes, once, and tell the room's total.
--
-- KEYS[1]  likes   hash: total, ver, n:<node>
-- KEYS[2]  likers  hash: likes by viewer
-- ARGV[1]  node
-- ARGV[2]  number of this flush; one that is not greater than the node's last was counted before
-- ARGV[3]  crowd channel
-- ARGV[4...]  viewer and likes, in turn
--
-- returns  {total, ver}

local last = tonumber(redis.call("HGET", KEYS[1], "n:" .. ARGV[1]) or "0")
if tonumber(ARGV[2]) > last then
    local sum = 0
    for i = 4, #ARGV, 2 do
        redis.call("HINCRBY", KEYS[2], ARGV[i], ARGV[i + 1])
        sum = sum + tonumber(ARGV[i + 1])
    end
    redis.call("HSET", KEYS[1], "n:" .. ARGV[1], ARGV[2])
    local total = redis.call("HINCRBY", KEYS[1], "total", sum)
    redis.call("HSETNX", KEYS[1], "ver", redis.call("TIME")[1] * 1000) -- rises also when the server forgot it
    local ver = redis.call("HINCRBY", KEYS[1], "ver", 1)
    redis.call("PUBLISH", ARGV[3], '{"likes":' .. total .. ',"ver":' .. ver .. "}")
end
local now = redis.call("HMGET", KEYS[1], "total", "ver")
return { tonumber(now[1]), tonumber(now[2]) }
