-- Shared: what one move changes of a round, and all that it tells, in one step.

-- Facts about the round itself go to the ledger as of now.
local function note_round(keys, move, fields)
    local is = redis.call("HMGET", keys.round, "opens_at", "opened_at", "closes_at", "by", "opened", "kept")
    redis.call("XADD", keys.outbox, "*", "id", move.fact .. "r", "room", move.room, "what", "round",
        "round", move.round, "kind", move.kind, "state", move.to, "ver", fields.ver, "at", fields.at,
        "opens_at", is[1], "opened_at", is[2], "closes_at", is[3], "by", is[4], "opened", is[5], "kept", is[6],
        "command", move.first or "", "wins", move.wins, "loses", move.loses)
end

local function note_command(keys, move, before, fields)
    redis.call("XADD", keys.outbox, "*", "id", move.fact .. "c", "room", move.room, "what", "command",
        "round", move.round, "actor", move.by, "role", move.role, "at", fields.at, "before", before,
        "after", fields.ver, "body", move.command)
end

-- A bell that is due at once is leased to the node that moved the round: it goes on by itself.
local function set_bells(keys, move, now)
    for what, due in pairs(move.bells) do
        local bell = move.room .. "|" .. move.round .. "|" .. what
        if due < 0 then
            redis.call("ZREM", keys.bells, bell)
        else
            redis.call("ZADD", keys.bells, due > now and due or now + move.lease, bell)
        end
    end
end

local function hang(keys, move, ver)
    if move.ends then
        redis.call("HDEL", keys.live, move.round)
        return
    end
    local is = redis.call("HMGET", keys.round, "opened", "counts", "result")
    redis.call("HSET", keys.live, move.round, '{"kind":"' .. move.kind .. '","id":"' .. move.round
        .. '","state":"' .. move.to .. '","ver":' .. ver .. ',"opened":' .. is[1]
        .. ',"counts":' .. (is[2] or "{}") .. ',"result":' .. (is[3] or "null") .. "}")
end

-- Private messages of value: kept until they are acknowledged, and told behind the event. Who lost what he had won is
-- not told of it again.
local function post(keys, move, epoch, seq)
    for _, inbox in ipairs(keys.lost) do
        redis.call("HDEL", inbox, move.prize)
    end
    for i, letter in ipairs(move.letters) do
        redis.call("HSET", keys.inbox[i], letter[2], epoch .. " " .. seq .. " " .. letter[3])
        redis.call("EXPIRE", keys.inbox[i], move.keep_letters)
        redis.call("SADD", keys.inboxes, letter[1])
        redis.call("PUBLISH", move.channel, '{"epoch":"' .. epoch .. '","after":' .. seq
            .. ',"to":' .. cjson.encode(letter[1]) .. ',"body":' .. letter[3] .. "}")
    end
end

local function free_keyword(keys, move)
    local keyword = redis.call("HGET", keys.round, "keyword")
    if keyword and redis.call("HGET", keys.keywords, keyword) == move.round then
        redis.call("HDEL", keys.keywords, keyword)
    end
end

-- It opens, at first or again: from now on it belongs to this epoch of the room.
local function open_up(keys, was, now)
    local epoch = redis.call("HGET", keys.meta, "epoch")
    if (was == "open" or was == "sold_out") and redis.call("HGET", keys.round, "epoch") == epoch then
        return
    end
    redis.call("HSET", keys.round, "epoch", epoch)
    if redis.call("HGET", keys.round, "opened_at") == "0" then
        redis.call("HSET", keys.round, "opened_at", now)
    end
end

-- `keys` by name; `move` as store/rounds.py makes it. Returns {ver, seq, ts}.
local function change(keys, move)
    local now, was = room_ms(keys.meta), redis.call("HGET", keys.round, "state")
    for field, value in pairs(move.fields) do
        redis.call("HSET", keys.round, field, value)
    end
    for field, more in pairs(move.adds) do
        redis.call("HINCRBY", keys.round, field, more)
    end
    redis.call("HSET", keys.round, "state", move.to)
    redis.call("HINCRBY", keys.round, "rev", 1)
    local ver = redis.call("HINCRBY", keys.round, "ver", 1)
    if move.to == "open" then
        open_up(keys, was, now)
    end
    local told = { 0, now }
    if move.event ~= "" then
        told = tell(keys.meta, keys.log, keys.outbox, move.channel, move.event, move.fact, move.room, move.by, move.log_length)
    end
    local fields = { ver = ver, at = now }
    set_bells(keys, move, now)
    hang(keys, move, ver)
    if move.event ~= "" or was ~= move.to then
        note_round(keys, move, fields)
    end
    if move.command ~= "" then
        note_command(keys, move, ver - 1, fields)
    end
    local epoch = redis.call("HGET", keys.meta, "epoch")
    post(keys, move, epoch, redis.call("HGET", keys.meta, "seq"))
    if move.shows ~= "" then
        redis.call("PUBLISH", move.channel, '{"epoch":"' .. epoch .. '","round":"' .. move.round .. '","state":'
            .. string.sub(move.shows, 1, -2) .. ',"ver":' .. ver .. "}}")
    end
    if move.to ~= "announced" and move.to ~= "open" then
        free_keyword(keys, move)
    end
    if move.ends then
        for _, key in ipairs(keys.ends) do
            redis.call("EXPIRE", key, move.keep_round)
        end
    end
    return { ver, told[1], told[2] }
end
