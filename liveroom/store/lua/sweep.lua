-- Finish the sessions of those who did not come back, and of a stream that ended, some at a time.
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
-- ARGV[1]  room
-- ARGV[2]  grace in ms
-- ARGV[3]  id of the fact
-- ARGV[4]  how many at most
-- ARGV[5]  ms that a stream that began by itself may be empty
--
-- ARGV[6]  seconds to keep the cells of a stream that ended
--
-- returns  how many sessions were finished

local roll = open_roll({ sessions = KEYS[1], pending = KEYS[2], stream = KEYS[3], bells = KEYS[4], outbox = KEYS[5],
    cells = KEYS[6], viewers = KEYS[7] }, { room = ARGV[1], now = server_ms(), grace = tonumber(ARGV[2]),
    fact = ARGV[3], stream = "" })
local most = tonumber(ARGV[4])
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
-- A stream that began by itself ends by itself.
local idle, empty = false, redis.call("HGET", KEYS[3], "empty")
if roll.id and redis.call("HGET", KEYS[3], "by") == "" and redis.call("HLEN", KEYS[1]) == 0 then
    if not empty then
        redis.call("HSET", KEYS[3], "empty", roll.now)
        idle = true
    elseif roll.now - tonumber(empty) >= tonumber(ARGV[5]) then
        end_stream(roll, tonumber(empty))
        redis.call("HDEL", KEYS[3], "empty")
    else
        idle = true
    end
end
for _, deed in ipairs(roll.last and { "", ":light", ":medium", ":heavy" } or {}) do
    redis.call("EXPIRE", KEYS[6] .. roll.last, ARGV[6])
    redis.call("EXPIRE", KEYS[7] .. roll.last .. deed, ARGV[6])
end
close_roll(roll, ending ~= nil)
if idle then
    redis.call("ZADD", KEYS[4], tonumber(empty or roll.now) + tonumber(ARGV[5]), ARGV[1])
end
return #roll.facts
