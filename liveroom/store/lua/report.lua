-- Put a comment that a viewer reports into the room's queue, once for each viewer; the oldest gives way.
--
-- uses  fence
--
-- KEYS[1]  reports  hash: id of the comment -> JSON; ver
-- KEYS[2]  queue    sorted set: ids by when they were first reported, in ms
-- ARGV[1]  id of the comment
-- ARGV[2]  the comment, JSON
-- ARGV[3]  who reports it
-- ARGV[4]  why
-- ARGV[5]  how many comments there are at most
-- ARGV[6]  how many reports of one are kept
-- ARGV[7]  seconds to keep them all behind the newest
--
-- returns  1 it is in the queue for this viewer now, 0 it was, or enough others reported it

local kept = redis.call("HGET", KEYS[1], ARGV[1])
local report = kept and cjson.decode(kept) or { comment = ARGV[2], by = {}, n = 0, at = server_ms() }
if report.by[ARGV[3]] or report.n >= tonumber(ARGV[6]) then
    return 0
end
report.n = report.n + 1
report.by[ARGV[3]] = ARGV[4]
redis.call("HSET", KEYS[1], ARGV[1], cjson.encode(report))
redis.call("ZADD", KEYS[2], "NX", report.at, ARGV[1])
if redis.call("ZCARD", KEYS[2]) > tonumber(ARGV[5]) then
    redis.call("HDEL", KEYS[1], redis.call("ZPOPMIN", KEYS[2])[1])
end
-- It rises also when the server forgot it.
redis.call("HSET", KEYS[1], "ver", math.max(tonumber(redis.call("HGET", KEYS[1], "ver") or "0") + 1, server_ms()))
redis.call("EXPIRE", KEYS[1], ARGV[7])
redis.call("EXPIRE", KEYS[2], ARGV[7])
return 1
