-- Move a round on, if nothing moved it since the move was decided on; once per idempotency key.
--
-- uses  fence, tell, round, sale
--
-- KEYS[1]  meta      hash: run, epoch, seq, ms, ctl
-- KEYS[2]  log       stream, ids <seq>-0
-- KEYS[3]  outbox    stream
-- KEYS[4]  bells     sorted set by due time in ms
-- KEYS[5]  live      hash: round -> what a late joiner is shown of it
-- KEYS[6]  round     hash
-- KEYS[7]  keywords  hash: kind and keyword -> round
-- KEYS[8]  inboxes   set of viewers who have letters
-- KEYS[9]  once      string: what this idempotency key was answered
-- KEYS[10...]  what inboxes begin with, holds, idems, due, queue, who, offers, refunds and buyers of a sale; then an
--              inbox for each letter of the move, and for each who loses; then the keys that are forgotten some time
--              after the end
-- ARGV[1]  the move as JSON, see store/rounds.py
-- ARGV[2]  the revision it was decided on
-- ARGV[3]  room time in ms after which nothing is done, or 0
-- ARGV[4]  hash of the command, or empty where it has no idempotency key
-- ARGV[5]  seconds to remember the idempotency key
--
-- returns  {0, ver, seq, ts, state} moved, {1, ver, state} something else moved it, {2, ver, state} moved before,
--          {2, -1, ""} the key was used for something else
--          {-1} fenced, {-2} no such room, {-3} too late, or the room is still being rebuilt, {-8} no such round

local NO_ROUND, SALE, FIRST = -8, 10, 19
local bar = barred(KEYS[1])
if bar ~= 0 then
    return { bar }
end
local move = cjson.decode(ARGV[1])
local is = redis.call("HMGET", KEYS[6], "rev", "state", "ver")
if not is[1] then
    return { NO_ROUND }
end
local before = ARGV[4] ~= "" and redis.call("GET", KEYS[9])
if before then
    local hash, ver, state = string.match(before, "^(%S+) (%S+) (%S+)$")
    return { 2, hash == ARGV[4] and tonumber(ver) or -1, hash == ARGV[4] and state or "" }
end
if is[1] ~= ARGV[2] then
    return { 1, tonumber(is[3]), is[2] }
end
local late = tonumber(ARGV[3]) > 0 and server_ms() > tonumber(ARGV[3])
if late or (move.kind == "sale" and move.to == "open" and redis.call("HEXISTS", KEYS[1], "rebuild") == 1) then
    return { LATE }
end

local keys = { meta = KEYS[1], log = KEYS[2], outbox = KEYS[3], bells = KEYS[4], live = KEYS[5], round = KEYS[6] }
keys.keywords, keys.inboxes, keys.inbox, keys.lost, keys.ends = KEYS[7], KEYS[8], {}, {}, {}
for n, name in ipairs({ "letters", "holds", "idems", "due", "queue", "who", "offers", "refunds", "buyers" }) do
    keys[name] = KEYS[SALE + n - 1]
end
for i = FIRST, #KEYS do
    local n = i - FIRST + 1
    local list = n <= #move.letters and keys.inbox or n <= #move.letters + move.losers and keys.lost or keys.ends
    table.insert(list, KEYS[i])
end
local done = change(keys, move)
local ver, state = done[1], move.to
if move.kind == "sale" then
    local book = open_book(keys, { room = move.room, round = move.round, channel = move.channel,
        fact = move.fact .. "s", log_length = move.log_length, keep_letters = move.keep_letters,
        offer_ms = move.offer_ms, show_ms = move.show_ms })
    book.changed, book.moved = true, true
    offer(book)
    close_book(book)
    ver, state = book.ver, book.state
end
if ARGV[4] ~= "" then
    redis.call("SET", KEYS[9], ARGV[4] .. " " .. ver .. " " .. state, "EX", ARGV[5])
end
return { 0, ver, done[2], done[3], state }
