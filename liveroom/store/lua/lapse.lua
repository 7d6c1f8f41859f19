-- Strike off the viewers of a node that was silent for its lease: they left when it was last heard of.
--
-- uses  fence, attend
--
-- KEYS[1]   seats     hash: viewer -> number of nodes where he is
-- KEYS[2]   here      set: the viewers on that node
-- KEYS[3]   leases    sorted set by due time in ms
-- KEYS[4]   heard     hash: node -> when it was last heard of, in ms
-- KEYS[5]   sessions  hash: viewer -> JSON
-- KEYS[6]   pending   sorted set of viewers who are away, by when they count as gone
-- KEYS[7]   stream    hash: id, start, title, by; last, last_end, last_start
-- KEYS[8]   bells     sorted set: rooms by when they are to be swept
-- KEYS[9]   outbox    stream
-- KEYS[10]  cells     what keys of cells begin with
-- KEYS[11]  viewers   what keys of the distinct viewers begin with
-- ARGV[1]   the bell that rang
-- ARGV[2]   ms by which `ring` moved it: a bell further ahead was renewed meanwhile
-- ARGV[3]   grace in ms
-- ARGV[4]   id of the fact
--
-- returns  how many were struck off; -1 the node lives after all

local due = tonumber(redis.call("ZSCORE", KEYS[3], ARGV[1]) or "0")
if due > server_ms() + tonumber(ARGV[2]) then
    return -1
end
local room, node = string.match(ARGV[1], "^(.*)|(.*)$")
local heard = tonumber(redis.call("HGET", KEYS[4], node) or server_ms())
local roll = open_roll({ sessions = KEYS[5], pending = KEYS[6], stream = KEYS[7], bells = KEYS[8], outbox = KEYS[9],
    cells = KEYS[10], viewers = KEYS[11] }, { room = room, now = server_ms(), grace = tonumber(ARGV[3]),
    fact = ARGV[4], stream = "" })
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
        leave(roll, viewer, node, heard, "node_lost", 0)
    end
end
close_roll(roll, false)
redis.call("ZREM", KEYS[3], ARGV[1])
redis.call("HDEL", KEYS[4], node)
return struck
