-- Strike off the viewers of a node that was silent for its lease.
--
-- uses  fence
--
-- KEYS[1]  seats  hash: viewer -> number of nodes where he is
-- KEYS[2]  here   set: the viewers on that node
-- KEYS[3]  leases  sorted set by due time in ms
-- ARGV[1]  the bell that rang
-- ARGV[2]  ms by which `ring` moved it: a bell further ahead was renewed meanwhile
--
-- returns  how many were struck off; -1 the node lives after all

local due = tonumber(redis.call("ZSCORE", KEYS[3], ARGV[1]) or "0")
if due > server_ms() + tonumber(ARGV[2]) then
    return -1
end
local struck = 0
while true do
    local viewers = redis.call("SPOP", KEYS[2], 1000)
    if #viewers == 0 then
        break
    end
    struck = struck + #viewers
    for _, viewer in ipairs(viewers) do
        if redis.call("HINCRBY", KEYS[1], viewer, -1) <= 0 then
            redis.call("HDEL", KEYS[1], viewer)
        end
    end
end
redis.call("ZREM", KEYS[3], ARGV[1])
return struck
