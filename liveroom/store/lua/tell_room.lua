-- Tell an open room a ledger event, once per idempotency key, and hang it on the board if asked to.
--
-- uses  fence, tell
--
-- KEYS[1]  meta    hash: run, epoch, seq, ms, ctl
-- KEYS[2]  info    hash: title, currency, state, created
-- KEYS[3]  log     stream, ids <seq>-0
-- KEYS[4]  outbox  stream
-- KEYS[5]  board   hash: what a late joiner is shown
-- KEYS[6]  once    string: what this idempotency key was answered
-- ARGV[1]  channel
-- ARGV[2]  event, a JSON object without seq and ts
-- ARGV[3]  id of the fact
-- ARGV[4]  room id
-- ARGV[5]  who tells it
-- ARGV[6]  about how many events the log keeps
-- ARGV[7]  field of the board, or empty
-- ARGV[8]  hash of the command, or empty where it has no idempotency key
-- ARGV[9]  room time in ms after which nothing is done
-- ARGV[10]  seconds to remember the idempotency key
-- ARGV[11]  role of who tells it
-- ARGV[12]  his command, JSON
--
-- returns  {seq, ts, 0} told now, {seq, ts, 1} told before, {0, 0, 1} the key was used for something else
--          {-1} fenced, {-2} no such room, {-3} too late, {-4} the room is closed

local CLOSED = -4
local bar = barred(KEYS[1])
if bar ~= 0 then
    return { bar }
end
local before = ARGV[8] ~= "" and redis.call("GET", KEYS[6])
if before then
    local hash, seq, ts = string.match(before, "^(%S+) (%d+) (%d+)$")
    if hash ~= ARGV[8] then
        return { 0, 0, 1 }
    end
    return { tonumber(seq), tonumber(ts), 1 }
end
if redis.call("HGET", KEYS[2], "state") ~= "open" then
    return { CLOSED }
end
if server_ms() > tonumber(ARGV[9]) then
    return { LATE }
end

local told = tell(KEYS[1], KEYS[3], KEYS[4], ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6])
redis.call("XADD", KEYS[4], "*", "id", ARGV[3] .. "c", "room", ARGV[4], "what", "command", "round", "", "actor", ARGV[5],
    "role", ARGV[11], "at", told[2], "before", 0, "after", 0, "body", ARGV[12])
if ARGV[7] ~= "" then
    redis.call("HSET", KEYS[5], ARGV[7], '{"seq":' .. told[1] .. ',"ts":' .. told[2] .. "," .. string.sub(ARGV[2], 2))
end
if ARGV[8] ~= "" then
    redis.call("SET", KEYS[6], ARGV[8] .. " " .. told[1] .. " " .. told[2], "EX", ARGV[10])
end
return { told[1], told[2], 0 }
