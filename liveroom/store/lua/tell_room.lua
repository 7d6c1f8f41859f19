-- Tell an open room a ledger event that the staff command, and hang it on the board if asked to.
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
-- ARGV[10]  event, a JSON object without seq and ts
-- ARGV[11]  about how many events the log keeps
-- ARGV[12]  field of the board, or empty
-- ARGV[13]  the answer, JSON, or empty: the number of the event
--
-- returns  {0, answer} done now, {1, answer} done before, {1, ""} the key was used for something else
--          {-1} fenced, {-2} no such room, {-3} too late, {-4} the room is closed

local before = answered(KEYS[1], KEYS[2], KEYS[4], ARGV[7], ARGV[8])
if before then
    return before
end
local told = tell(KEYS[1], KEYS[5], KEYS[3], ARGV[1], ARGV[10], ARGV[2], ARGV[3], ARGV[4], ARGV[11])
if ARGV[12] ~= "" then
    redis.call("HSET", KEYS[6], ARGV[12], '{"seq":' .. told[1] .. ',"ts":' .. told[2] .. "," .. string.sub(ARGV[10], 2))
end
local answer = ARGV[13] ~= "" and ARGV[13] or '{"seq":' .. told[1] .. "}"
return done(KEYS[1], KEYS[3], KEYS[4], ARGV[7], ARGV[9], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], answer)
