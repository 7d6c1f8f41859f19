-- Delete comments, by their ids or all of a viewer's: they are pinned no longer, and everybody is told.
--
-- uses  fence, command, tell
--
-- KEYS[1]  meta    hash: run, epoch, seq, ms, ctl
-- KEYS[2]  info    hash: title, currency, state, created
-- KEYS[3]  outbox  stream
-- KEYS[4]  once    string: what this idempotency key was answered
-- KEYS[5]  log     stream, ids <seq>-0
-- KEYS[6]  board   hash: what a late joiner is shown
-- KEYS[7]  staff   hash: who was seen with which role
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
-- ARGV[12]  whose comments, or empty
-- ARGV[13...]  ids of comments
--
-- returns  {0, answer} done now, {1, answer} done before, {1, ""} the key was used for something else
--          {-1} fenced, {-2} no such room, {-3} too late, {-4} the room is closed
--          {-6} a moderator cannot act on a host

local before = answered(KEYS[1], KEYS[2], KEYS[4], ARGV[7], ARGV[8])
if before then
    return before
end
local target = ARGV[12] ~= "" and redis.call("HGET", KEYS[7], ARGV[12])
if ARGV[5] == "moderator" and (target == "host" or target == "service") then
    return { -6 }
end
for n = 13, #ARGV do
    redis.call("HDEL", KEYS[6], "pin " .. ARGV[n])
end
local board = ARGV[12] ~= "" and redis.call("HGETALL", KEYS[6]) or {}
for n = 1, #board, 2 do
    if string.sub(board[n], 1, 4) == "pin " and cjson.decode(board[n + 1]).comment.from == ARGV[12] then
        redis.call("HDEL", KEYS[6], board[n])
    end
end
local told = tell(KEYS[1], KEYS[5], KEYS[3], ARGV[1], ARGV[10], ARGV[2], ARGV[3], ARGV[4], ARGV[11])
local answer = '{"seq":' .. told[1] .. "}"
return done(KEYS[1], KEYS[3], KEYS[4], ARGV[7], ARGV[9], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], answer)
