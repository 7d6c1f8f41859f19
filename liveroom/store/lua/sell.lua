-- Decide what viewers and the shop ask of a sale, one after the other in the order in which they came.
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
-- ARGV[1]   JSON: room, round, channel, fact, log_length, keep_letters, offer_ms, show_ms, grace
-- ARGV[2...]  eight for each wish: verb, viewer, name, hold, quantity, idempotency key or payment, room time in ms at
--             which it came in, what else (when it was paid, or why)
--
-- returns  {ver, state, opens_at, closes_at, free, held, per_viewer, the holds that changed as JSON, then two for each
--          wish: how it went, JSON or ""}
--          how: 0 done, 1 done before, and why not: see store/sales.py
--          {-1} fenced, {-2} no such room, {-8} no such sale, {-13} the room is still being rebuilt

local NO_ROUND, REBUILD, EARLY, CLOSED, TOO_LATE, PAUSED, SOLD_OUT, LIMIT = -8, -13, -1, -2, -3, -4, -5, -6
local MISMATCH, NO_HOLD, EXPIRED, WRONG, PAID = -7, -9, -10, -11, -12
local bar = barred(KEYS[1])
if bar ~= 0 then
    return { bar }
end
local at = { meta = KEYS[1], log = KEYS[2], outbox = KEYS[3], bells = KEYS[4], live = KEYS[5], round = KEYS[6],
    holds = KEYS[7], idems = KEYS[8], due = KEYS[9], queue = KEYS[10], who = KEYS[11], offers = KEYS[12],
    refunds = KEYS[13], buyers = KEYS[14], inboxes = KEYS[15], letters = KEYS[16] }
local about = cjson.decode(ARGV[1])
local book = open_book(at, about)
if not book then
    return { redis.call("HEXISTS", at.meta, "rebuild") == 1 and REBUILD or NO_ROUND }
end
local verbs = {}

-- 0, or why nothing may be claimed: what counts is when the command came in.
local function judge(came)
    if book.now > came + 2000 then
        return TOO_LATE
    elseif book.state == "closed" or book.state == "cancelled" or came > book.closes + about.grace then
        return CLOSED
    elseif book.state == "paused" or book.halted then
        return PAUSED
    end
    return came < book.opens and EARLY or 0
end

function verbs.claim(wish)
    local key = #wish.viewer .. ":" .. wish.viewer .. ":" .. wish.word
    local before = wish.word ~= "" and redis.call("HGET", at.idems, key)
    if before then
        local qty, answer = string.match(before, "^(%d+) (.*)$")
        return tonumber(qty) == wish.qty and 1 or MISMATCH, answer
    end
    local why = judge(wish.at)
    if why ~= 0 then
        return why
    end
    local offered = redis.call("HEXISTS", at.offers, wish.viewer)
    local short, many = book.free + offered < wish.qty, wish.qty > book.per_viewer
    if short and not many and redis.call("HEXISTS", at.who, wish.viewer) == 0 then
        return SOLD_OUT
    end
    local taken, parts = part_of(book, wish.viewer)
    if taken + wish.qty > book.per_viewer then
        return LIMIT, cjson.encode(parts)
    elseif short then
        return SOLD_OUT
    elseif offered == 1 then
        end_offer(book, wish.viewer)
        parts = with_part(parts, "offered", true, nil)
    end
    local ends = book.now + book.hold_ms
    book.free, book.held = book.free - wish.qty, book.held + wish.qty
    keep_hold(book, { hold = wish.hold, viewer = wish.viewer, name = wish.name, qty = wish.qty, state = "held",
        ["until"] = ends, made = book.now, idem = wish.word })
    redis.call("ZADD", at.due, ends, wish.hold)
    redis.call("ZREM", at.queue, wish.viewer)
    parts = with_part(parts, "waiting", true, { hold = wish.hold, ["until"] = ends, qty = wish.qty })
    keep_part(book, wish.viewer, taken + wish.qty, parts)
    local answer = '"hold":"' .. wish.hold .. '","until":' .. string.format("%.0f", ends) .. ',"qty":' .. wish.qty
    if wish.word ~= "" then
        redis.call("HSET", at.idems, key, wish.qty .. " {" .. answer .. "}")
    end
    whisper(book, wish.viewer, '{"t":"sale.held","id":"' .. about.round .. '",' .. answer .. "}")
    return 0, "{" .. answer .. "}"
end

function verbs.wait(wish)
    local why = judge(wish.at)
    if why ~= 0 then
        return why
    end
    local taken, parts = part_of(book, wish.viewer)
    if taken >= book.per_viewer then
        return LIMIT, cjson.encode(parts)
    end
    local waits = redis.call("ZSCORE", at.queue, wish.viewer) or redis.call("HGET", at.offers, wish.viewer)
    if not waits then
        local last = redis.call("ZRANGE", at.queue, -1, -1, "WITHSCORES")
        redis.call("ZADD", at.queue, (last[2] or 0) + 1, wish.viewer)
        keep_part(book, wish.viewer, taken, with_part(parts, "waiting", true, { waiting = true }))
        offer(book)
    end
    local place = redis.call("ZRANK", at.queue, wish.viewer)
    return waits and 1 or 0, '{"place":' .. (place and place + 1 or 0) .. "}"
