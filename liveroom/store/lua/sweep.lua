-- Finish the sessions of those who did not come back, and of a stream that ended, some at a time.
--
-- uses  fence, attend
--
-- KEYS[1]  sessions  hash: viewer -> JSON
-- KEYS[2]  pending   sorted set of viewers who are away, by when they count as gone
-- KEYS[3]  stream    hash: id, start, title, by; last, last_end, last_start; empty, ending, untold, closed
-- KEYS[4]  bells     sorted set: rooms by when they are to be swept
-- KEYS[5]  outbox    stream
-- KEYS[6]  cells     what keys of cells begin with
-- KEYS[7]  viewers   what keys of the distinct viewers begin with
-- ARGV[1]  room
-- ARGV[2]  grace in ms
-- ARGV[3]  id of the fact
-- ARGV[4]  how many at most
-- ARGV[5]  ms that a stream that began by itself may be empty
-- ARGV[6]  ms that any other may be empty
-- ARGV[7]  seconds to keep the cells of a stream that ended
-- ARGV[8]  1 if the room is closed
--
-- returns  {how many sessions were finished, the stream of whose end the room must still be told, or ""}

local roll = open_roll({ sessions = KEYS[1], pending = KEYS[2], stream = KEYS[3], bells = KEYS[4], outbox = KEYS[5],
    cells = KEYS[6], viewers = KEYS[7] }, { room = ARGV[1], now = server_ms(), grace = tonumber(ARGV[2]),
    fact = ARGV[3], stream = "" })
local most = tonumber(ARGV[4])
if ARGV[8] == "1" then
    roll.closed = true
    redis.call("HSET", KEYS[3], "closed", 1)
    if roll.id then
        end_stream(roll, roll.now)
        redis.call("HSET", KEYS[3], "ending", 0)
    end
end
sweep(roll, most)
local ending = redis.call("HGET", KEYS[3], "ending")
if ending then
    local page = redis.call("HSCAN", KEYS[1], ending, "COUNT", most)
    for i = 1, #page[2], 2 do
        local session = cjson.decode(page[2][i + 1])
        if session.stream ~= roll.id and redis.call("HEXISTS", KEYS[1], page[2][i]) == 1 then
            finish_old(roll, page[2][i], session)
        end
    end
    ending = page[1] ~= "0" and page[1] or nil
    if ending then
        redis.call("HSET", KEYS[3], "ending", ending)
    else
        redis.call("HDEL", KEYS[3], "ending")
        for _, field in ipairs(redis.call("HKEYS", KEYS[3])) do
            if string.sub(field, 1, 6) == "ended:" then
                redis.call("HDEL", KEYS[3], field)
            end
        end
    end
end
-- A stream without viewers ends when the last was gone: soon where it began by itself, else when it was forgotten.
local look
if roll.id and redis.call("HLEN", KEYS[1]) == 0 then
    redis.call("HSETNX", KEYS[3], "empty", roll.now)
    local is = redis.call("HMGET", KEYS[3], "empty", "by")
    look = tonumber(is[1]) + tonumber(is[2] == "" and ARGV[5] or ARGV[6])
    if roll.now >= look then
        end_stream(roll, tonumber(is[1]))
        redis.call("HDEL", KEYS[3], "empty")
        look = nil
        if is[2] ~= "" then
            redis.call("HSET", KEYS[3], "untold", roll.last)
        end
    end
end
for _, deed in ipairs(roll.last and { "", ":light", ":medium", ":heavy" } or {}) do
    redis.call("EXPIRE", KEYS[6] .. roll.last, ARGV[7])
    redis.call("EXPIRE", KEYS[7] .. roll.last .. deed, ARGV[7])
end
if roll.closed then
    redis.call("EXPIRE", KEYS[3], ARGV[7])
end
close_roll(roll, ending ~= nil, look)
return { #roll.facts, redis.call("HGET", KEYS[3], "untold") or "" }
