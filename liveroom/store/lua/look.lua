-- Read what a joiner must be shown of a room, as of one seq.
--
-- uses  fence
--
-- KEYS[1]  meta   hash: run, epoch, seq, ms, ctl
-- KEYS[2]  info   hash: title, currency, state, created
-- KEYS[3]  board  hash: what a late joiner is shown
-- KEYS[4]  live   hash: round -> what a late joiner is shown of it
--
-- returns  {epoch, seq, ctl, title, currency, state, created, board as field, value, …, rounds likewise}
--          {-1} fenced, {-2} no such room

local bar = barred(KEYS[1])
if bar ~= 0 then
    return { bar }
end
local meta = redis.call("HMGET", KEYS[1], "epoch", "seq", "ctl")
local info = redis.call("HMGET", KEYS[2], "title", "currency", "state", "created")
local board = redis.call("HGETALL", KEYS[3])
local live = redis.call("HGETALL", KEYS[4])
return { meta[1], tonumber(meta[2]), tonumber(meta[3]), info[1], info[2], info[3], tonumber(info[4]), board, live }
