-- Move a round on, if it is still at the version that the move was decided on.
--
-- uses  fence, tell, round
--
-- KEYS[1]  meta      hash: run, epoch, seq, ms, ctl
-- KEYS[2]  log       stream, ids <seq>-0
-- KEYS[3]  outbox    stream
-- KEYS[4]  bells     sorted set by due time in ms
-- KEYS[5]  live      hash: round -> what a late joiner is shown of it
-- KEYS[6]  round     hash
-- KEYS[7]  keywords  hash: kind and keyword -> round
-- KEYS[8]  inboxes   set of viewers who have letters
-- KEYS[9...]  an inbox for each letter of the move, and for each who loses; then the keys that are forgotten some time
--             after the end
-- ARGV[1]  the move as JSON, see store/rounds.py
-- ARGV[2]  the version it was decided on
-- ARGV[3]  room time in ms after which nothing is done, or 0
--
-- returns  {0, ver, seq, ts} moved, {1, ver, state} it is at another version by now
--          {-1} fenced, {-2} no such room, {-3} too late, {-8} no such round

local NO_ROUND = -8
local bar = barred(KEYS[1])
if bar ~= 0 then
    return { bar }
end
local move = cjson.decode(ARGV[1])
local is = redis.call("HMGET", KEYS[6], "ver", "state")
if not is[1] then
    return { NO_ROUND }
end
if is[1] ~= ARGV[2] then
    return { 1, tonumber(is[1]), is[2] }
end
if tonumber(ARGV[3]) > 0 and server_ms() > tonumber(ARGV[3]) then
    return { LATE }
end

local keys = { meta = KEYS[1], log = KEYS[2], outbox = KEYS[3], bells = KEYS[4], live = KEYS[5], round = KEYS[6] }
keys.keywords, keys.inboxes, keys.inbox, keys.lost, keys.ends = KEYS[7], KEYS[8], {}, {}, {}
for i = 9, #KEYS do
    local n = i - 8
    local list = n <= #move.letters and keys.inbox or n <= #move.letters + move.losers and keys.lost or keys.ends
    table.insert(list, KEYS[i])
end
local done = change(keys, move, tonumber(ARGV[2]))
return { 0, done[1], done[2], done[3] }
