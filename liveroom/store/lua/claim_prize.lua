-- Note that a winner takes his prize, if the round is still as it was when that was judged.
--
-- uses  fence
--
-- KEYS[1]  meta    hash: run, epoch, seq, ms, ctl
-- KEYS[2]  round   hash
-- KEYS[3]  claims  hash: viewer -> when
-- KEYS[4]  outbox  stream
-- ARGV[1]  room id
-- ARGV[2]  round id
-- ARGV[3]  id of the fact
-- ARGV[4]  the version it was judged at
-- ARGV[5]  viewer
-- ARGV[6]  room time in ms at which the command came in
-- ARGV[7]  until when it counts, room time in ms
--
-- returns  {0, how many have claimed} claimed now or before, {1, how many} the round moved on
--          {-1} fenced, {-2} no such room, {-3} too late

local bar = barred(KEYS[1])
if bar ~= 0 then
    return { bar }
end
if not redis.call("HGET", KEYS[3], ARGV[5]) then
    local now = room_ms(KEYS[1])
    if redis.call("HGET", KEYS[2], "ver") ~= ARGV[4] then
        return { 1, redis.call("HLEN", KEYS[3]) }
    elseif now > tonumber(ARGV[6]) + 2000 or math.min(now, tonumber(ARGV[6])) > tonumber(ARGV[7]) then
        return { LATE }
    end
    redis.call("HSET", KEYS[3], ARGV[5], now)
    redis.call("XADD", KEYS[4], "*", "id", ARGV[3], "room", ARGV[1], "what", "claims", "round", ARGV[2],
        "claims", "[[" .. cjson.encode(ARGV[5]) .. "," .. string.format("%.0f", now) .. "]]")
end
return { 0, redis.call("HLEN", KEYS[3]) }
