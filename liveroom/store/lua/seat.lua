-- Note who came to and who left one node, and renew the node's lease on the room.
--
-- uses  fence
--
-- KEYS[1]  seats  hash: viewer -> number of nodes where he is
-- KEYS[2]  here   set: the viewers on this node
-- KEYS[3]  leases  sorted set by due time in ms
-- KEYS[4]  heard   hash: node -> when it was last heard of, in ms
-- ARGV[1]  the bell that rings when the lease lapses
-- ARGV[2]  lease in ms
-- ARGV[3]  1 if the node believes that its viewers are noted
-- ARGV[4]  clock time of the server in ms after which nothing is done
-- ARGV[5]  how many of the rest come; the others leave
-- ARGV[6...]  viewers
--
-- returns  {number of viewers, then for each who comes the number of nodes where he is}
--          {-3} too late
--          {-5} lapsed: the node's viewers were struck off; note them all again

local LAPSED = -5
if server_ms() > tonumber(ARGV[4]) then
    return { LATE }
end
if ARGV[3] == "1" and not redis.call("ZSCORE", KEYS[3], ARGV[1]) then
    return { LAPSED }
end
local coming, homes = tonumber(ARGV[5]), { 0 }
for i = 6, #ARGV do
    local viewer = ARGV[i]
    if i - 5 <= coming then
        if redis.call("SADD", KEYS[2], viewer) == 1 then
            redis.call("HINCRBY", KEYS[1], viewer, 1)
        end
        table.insert(homes, tonumber(redis.call("HGET", KEYS[1], viewer) or "1"))
    elseif redis.call("SREM", KEYS[2], viewer) == 1 and redis.call("HINCRBY", KEYS[1], viewer, -1) <= 0 then
        redis.call("HDEL", KEYS[1], viewer)
    end
end
homes[1] = redis.call("HLEN", KEYS[1])
local node = string.match(ARGV[1], "|(.*)$")
if redis.call("EXISTS", KEYS[2]) == 1 then
    redis.call("HSET", KEYS[4], node, server_ms())
    redis.call("ZADD", KEYS[3], server_ms() + tonumber(ARGV[2]), ARGV[1])
else
    redis.call("ZREM", KEYS[3], ARGV[1])
    redis.call("HDEL", KEYS[4], node)
end
return homes
