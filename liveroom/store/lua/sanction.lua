-- Impose a ban or a mute, or lift it, and tell every node.
--
-- uses  fence, command
--
-- KEYS[1]  meta       hash: run, epoch, seq, ms, ctl
-- KEYS[2]  info       hash: title, currency, state, created
-- KEYS[3]  outbox     stream
-- KEYS[4]  once       string: what this idempotency key was answered
-- KEYS[5]  sanctions  hash: name -> JSON
-- KEYS[6]  ends       sorted set: names by the room time in ms at which they end
-- KEYS[7]  staff      hash: who was seen with which role
-- ARGV[1]  channel
-- ARGV[2]  id of the fact
-- ARGV[3]  room id
-- ARGV[4]  who commands it
-- ARGV[5]  his role
-- ARGV[6]  his command, JSON
-- ARGV[7]  hash of the command, or empty where it has no idempotency key
-- ARGV[8]  room time in ms after which nothing is done
-- ARGV[9]  seconds to remember the idempotency key
-- ARGV[10]  whom it concerns
-- ARGV[11]  name of the sanction
-- ARGV[12]  the sanction as JSON, or empty to lift it
-- ARGV[13]  when it ends, room time in ms, or 0
-- ARGV[14]  what the nodes are told of it: JSON fields
-- ARGV[15]  the answer, JSON
-- ARGV[16]  how many sanctions a room keeps at most
--
-- returns  {0, answer} done now, {1, answer} done before, {1, ""} the key was used for something else
--          {-1} fenced, {-2} no such room, {-3} too late, {-4} the room is closed
--          {-6} a moderator cannot act on a host, {-7} there are too many sanctions

local before = answered(KEYS[1], KEYS[2], KEYS[4], ARGV[7], ARGV[8])
if before then
    return before
end
local target = redis.call("HGET", KEYS[7], ARGV[10])
if ARGV[5] == "moderator" and (target == "host" or target == "service") then
    return { -6 }
end
for _, name in ipairs(redis.call("ZRANGEBYSCORE", KEYS[6], "-inf", room_ms(KEYS[1]), "LIMIT", 0, 100)) do
    redis.call("HDEL", KEYS[5], name)
    redis.call("ZREM", KEYS[6], name)
end
local known = redis.call("HEXISTS", KEYS[5], ARGV[11]) == 1
if ARGV[12] ~= "" and not known and redis.call("HLEN", KEYS[5]) >= tonumber(ARGV[16]) then
    return { -7 }
end
redis.call("HSET", KEYS[7], ARGV[4], ARGV[5])
redis.call("ZREM", KEYS[6], ARGV[11])
if ARGV[12] == "" then
    redis.call("HDEL", KEYS[5], ARGV[11])
else
    redis.call("HSET", KEYS[5], ARGV[11], ARGV[12])
    if ARGV[13] ~= "0" then
        redis.call("ZADD", KEYS[6], ARGV[13], ARGV[11])
    end
end
if known or ARGV[12] ~= "" then
    local ctl = redis.call("HINCRBY", KEYS[1], "ctl", 1)
    local epoch = redis.call("HGET", KEYS[1], "epoch")
    redis.call("PUBLISH", ARGV[1], '{"epoch":"' .. epoch .. '","ctl":' .. ctl .. "," .. ARGV[14] .. "}")
end
return done(KEYS[1], KEYS[3], KEYS[4], ARGV[7], ARGV[9], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[15])
