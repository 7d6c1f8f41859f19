-- Shared: the units of a sale, free, held and sold, and all that is kept, noted and told when they change.

local ALL = { "state", "ver", "opens_at", "closes_at", "free", "held", "sold", "stock", "ranks", "per_viewer",
    "hold_ms", "epoch", "shown", "opened" }

-- `at`: keys by name; `about`: {room, round, channel, fact, log_length, keep_letters, offer_ms, show_ms}.
local function open_book(at, about)
    local is = redis.call("HMGET", at.round, unpack(ALL))
    if not is[5] then
        return nil
    end
    local book = { at = at, about = about, state = is[1], ver = tonumber(is[2]), opens = tonumber(is[3]),
        closes = tonumber(is[4]), free = tonumber(is[5]), held = tonumber(is[6]), sold = tonumber(is[7]),
        stock = tonumber(is[8]), ranks = tonumber(is[9]), per_viewer = tonumber(is[10]), hold_ms = tonumber(is[11]),
        shown = tonumber(is[13] or "0"), opened = is[14], now = room_ms(at.meta), changed = false, holds = {},
        refunds = {} }
    local meta = redis.call("HMGET", at.meta, "epoch", "seq")
    book.epoch, book.seq, book.halted = meta[1], meta[2], is[12] ~= meta[1]
    return book
end

local function whisper(book, viewer, body)
    redis.call("PUBLISH", book.about.channel, '{"epoch":"' .. book.epoch .. '","after":' .. book.seq
        .. ',"to":' .. cjson.encode(viewer) .. ',"body":' .. body .. "}")
end

-- A private message of value: kept until it is acknowledged.
local function write(book, viewer, id, said)
    said.id, said.inbox = book.about.round, id
    local body, inbox = cjson.encode(said), book.at.letters .. viewer
    redis.call("HSET", inbox, id, book.epoch .. " " .. book.seq .. " " .. body)
    redis.call("EXPIRE", inbox, book.about.keep_letters)
    redis.call("SADD", book.at.inboxes, viewer)
    whisper(book, viewer, body)
end

-- What a viewer has: how many units count towards his limit, and the parts that he is shown.
local function part_of(book, viewer)
    local kept = redis.call("HGET", book.at.who, viewer)
    if not kept then
        return 0, {}
    end
    local taken, parts = string.match(kept, "^(%d+) (.*)$")
    return tonumber(taken), cjson.decode(parts)
end

local function keep_part(book, viewer, taken, parts)
    if #parts == 0 then
        redis.call("HDEL", book.at.who, viewer)
    else
        redis.call("HSET", book.at.who, viewer, taken .. " " .. cjson.encode(parts))
    end
end

-- Put `part` in the place of the one that has the same value in `field`, or behind the others; nil takes it away.
local function with_part(parts, field, value, part)
    local kept = {}
    for _, one in ipairs(parts) do
        if one[field] ~= value then
            table.insert(kept, one)
        end
    end
    table.insert(kept, part)
    return kept
end

local function keep_hold(book, hold)
    hold.v, hold.at = (hold.v or 0) + 1, book.now
    local text = cjson.encode(hold)
    redis.call("HSET", book.at.holds, hold.hold, text)
    table.insert(book.holds, text)
    book.changed = true
end

local function selling(book)
    return not book.halted and (book.state == "open" or book.state == "sold_out")
end

-- Free units go to those who wait, the first first; one who has all that he may have by now is passed over.
local function offer(book)
    while book.free > 0 and selling(book) do
        local first = redis.call("ZPOPMIN", book.at.queue)[1]
        if not first then
            return
        end
        local taken, parts = part_of(book, first)
        parts = with_part(parts, "waiting", true, nil)
        if taken < book.per_viewer then
            local ends = math.min(book.now + book.about.offer_ms, book.closes)
            book.free, book.held, book.changed = book.free - 1, book.held + 1, true
            table.insert(parts, { offered = true, qty = 1, ["until"] = ends })
            redis.call("HSET", book.at.offers, first, cjson.encode({ qty = 1, ["until"] = ends }))
            redis.call("ZADD", book.at.due, ends, "offer:" .. first)
            write(book, first, book.about.round .. ".offered", { t = "sale.offered", ["until"] = ends, qty = 1 })
        end
        keep_part(book, first, taken, parts)
    end
end

-- The units of an offer are free again, for whoever it was made to.
local function end_offer(book, viewer)
    redis.call("HDEL", book.at.offers, viewer)
    redis.call("ZREM", book.at.due, "offer:" .. viewer)
    redis.call("HDEL", book.at.letters .. viewer, book.about.round .. ".offered")
    book.free, book.held, book.changed = book.free + 1, book.held - 1, true
end

