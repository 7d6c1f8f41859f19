-- Announce or open a new round and tell the room so, once per idempotency key.
--
-- uses  fence, tell, round
--
-- KEYS[1]  meta      hash: run, epoch, seq, ms, ctl
-- KEYS[2]  log       stream, ids <seq>-0
-- KEYS[3]  outbox    stream
-- KEYS[4]  bells     sorted set by due time in ms
-- KEYS[5]  live      hash: round -> what a late joiner is shown of it
-- KEYS[6]  round     hash
-- KEYS[7]  keywords  hash: kind and keyword -> round
-- KEYS[8]  info      hash: title, currency, state, created
-- KEYS[9]  once      string: what this idempotency key was answered
-- KEYS[10]  series   set of rounds
-- ARGV[1]  the move as JSON, see store/rounds.py
-- ARGV[2]  hash of the command, or empty where it has no idempotency key
-- ARGV[3]  room time in ms after which nothing is done
-- ARGV[4]  seconds to remember the idempotency key
-- ARGV[5]  most facts that may wait for the ledger
-- ARGV[6]  most live rounds of a room
--
-- returns  {0, round, ver, seq, ts} opened, {1, round} opened before, {1, ""} the key was used for something else
--          {-1} fenced, {-2} no such room, {-3} too late, {-4} the room is closed, {-6} the keyword is taken,
--          {-7} too much waits for the ledger, or too many rounds are live

local CLOSED, TAKEN, FULL = -4, -6, -7
local bar = barred(KEYS[1])
if bar ~= 0 then
    return { bar }
end
local move = cjson.decode(ARGV[1])
local before = ARGV[2] ~= "" and redis.call("GET", KEYS[9])
if before then
    local hash, round = string.match(before, "^(%S+) (%S+)$")
    return { 1, hash == ARGV[2] and round or "" }
end
if redis.call("HGET", KEYS[8], "state") ~= "open" then
    return { CLOSED }
end
if server_ms() > tonumber(ARGV[3]) then
    return { LATE }
end
if move.keyword ~= "" and redis.call("HEXISTS", KEYS[7], move.keyword) == 1 then
    return { TAKEN }
end
if redis.call("XLEN", KEYS[3]) > tonumber(ARGV[5]) or redis.call("HLEN", KEYS[5]) >= tonumber(ARGV[6]) then
    return { FULL }
end

local keys = { meta = KEYS[1], log = KEYS[2], outbox = KEYS[3], bells = KEYS[4], live = KEYS[5], round = KEYS[6] }
keys.keywords, keys.lost = KEYS[7], {}
if move.keyword ~= "" then
    redis.call("HSET", KEYS[7], move.keyword, move.round)
    redis.call("HSET", KEYS[6], "keyword", move.keyword)
end
if move.series ~= "" then
    redis.call("SADD", KEYS[10], move.round)
    redis.call("EXPIRE", KEYS[10], move.keep_round)
end
redis.call("HSET", KEYS[6], "kind", move.kind, "by", move.by, "command", move.first, "opened_at", 0, "times", 0,
    "epoch", redis.call("HGET", KEYS[1], "epoch"))
if ARGV[2] ~= "" then
    redis.call("SET", KEYS[9], ARGV[2] .. " " .. move.round, "EX", ARGV[4])
end
local done = change(keys, move)
return { 0, move.round, done[1], done[2], done[3] }
