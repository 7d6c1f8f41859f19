-- Put back bans and mutes that the server has lost; what is there by now stays as it is.
--
-- uses  fence
--
-- KEYS[1]  meta       hash: run, epoch, seq, ms, ctl
-- KEYS[2]  sanctions  hash: name -> JSON
-- KEYS[3]  ends       sorted set: names by the room time in ms at which they end
-- ARGV[1...]  three for each: name; JSON; when it ends, room time in ms, or 0
--
-- returns  how many were put back
--          {-1} fenced, {-2} no such room

local bar = barred(KEYS[1])
if bar ~= 0 then
    return { bar }
end
local count, now = 0, room_ms(KEYS[1])
for n = 1, #ARGV, 3 do
    local ends = tonumber(ARGV[n + 2])
    if (ends == 0 or ends > now) and redis.call("HSETNX", KEYS[2], ARGV[n], ARGV[n + 1]) == 1 then
        count = count + 1
        if ends > 0 then
            redis.call("ZADD", KEYS[3], ends, ARGV[n])
        end
    end
end
if count > 0 then
    redis.call("HINCRBY", KEYS[1], "ctl", 1)
end
return count
