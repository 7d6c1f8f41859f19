-- Close a room for good and tell it so; closing a closed room changes nothing.
--
-- uses  fence, tell
--
-- KEYS[1]  meta    hash: run, epoch, seq, ms, ctl
-- KEYS[2]  info    hash: title, currency, state, created
-- KEYS[3]  log     stream, ids <seq>-0
-- KEYS[4]  outbox  stream
-- ARGV[1]  channel
-- ARGV[2]  event, a JSON object without seq and ts
-- ARGV[3]  id of the fact
-- ARGV[4]  room id
-- ARGV[5]  who closes it
-- ARGV[6]  about how many events the log keeps
--
-- returns  {seq, ts} of the closing, {0, 0} closed before
--          {-1} fenced, {-2} no such room

local bar = barred(KEYS[1])
if bar ~= 0 then
    return { bar }
end
if redis.call("HGET", KEYS[2], "state") == "closed" then
    return { 0, 0 }
end
redis.call("HSET", KEYS[2], "state", "closed")
return tell(KEYS[1], KEYS[3], KEYS[4], ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6])
