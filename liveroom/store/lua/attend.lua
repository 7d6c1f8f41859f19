-- Note who came to and who left one node, in their order, as sessions.
--
-- uses  fence, attend
--
-- KEYS[1]  sessions  hash: viewer -> JSON
-- KEYS[2]  pending   sorted set of viewers who are away, by when they count as gone
-- KEYS[3]  stream    hash: id, start, title, by; last, last_end, last_start
-- KEYS[4]  bells     sorted set: rooms by when they are to be swept
-- KEYS[5]  outbox    stream
-- KEYS[6]  cells     what keys of cells begin with
-- KEYS[7]  viewers   what keys of the distinct viewers begin with
-- KEYS[8]  last      hash: node -> the newest batch that was counted
-- ARGV[1]  room
-- ARGV[2]  node
-- ARGV[3]  number of this batch
-- ARGV[4]  grace in ms
-- ARGV[5]  id of the fact, and of a stream that begins by itself
-- ARGV[6]  JSON: a list with five for each: "join", "leave" or "act", viewer, when (clock time of the server in ms), his
--          source, why he left or how he took part, of a join 1 if his token names the source, of a leave the RTT in ms
--
-- returns  {the id of the stream that runs, or "", when it began}: also where this batch was counted before

if tonumber(redis.call("HGET", KEYS[8], ARGV[2]) or "0") >= tonumber(ARGV[3]) then
    local is = redis.call("HMGET", KEYS[3], "id", "start")
    return { is[1] or "", tonumber(is[2] or "0") }
end
redis.call("HSET", KEYS[8], ARGV[2], ARGV[3])
redis.call("EXPIRE", KEYS[8], 3600) -- a batch is not sent again for so long
local now = server_ms()
local roll = open_roll({ sessions = KEYS[1], pending = KEYS[2], stream = KEYS[3], bells = KEYS[4], outbox = KEYS[5],
    cells = KEYS[6], viewers = KEYS[7] }, { room = ARGV[1], now = now, grace = tonumber(ARGV[4]), fact = ARGV[5],
    stream = "s_" .. ARGV[5] })
for _, row in ipairs(cjson.decode(ARGV[6])) do
    local what, viewer, when, word, number = unpack(row)
    when = math.min(when, now)
    if what == "join" then
        join(roll, viewer, ARGV[2], word, number == 1, when)
    elseif what == "act" then
        act(roll, viewer, word, when)
    else
        leave(roll, viewer, ARGV[2], when, word, number)
    end
end
close_roll(roll, false)
return { roll.id or "", roll.start }
