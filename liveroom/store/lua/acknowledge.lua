-- Take letters that were read out of an inbox.
--
-- KEYS[1]  inbox    hash: id -> letter
-- KEYS[2]  inboxes  set of viewers who have letters
-- ARGV[1]  viewer
-- ARGV[2...]  ids of letters
--
-- returns  how many letters are left

for i = 2, #ARGV do
    redis.call("HDEL", KEYS[1], ARGV[i])
end
local left = redis.call("HLEN", KEYS[1])
if left == 0 then
    redis.call("SREM", KEYS[2], ARGV[1])
end
return left