-- A hold ends without a payment, or its payment was given back: its units are free.
local function let_go(book, hold, state, why)
    local from = hold.state == "sold" and "sold" or "held"
    book[from], book.free = book[from] - hold.qty, book.free + hold.qty
    hold.state, hold.why = state, why
    redis.call("ZREM", book.at.due, hold.hold)
    if from == "sold" then
        redis.call("HINCRBY", book.at.buyers, hold.viewer, -1)
    end
    keep_hold(book, hold)
    local taken, parts = part_of(book, hold.viewer)
    keep_part(book, hold.viewer, taken - hold.qty, with_part(parts, "hold", hold.hold, nil))
    write(book, hold.viewer, hold.hold .. ".released",
        { t = "sale.released", hold = hold.hold, why = state, qty = hold.qty })
    offer(book)
end

-- Only what is due: holds, and offers that nobody took. All are where the sale is off.
local function expire(book, most)
    local last = book.state == "cancelled" and "+inf" or book.now
    for _, due in ipairs(redis.call("ZRANGEBYSCORE", book.at.due, "-inf", last, "LIMIT", 0, most)) do
        local viewer = string.match(due, "^offer:(.*)$")
        if viewer then
            end_offer(book, viewer)
            local taken, parts = part_of(book, viewer)
            keep_part(book, viewer, taken, with_part(parts, "offered", true, nil))
            offer(book)
        else
            let_go(book, cjson.decode(redis.call("HGET", book.at.holds, due)),
                book.state == "cancelled" and "cancelled" or "expired", "")
        end
    end
end

local function counts(book)
    return '"left":' .. book.free .. ',"held":' .. book.held .. ',"sold":' .. book.sold
end

local function ring_at(book, what, due)
    redis.call("ZADD", book.at.bells, due, book.about.room .. "|" .. book.about.round .. "|" .. what)
end

-- The newest numbers to everybody, but not too often: else a bell does it.
local function show(book)
    if book.now - book.shown < book.about.show_ms then
        return ring_at(book, "stock", book.shown + book.about.show_ms)
    end
    redis.call("ZREM", book.at.bells, book.about.room .. "|" .. book.about.round .. "|stock")
    redis.call("HSET", book.at.round, "shown", book.now)
    if redis.call("HEXISTS", book.at.live, book.about.round) == 1 then
        hang(book.at, { round = book.about.round, kind = "sale", to = book.state }, book.ver)
    end
    redis.call("PUBLISH", book.about.channel, '{"epoch":"' .. book.epoch .. '","round":"' .. book.about.round
        .. '","state":{"t":"sale.stock","id":"' .. book.about.round .. '",' .. counts(book)
        .. ',"ver":' .. book.ver .. "}}")
end

-- Sold out, or open again: told as what it is, a change of state.
local function turn_with_stock(book)
    local to = book.state == "open" and book.free == 0 and "sold_out"
        or book.state == "sold_out" and book.free > 0 and "open"
    if not to or book.halted then
        return
    end
    local move = { room = book.about.room, round = book.about.round, kind = "sale", to = to, fact = book.about.fact,
        wins = "", loses = "" }
    local told = to == "open" and "reopened" or "sold_out"
    book.state = to
    redis.call("HSET", book.at.round, "state", to)
    redis.call("HINCRBY", book.at.round, "rev", 1)
    tell(book.at.meta, book.at.log, book.at.outbox, book.about.channel,
        '{"t":"sale.' .. told .. '","id":"' .. book.about.round .. '"}', book.about.fact, book.about.room, "",
        book.about.log_length)
    hang(book.at, move, book.ver)
    note_round(book.at, move, { ver = book.ver, at = book.now })
end

local function ring_next(book)
    local first = redis.call("ZRANGE", book.at.due, 0, 0, "WITHSCORES")
    if first[2] then
        ring_at(book, "holds", book.state == "cancelled" and book.now or first[2])
    else
        redis.call("ZREM", book.at.bells, book.about.room .. "|" .. book.about.round .. "|holds")
    end
    local over = book.state == "closed" or book.state == "cancelled"
    if over and book.held == 0 and redis.call("HEXISTS", book.at.live, book.about.round) == 1 then
        ring_at(book, "settle", book.now)
    end
end

-- Write down what has become of the numbers, note it for the ledger and tell it.
local function close_book(book)
    if #book.refunds > 0 then
        redis.call("XADD", book.at.outbox, "*", "id", book.about.fact .. "b", "room", book.about.room, "what",
            "refunds", "round", book.about.round, "refunds", "[" .. table.concat(book.refunds, ",") .. "]")
    end
    if not book.changed then
        return
    end
    if not book.moved then -- else the move has counted already
        book.ver = redis.call("HINCRBY", book.at.round, "ver", 1)
    end
    redis.call("HSET", book.at.round, "free", book.free, "held", book.held, "sold", book.sold, "ranks", book.ranks,
        "counts", "{" .. counts(book) .. "}")
    if #book.holds > 0 then
        redis.call("XADD", book.at.outbox, "*", "id", book.about.fact .. "h", "room", book.about.room, "what", "holds",
            "round", book.about.round, "sale", book.opened, "holds", "[" .. table.concat(book.holds, ",") .. "]")
    end
    turn_with_stock(book)
    show(book)
    ring_next(book)
end
