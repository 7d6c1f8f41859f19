-- Change how a room's chat is, and tell it so.
--
-- uses  fence, command, tell
--
-- KEYS[1]  meta    hash: run, epoch, seq, ms, ctl
-- KEYS[2]  info    hash: title, currency, state, created
-- KEYS[3]  outbox  stream
-- KEYS[4]  once    string: what this idempotency key was answered
-- KEYS[5]  log     stream, ids <seq>-0
-- KEYS[6]  board   hash: what a late joiner is shown
-- ARGV[1]  channel
-- ARGV[2]  id of the fact
-- ARGV[3]  room id
-- ARGV[4]  who commands it
-- ARGV[5]  his role
-- ARGV[6]  his command, JSON
-- ARGV[7]  hash of the command, or empty where it has no idempotency key
-- ARGV[8]  room time in ms after which nothing is done
-- ARGV[9]  seconds to remember the idempotency key
-- ARGV[10]  event, a JSON object without seq, ts and rate
-- ARGV[11]  rate, 0 for the server's own, or empty: as it is
-- ARGV[12]  words as a JSON array, or empty: as they are
-- ARGV[13]  about how many events the log keeps
--
-- returns  {0, answer} done now, {1, answer} done before, {1, ""} the key was used for something else
--          {-1} fenced, {-2} no such room, {-3} too late, {-4} the room is closed

local before = answered(KEYS[1], KEYS[2], KEYS[4], ARGV[7], ARGV[8])
if before then
    return before
end
local rate = ARGV[11] ~= "" and ARGV[11] or redis.call("HGET", KEYS[6], "rate") or "0"
local event = ARGV[10]
if tonumber(rate) > 0 then
    event = string.sub(event, 1, -2) .. ',"rate":' .. rate .. "}"
end
local told = tell(KEYS[1], KEYS[5], KEYS[3], ARGV[1], event, ARGV[2], ARGV[3], ARGV[4], ARGV[13])
redis.call("HSET", KEYS[6], "settings", event, "rate", rate)
if ARGV[12] ~= "" then
    redis.call("HSET", KEYS[6], "words", ARGV[12])
end
local answer = '{"seq":' .. told[1] .. "}"
return done(KEYS[1], KEYS[3], KEYS[4], ARGV[7], ARGV[9], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], answer)
