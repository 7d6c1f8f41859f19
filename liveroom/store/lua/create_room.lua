-- Create a room, unless it is there.
--
-- uses  fence
--
-- KEYS[1]  meta    hash: run, epoch, seq, ms, ctl, and rebuild until it is known that the ledger knows nothing of it
-- KEYS[2]  info    hash: title, currency, state, created
-- KEYS[3]  rooms   set of room ids
-- KEYS[4]  outbox  stream
-- ARGV[1]  room id
-- ARGV[2]  title
-- ARGV[3]  currency
-- ARGV[4]  epoch, 64 random bits
-- ARGV[5]  id of the fact
--
-- returns  {1 created or 0 there already, title, currency, state, created}
--          {-1} fenced: recover the room first

local bar = barred(KEYS[1])
if bar == FENCED then
    return { FENCED }
end
local made = 0
if bar == GONE then
    local now = server_ms()
    redis.call("HSET", KEYS[1], "run", run_id(), "epoch", ARGV[4], "seq", 0, "ms", now, "ctl", 0,
        "rebuild", ARGV[4])
    redis.call("HSET", KEYS[2], "title", ARGV[2], "currency", ARGV[3], "state", "open", "created", now)
    redis.call("SADD", KEYS[3], ARGV[1])
    local fact = { "id", ARGV[5], "room", ARGV[1], "what", "room.created", "title", ARGV[2], "currency", ARGV[3] }
    redis.call("XADD", KEYS[4], "*", "created", now, unpack(fact))
    made = 1
end
local info = redis.call("HMGET", KEYS[2], "title", "currency", "state", "created")
return { made, info[1], info[2], info[3], tonumber(info[4]) }
