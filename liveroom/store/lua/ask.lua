-- Note one batch of questions of a node, once: each with those that are asked in the same words.
--
-- KEYS[1]  questions  hash: fingerprint -> JSON, ver, n:<node>
-- KEYS[2]  asked      sorted set: fingerprints by when they were last asked, behind all others those of several viewers
-- ARGV[1]  node
-- ARGV[2]  number of this batch; one that is not greater than the node's last was noted before
-- ARGV[3]  now, in ms of room time
-- ARGV[4]  for how many ms a question waits after it was last asked
-- ARGV[5]  how many may wait
-- ARGV[6]  how many of those who asked one are named
-- ARGV[7...]  fingerprint, and who asks as a JSON array of [id, viewer, name, text, at], in turn
--
-- returns  {version of what waits}

local SEVERAL = 1e13
local now, keep = tonumber(ARGV[3]), tonumber(ARGV[4])

local function drop(fingerprints)
    for _, fingerprint in ipairs(fingerprints) do
        redis.call("HDEL", KEYS[1], fingerprint)
        redis.call("ZREM", KEYS[2], fingerprint)
    end
end

local function among(askers, viewer)
    for _, one in ipairs(askers) do
        if one[2] == viewer then
            return true
        end
    end
    return false
end

-- A place for one more: the oldest that one viewer asked goes, else the oldest.
local function make_place()
    while redis.call("ZCARD", KEYS[2]) >= tonumber(ARGV[5]) do
        drop({ redis.call("ZRANGE", KEYS[2], 0, 0)[1] })
    end
end

-- Ids sort by time; who asked first may sit on a node whose batch comes later.
local function earlier(one, other)
    return one[1] < other[1]
end

local function note(fingerprint, asks)
    local kept = redis.call("HGET", KEYS[1], fingerprint)
    if not kept then
        make_place()
    end
    local asked = kept and cjson.decode(kept) or { first = asks[1], last = 0, times = 0, viewers = 0, askers = {} }
    for _, one in ipairs(asks) do
        asked.viewers = asked.viewers + (among(asked.askers, one[2]) and 0 or 1)
        asked.times, asked.last = asked.times + 1, math.max(asked.last, one[5])
        asked.first = earlier(one, asked.first) and one or asked.first
        table.insert(asked.askers, one)
        table.sort(asked.askers, earlier)
        if #asked.askers > tonumber(ARGV[6]) then
            table.remove(asked.askers, 1)
        end
    end
    redis.call("HSET", KEYS[1], fingerprint, cjson.encode(asked))
    redis.call("ZADD", KEYS[2], asked.last + (asked.viewers > 1 and SEVERAL or 0), fingerprint)
end

local last, ver = unpack(redis.call("HMGET", KEYS[1], "n:" .. ARGV[1], "ver"))
if tonumber(ARGV[2]) > tonumber(last or "0") then
    drop(redis.call("ZRANGEBYSCORE", KEYS[2], 0, now - keep))
    drop(redis.call("ZRANGEBYSCORE", KEYS[2], SEVERAL, SEVERAL + now - keep))
    for i = 7, #ARGV, 2 do
        note(ARGV[i], cjson.decode(ARGV[i + 1]))
    end
    ver = math.max(tonumber(ver or "0") + 1, now) -- rises also when the server forgot it
    redis.call("HSET", KEYS[1], "ver", ver, "n:" .. ARGV[1], ARGV[2])
    redis.call("PEXPIRE", KEYS[1], keep)
    redis.call("PEXPIRE", KEYS[2], keep)
end
return { tonumber(ver) }
