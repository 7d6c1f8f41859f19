-- A room's sales are as they should be again: under a new epoch, if they were changed, so that everybody is shown them.
--
-- uses  fence
--
-- KEYS[1]  meta  hash: run, epoch, seq, ms, ctl, rebuild, and anew where anything was changed
-- ARGV[1]  a new epoch, 64 random bits
-- ARGV[2]  the mark of what was to be rebuilt
--
-- returns  2 where they were changed, 1 where not, 0 where that is done already
--          {-1} fenced, {-2} no such room

local bar = barred(KEYS[1])
if bar ~= 0 then
    return { bar }
end
if redis.call("HGET", KEYS[1], "rebuild") ~= ARGV[2] then
    return 0
end
local anew = redis.call("HGET", KEYS[1], "anew")
redis.call("HDEL", KEYS[1], "rebuild", "anew")
if anew then
    redis.call("HSET", KEYS[1], "epoch", ARGV[1])
end
return anew and 2 or 1
