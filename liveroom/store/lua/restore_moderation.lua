-- Put back bans, mutes and settings that the server has lost; what is there by now stays as it is.
--
-- uses  fence
--
-- KEYS[1]  meta       hash: run, epoch, seq, ms, ctl
-- KEYS[2]  sanctions  hash: name -> JSON
-- KEYS[3]  ends       sorted set: names by the room time in ms at which they end
-- KEYS[4]  board      hash: what a late joiner is shown
-- ARGV[1]  the settings as they are told, JSON, or empty
-- ARGV[2]  rate
-- ARGV[3]  words, a JSON array
-- ARGV[4...]  three for each sanction: name; JSON; when it ends, room time in ms, or 0
--
-- returns  how many were put back
--          {-1} fenced, {-2} no such room

local bar = barred(KEYS[1])
if bar ~= 0 then
    return { bar }
end
local count, now = 0, room_ms(KEYS[1])
for n = 4, #ARGV, 3 do
    local ends = tonumber(ARGV[n + 2])
    if (ends == 0 or ends > now) and redis.call("HSETNX", KEYS[2], ARGV[n], ARGV[n + 1]) == 1 then
        count = count + 1
        if ends > 0 then
            redis.call("ZADD", KEYS[3], ends, ARGV[n])
        end
    end
end
if ARGV[1] ~= "" and redis.call("HSETNX", KEYS[4], "settings", ARGV[1]) == 1 then
    redis.call("HSET", KEYS[4], "rate", ARGV[2], "words", ARGV[3])
    count = count + 1
end
if count > 0 then
    redis.call("HINCRBY", KEYS[1], "ctl", 1)
end
return count
