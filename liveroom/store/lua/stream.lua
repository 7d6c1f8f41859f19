-- Begin or end a stream: whoever is here when it ends has not left.
--
-- uses  fence, attend
--
-- KEYS[1]  stream  hash: id, start, title, by; last, last_end, last_start; began_by, ended_by, closed
-- KEYS[2]  bells   sorted set: rooms by when they are to be swept
-- ARGV[1]  room
-- ARGV[2]  id of a stream that begins, or empty
-- ARGV[3]  title
-- ARGV[4]  who says so
-- ARGV[5]  when, clock time of the server in ms
-- ARGV[6]  what is said again when this is sent again, or empty
--
-- returns  {0, id, when} done, {1, id, when it began} one that was begun by somebody runs, {2} none runs,
--          {3} none begins any more: the room is closed

local now = math.min(tonumber(ARGV[5]), server_ms())
local is = redis.call("HMGET", KEYS[1], "id", "start", "by", "closed")
local running = is[1] and is[3] ~= ""
local word = ARGV[2] ~= "" and "began_by" or "ended_by"
if ARGV[6] ~= "" and redis.call("HGET", KEYS[1], word) == ARGV[6] then
    return { 0, redis.call("HGET", KEYS[1], word .. "_id"), now }
end
if ARGV[2] ~= "" and running then
    return { 1, is[1], tonumber(is[2]) }
elseif ARGV[2] == "" and not is[1] then
    return { 2 }
elseif ARGV[2] ~= "" and is[4] then
    return { 3 }
end
local roll = open_roll({ stream = KEYS[1] }, { now = now })
end_stream(roll, now)
redis.call("HSET", KEYS[1], "ending", 0, word, ARGV[6], word .. "_id", ARGV[2] ~= "" and ARGV[2] or roll.last or "")
redis.call("ZADD", KEYS[2], now, ARGV[1])
if ARGV[2] ~= "" then
    begin_stream(roll, ARGV[2], now, ARGV[3], ARGV[4])
    return { 0, ARGV[2], now }
end
return { 0, roll.last, now }
