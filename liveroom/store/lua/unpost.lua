-- Take mentions in comments that were deleted out of their inboxes, a page of them at a time.
--
-- KEYS[1]  mail     sorted set: "id viewer" of the newest mentions by number; they stay, so that none is posted again
-- KEYS[2]  inboxes  set of viewers who have letters
-- KEYS[3]  letters  what keys of inboxes begin with
-- ARGV[1]  number behind which the page begins
-- ARGV[2]  how many it has at most
-- ARGV[3]  whose comments, or empty
-- ARGV[4...]  ids of letters
--
-- returns  the number behind which the next page begins, or 0 if there is none

local wanted = {}
for n = 4, #ARGV do
    wanted[ARGV[n]] = true
end
local page = redis.call("ZRANGEBYSCORE", KEYS[1], "(" .. ARGV[1], "+inf", "WITHSCORES", "LIMIT", 0, ARGV[2])
for n = 1, #page, 2 do
    local id, viewer = string.match(page[n], "^(%S+) (.*)$")
    local inbox = KEYS[3] .. viewer
    local letter = ARGV[3] ~= "" and redis.call("HGET", inbox, id)
    if wanted[id] or (letter and cjson.decode(string.match(letter, "^%S+ %S+ (.*)$")).by == ARGV[3]) then
        redis.call("HDEL", inbox, id)
        if redis.call("EXISTS", inbox) == 0 then
            redis.call("SREM", KEYS[2], viewer)
        end
    end
end
return #page < 2 * tonumber(ARGV[2]) and 0 or tonumber(page[#page])
