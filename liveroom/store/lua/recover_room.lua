-- Take a room over on a server that was started anew, or rebuild it from what a node remembers.
--
-- uses  fence
--
-- KEYS[1]  meta   hash: run, epoch, seq, ms, ctl, and rebuild while what it may have lost is asked of the ledger
-- KEYS[2]  info   hash: title, currency, state, created
-- KEYS[3]  rooms  set of room ids
-- ARGV[1]  room id
-- ARGV[2]  a new epoch, 64 random bits
-- ARGV[3]  1 if the server keeps every write, so that the epoch may stay
-- ARGV[4]  title, as the node remembers it; empty if it does not know the room
-- ARGV[5]  currency
-- ARGV[6]  created, room time in ms
-- ARGV[7]  the newest seq that the node has seen
-- ARGV[8]  state, as the node remembers it
--
-- returns  {epoch, seq, what marks that it must be rebuilt, or ""}
--          {-2} no such room

local now = server_ms()
if redis.call("EXISTS", KEYS[1]) == 0 then
    if ARGV[4] == "" then
        return { GONE }
    end
    redis.call("HSET", KEYS[1], "run", run_id(), "epoch", ARGV[2], "seq", 0, "ms", now, "ctl", 0, "rebuild", ARGV[2])
    redis.call("HSET", KEYS[2], "title", ARGV[4], "currency", ARGV[5], "state", ARGV[8], "created", ARGV[6])
    redis.call("SADD", KEYS[3], ARGV[1])
elseif barred(KEYS[1]) == FENCED then
    -- A clock that was far ahead must not hold the room's time still: room time becomes now.
    local ms = tonumber(redis.call("HGET", KEYS[1], "ms"))
    redis.call("HSET", KEYS[1], "run", run_id(), "ms", ms > now + 1000 and now or ms)
    -- A log shorter than what was told already lost something: its numbers must not be given twice in one epoch.
    if ARGV[3] ~= "1" or tonumber(redis.call("HGET", KEYS[1], "seq")) < tonumber(ARGV[7]) then
        redis.call("HSET", KEYS[1], "epoch", ARGV[2], "rebuild", ARGV[2])
    end
end
local meta = redis.call("HMGET", KEYS[1], "epoch", "seq", "rebuild")
return { meta[1], tonumber(meta[2]), meta[3] or "" }
