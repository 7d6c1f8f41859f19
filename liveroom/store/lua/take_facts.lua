-- Read a shard's oldest facts, if its lease is free or this node's already.
--
-- KEYS[1]  recorder  string: the node that has the lease
-- KEYS[2]  outbox    stream
-- ARGV[1]  node
-- ARGV[2]  lease in ms
-- ARGV[3]  how many facts at most
-- ARGV[4]  after how many bytes no more are read
--
-- returns  {how many facts wait, then each as {id, {field, value, …}}}
--          {} another node has the lease

local holder = redis.call("GET", KEYS[1])
if holder and holder ~= ARGV[1] then
    return {}
end
-- Renewed when half of it is over: an idle server has nothing to write to its disk.
if redis.call("PTTL", KEYS[1]) < tonumber(ARGV[2]) / 2 then
    redis.call("SET", KEYS[1], ARGV[1], "PX", ARGV[2])
end
local found, from, left = { redis.call("XLEN", KEYS[2]) }, "-", tonumber(ARGV[4])
while #found <= tonumber(ARGV[3]) and left > 0 do
    local fact = redis.call("XRANGE", KEYS[2], from, "+", "COUNT", 1)[1]
    if not fact then
        break
    end
    for _, word in ipairs(fact[2]) do
        left = left - #word
    end
    table.insert(found, fact)
    from = "(" .. fact[1]
end
return found
