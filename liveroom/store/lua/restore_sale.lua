-- Bring a sale up to what is remembered of it elsewhere: make it, paused, if it is lost, and take in newer holds.
--
-- uses  fence, tell, round, sale
--
-- KEYS[1]   meta     hash: run, epoch, seq, ms, ctl
-- KEYS[2]   log      stream, ids <seq>-0
-- KEYS[3]   outbox   stream
-- KEYS[4]   bells    sorted set by due time in ms
-- KEYS[5]   live     hash: round -> what a late joiner is shown of it
-- KEYS[6]   round    hash
-- KEYS[7]   holds    hash: hold -> JSON
-- KEYS[8]   idems    hash: viewer and idempotency key -> "qty JSON" of what was answered
-- KEYS[9]   due      sorted set by time in ms: holds, and "offer:<viewer>"
-- KEYS[10]  queue    sorted set of viewers who wait
-- KEYS[11]  who      hash: viewer -> "units JSON"
-- KEYS[12]  offers   hash: viewer -> JSON
-- KEYS[13]  refunds  set: hold and payment that got nothing
-- KEYS[14]  buyers   hash: viewer -> how many orders in this room
-- KEYS[15]  inboxes  set of viewers who have letters
-- KEYS[16]  letters  what keys of inboxes begin with
-- ARGV[1]   JSON: room, round, channel, fact, log_length, keep_letters, offer_ms, show_ms, bell_ms, and
--           refunds as they are kept
-- ARGV[2]   JSON: the fields of a sale that is lost, or empty
-- ARGV[3]   1 if the holds are news to the ledger
-- ARGV[4...]  holds as JSON
--
-- returns  {how many holds were taken in, 1 if the sale was made}
--          {-1} fenced, {-2} no such room, {-8} no such sale

local NO_ROUND = -8
local bar = barred(KEYS[1])
if bar ~= 0 then
    return { bar }
end
local at = { meta = KEYS[1], log = KEYS[2], outbox = KEYS[3], bells = KEYS[4], live = KEYS[5], round = KEYS[6],
    holds = KEYS[7], idems = KEYS[8], due = KEYS[9], queue = KEYS[10], who = KEYS[11], offers = KEYS[12],
    refunds = KEYS[13], buyers = KEYS[14], inboxes = KEYS[15], letters = KEYS[16] }
local about, made = cjson.decode(ARGV[1]), 0
if redis.call("EXISTS", at.round) == 0 then
    if ARGV[2] == "" then
        return { NO_ROUND }
    end
    made = 1
    for field, value in pairs(cjson.decode(ARGV[2])) do
        redis.call("HSET", at.round, field, value)
    end
end
local book = open_book(at, about)

-- Its units count as what the hold is now, instead of what it was.
local function count(hold, sign)
    if hold.state == "held" or hold.state == "sold" then
        book[hold.state], book.free = book[hold.state] + sign * hold.qty, book.free - sign * hold.qty
        if hold.state == "sold" then
            redis.call("HINCRBY", at.buyers, hold.viewer, sign)
        end
        return sign * hold.qty
    end
    return 0
end

local function show_part(hold, more)
    local taken, parts = part_of(book, hold.viewer)
    local part = (hold.state == "held" or hold.state == "sold") and { hold = hold.hold, ["until"] = hold["until"],
        qty = hold.qty, order = hold.state == "sold" and hold.order or nil,
        rank = hold.state == "sold" and hold.rank or nil } or nil
    keep_part(book, hold.viewer, taken + more, with_part(parts, "hold", hold.hold, part))
end

local function take_in(text)
    local hold = cjson.decode(text)
    local kept = redis.call("HGET", at.holds, hold.hold)
    local was = kept and cjson.decode(kept)
    if was and was.v >= hold.v then
        return 0
    end
    local more = (was and count(was, -1) or 0) + count(hold, 1)
    redis.call("HSET", at.holds, hold.hold, text)
    redis.call(hold.state == "held" and "ZADD" or "ZREM", at.due, unpack(
        hold.state == "held" and { hold["until"], hold.hold } or { hold.hold }))
    if hold.idem and hold.idem ~= "" then
        redis.call("HSETNX", at.idems, #hold.viewer .. ":" .. hold.viewer .. ":" .. hold.idem, hold.qty
            .. ' {"hold":"' .. hold.hold .. '","until":' .. string.format("%.0f", hold["until"])
            .. ',"qty":' .. hold.qty .. "}")
    end
    book.ranks = math.max(book.ranks, hold.rank or 0)
    show_part(hold, more)
    if ARGV[3] == "1" then
        table.insert(book.holds, text)
    end
    return 1
end

local taken = 0
for i = 4, #ARGV do
    taken = taken + take_in(ARGV[i])
end
if book.free < 0 then -- what was acknowledged was there
    local stock = book.stock - book.free
    book.opened = string.gsub(book.opened, '"stock":%d+', '"stock":' .. string.format("%.0f", stock), 1)
    redis.call("HSET", at.round, "stock", stock, "opened", book.opened)
    book.free = 0
end
for _, refund in ipairs(about.refunds) do
    redis.call("SADD", at.refunds, refund)
end
book.changed = made == 1 or taken > 0
local news = made == 1 or taken > 0
if (news or book.halted) and (book.state == "open" or book.state == "sold_out") then
    book.state, book.changed = "paused", true
    redis.call("HSET", at.round, "state", "paused")
    redis.call("HINCRBY", at.round, "rev", 1)
    tell(at.meta, at.log, at.outbox, about.channel, '{"t":"sale.paused","id":"' .. about.round
        .. '","reason":"after a failure; the host resumes it"}', about.fact, about.room, "", about.log_length)
end
close_book(book)
if book.changed then
    redis.call("HSET", at.meta, "anew", 1)
    local move = { room = about.room, round = about.round, kind = "sale", to = book.state, fact = about.fact,
        wins = "", loses = "" }
    local over = book.state == "closed" or book.state == "cancelled"
    move.ends = over and book.held == 0
    hang(at, move, book.ver)
    note_round(at, move, { ver = book.ver, at = book.now })
    if book.state == "announced" then
        ring_at(book, "open", book.opens)
    elseif not over then
        ring_at(book, "close", book.closes + about.bell_ms)
    elseif book.held > 0 then
        ring_at(book, "settle", book.now)
    end
end
return { taken, made }
