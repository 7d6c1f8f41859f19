-- Put mentions into inboxes and tell every node, each once however often it is sent.
--
-- uses  fence
--
-- KEYS[1]  meta       hash: run, epoch, seq, ms, ctl, mail
-- KEYS[2]  inboxes    set of viewers who have letters
-- KEYS[3]  mail       sorted set: "id viewer" of the newest mentions by number
-- KEYS[4]  strangers  sorted set: those of them to viewers who never did anything in the room
-- KEYS[5]  letters    what keys of inboxes begin with
-- ARGV[1]  channel
-- ARGV[2]  seconds to keep a letter
-- ARGV[3]  how many of a viewer are kept
-- ARGV[4]  how many of the room
-- ARGV[5]  how many of these to strangers
-- ARGV[6...]  four for each letter: viewer, id, JSON, 1 if he is a stranger
--
-- returns  {the number of the newest mention}
--          {-1} fenced, {-2} no such room

local bar = barred(KEYS[1])
if bar ~= 0 then
    return { bar }
end

-- Of one viewer only the newest are kept: ids sort by time.
local function shorten(inbox)
    local ids = {}
    for _, id in ipairs(redis.call("HKEYS", inbox)) do
        if string.sub(id, 1, 2) == "m_" then
            table.insert(ids, id)
        end
    end
    table.sort(ids)
    for i = 1, #ids - tonumber(ARGV[3]) do
        redis.call("HDEL", inbox, ids[i])
    end
end

-- The oldest go out of their inboxes when there are too many.
local function forget_beyond(list, most)
    local gone = redis.call("ZPOPMIN", list, math.max(0, redis.call("ZCARD", list) - most))
    for i = 1, #gone, 2 do
        local id, viewer = string.match(gone[i], "^(%S+) (.*)$")
        redis.call("HDEL", KEYS[5] .. viewer, id)
        if redis.call("EXISTS", KEYS[5] .. viewer) == 0 then
            redis.call("SREM", KEYS[2], viewer)
        end
    end
end

local epoch, told = redis.call("HGET", KEYS[1], "epoch"), {}
for i = 6, #ARGV, 4 do
    local viewer, id, body = ARGV[i], ARGV[i + 1], ARGV[i + 2]
    local inbox, name = KEYS[5] .. viewer, id .. " " .. viewer
    if not redis.call("ZSCORE", KEYS[3], name) then
        local number = redis.call("HINCRBY", KEYS[1], "mail", 1)
        redis.call("ZADD", KEYS[3], number, name)
        if ARGV[i + 3] == "1" then
            redis.call("ZADD", KEYS[4], number, name)
        end
        redis.call("HSET", inbox, id, epoch .. " 0 " .. body)
        redis.call("EXPIRE", inbox, ARGV[2])
        redis.call("SADD", KEYS[2], viewer)
        if redis.call("HLEN", inbox) > tonumber(ARGV[3]) then
            shorten(inbox)
        end
        table.insert(told, "[" .. cjson.encode(viewer) .. "," .. body .. "]")
    end
end
forget_beyond(KEYS[4], tonumber(ARGV[5]))
forget_beyond(KEYS[3], tonumber(ARGV[4]))
local newest = tonumber(redis.call("HGET", KEYS[1], "mail") or "0")
if #told > 0 then
    redis.call("PUBLISH", ARGV[1], '{"epoch":"' .. epoch .. '","mail":' .. newest .. ',"letters":['
        .. table.concat(told, ",") .. "]}")
end
return { newest }