end

local function hold_of(wish)
    local kept = redis.call("HGET", at.holds, wish.hold)
    return kept and cjson.decode(kept)
end

-- A hold that is not there may be one that was lost, as long as the room is being rebuilt.
local function no_hold()
    return redis.call("HEXISTS", at.meta, "rebuild") == 1 and TOO_LATE or NO_HOLD
end

local function as_it_is(hold)
    local ordered = hold.order and hold.order ~= ""
    return cjson.encode({ hold = hold.hold, state = hold.state, order = ordered and hold.order or nil,
        rank = ordered and hold.rank or nil, late = ordered and hold.late or nil })
end

-- By the viewer whose it is.
function verbs.cancel(wish)
    local hold = hold_of(wish)
    if not hold or hold.viewer ~= wish.viewer then
        return no_hold()
    elseif hold.state == "sold" or hold.state == "refunded" then
        return WRONG, as_it_is(hold)
    elseif hold.state ~= "held" then
        return 1, as_it_is(hold)
    end
    let_go(book, hold, "cancelled", "")
    return 0, as_it_is(hold)
end

-- By the shop, which may also give the payment back.
function verbs.release(wish)
    local hold = hold_of(wish)
    if not hold then
        return no_hold()
    elseif hold.state ~= "held" and hold.state ~= "sold" then
        return 1, as_it_is(hold)
    end
    let_go(book, hold, hold.state == "sold" and "refunded" or "cancelled", wish.more)
    return 0, as_it_is(hold)
end

-- A payment that gets nothing must be given back; it gets nothing later either.
local function refund(wish, hold, why)
    redis.call("SADD", at.refunds, wish.hold .. ":" .. wish.word)
    table.insert(book.refunds, cjson.encode({ hold = wish.hold, viewer = hold.viewer, qty = hold.qty,
        payment = wish.word, paid_at = tonumber(wish.more), why = why, at = book.now }))
    return why == "paid twice" and PAID or EXPIRED, as_it_is(hold)
end

local function sell(wish, hold)
    book.sold, book.ranks = book.sold + hold.qty, book.ranks + 1
    hold.state, hold.order, hold.rank = "sold", "o" .. string.sub(hold.hold, 2), book.ranks
    hold.payment, hold.paid_at = wish.word, tonumber(wish.more)
    redis.call("ZREM", at.due, hold.hold)
    redis.call("HINCRBY", at.buyers, hold.viewer, 1)
    keep_hold(book, hold)
    local taken, parts = part_of(book, hold.viewer)
    local units = hold.late and taken + hold.qty or taken
    keep_part(book, hold.viewer, units, with_part(parts, "hold", hold.hold, { hold = hold.hold,
        ["until"] = hold["until"], qty = hold.qty, order = hold.order, rank = hold.rank }))
    write(book, hold.viewer, hold.hold .. ".confirmed",
        { t = "sale.confirmed", hold = hold.hold, order = hold.order, rank = hold.rank, qty = hold.qty })
    return 0, as_it_is(hold)
end

function verbs.confirm(wish)
    local hold = hold_of(wish)
    if not hold then
        return no_hold()
    elseif hold.state == "sold" and hold.payment == wish.word then
        return 1, as_it_is(hold)
    elseif hold.state == "refunded" and hold.payment == wish.word then
        return 1, as_it_is(hold)
    elseif hold.state == "sold" then
        return refund(wish, hold, "paid twice")
    elseif redis.call("SISMEMBER", at.refunds, wish.hold .. ":" .. wish.word) == 1 then
        return EXPIRED, as_it_is(hold)
    elseif book.state == "cancelled" then
        return refund(wish, hold, "the sale was cancelled")
    elseif hold.state == "held" then
        book.held = book.held - hold.qty
        return sell(wish, hold)
    elseif hold.state ~= "expired" then
        return refund(wish, hold, "the hold was " .. hold.state)
    elseif book.free < hold.qty or part_of(book, hold.viewer) + hold.qty > book.per_viewer then
        return refund(wish, hold, "paid too late")
    end
    book.free, hold.late = book.free - hold.qty, true
    return sell(wish, hold)
end

-- What the bells of the sale call for.
function verbs.expire(wish)
    expire(book, wish.qty)
    return 0
end

function verbs.show()
    show(book)
    return 0
end

-- Who asked for it has been told by now that it is not known what came of it.
local function too_late(verb, came)
    return book.now > came + 2000 and (verb == "cancel" or verb == "release" or verb == "confirm")
end

local answer = {}
for i = 2, #ARGV, 8 do
    local came = math.min(tonumber(ARGV[i + 6]), book.now)
    local how, said = TOO_LATE, ""
    if not too_late(ARGV[i], came) then
        how, said = verbs[ARGV[i]]({ viewer = ARGV[i + 1], name = ARGV[i + 2], hold = ARGV[i + 3],
            qty = tonumber(ARGV[i + 4]), word = ARGV[i + 5], at = came, more = ARGV[i + 7] })
    end
    table.insert(answer, how)
    table.insert(answer, said or "")
end
close_book(book)
return { book.ver, book.state, book.opens, book.closes, book.free, book.held, book.per_viewer, book.holds,
    unpack(answer) }
