-- Pin a comment until some time, or take its pin away.
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
-- ARGV[12]  id of the comment
-- ARGV[13]  the pin as a late joiner is shown it, JSON, or empty to take it away
-- ARGV[14]  how many pins there are at most
--
-- returns  {0, answer} done now, {1, answer} done before, {1, ""} the key was used for something else
--          {-1} fenced, {-2} no such room, {-3} too late, {-4} the room is closed, {-7} there are too many pins

local before = answered(KEYS[1], KEYS[2], KEYS[4], ARGV[7], ARGV[8])
if before then
    return before
end
local name, pins, now = "pin " .. ARGV[12], 0, room_ms(KEYS[1])
local board = redis.call("HGETALL", KEYS[6])
for n = 1, #board, 2 do
    if string.sub(board[n], 1, 4) == "pin " then
        if cjson.decode(board[n + 1])["until"] <= now then
            redis.call("HDEL", KEYS[6], board[n])
        elseif board[n] ~= name then
            pins = pins + 1
        end
    end
end
local pinned, answer = redis.call("HEXISTS", KEYS[6], name) == 1, "{}"
if ARGV[13] ~= "" and pins >= tonumber(ARGV[14]) then
    return { -7 }
end
if ARGV[13] ~= "" then
    redis.call("HSET", KEYS[6], name, ARGV[13])
else
    redis.call("HDEL", KEYS[6], name)
end
if pinned or ARGV[13] ~= "" then
    local told = tell(KEYS[1], KEYS[5], KEYS[3], ARGV[1], ARGV[10], ARGV[2], ARGV[3], ARGV[4], ARGV[11])
    answer = '{"seq":' .. told[1] .. "}"
end
return done(KEYS[1], KEYS[3], KEYS[4], ARGV[7], ARGV[9], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], answer)
