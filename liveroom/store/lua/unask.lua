-- Forget questions that were answered, and comments and viewers that are heard no more.
--
-- KEYS[1]  questions  hash: fingerprint -> JSON, ver, n:<node>
-- KEYS[2]  asked      sorted set: fingerprints
-- ARGV[1]  now, in ms of room time
-- ARGV[2]  JSON: {answered: fingerprints, ids: comments, viewers}
--
-- returns  how many questions were forgotten or changed

local gone, changed = cjson.decode(ARGV[2]), 0
local ids, viewers = {}, {}
for _, id in ipairs(gone.ids) do
    ids[id] = true
end
for _, viewer in ipairs(gone.viewers) do
    viewers[viewer] = true
end

local function drop(fingerprint)
    changed = changed + redis.call("HDEL", KEYS[1], fingerprint)
    redis.call("ZREM", KEYS[2], fingerprint)
end

local function is_gone(one)
    return ids[one[1]] or viewers[one[2]]
end

-- Who is gone is no more among those who asked; if he was the first, the next one speaks for them.
local function thin(fingerprint, asked)
    local stay, here, less = {}, {}, {}
    for _, one in ipairs(asked.askers) do
        table.insert(is_gone(one) and less or stay, one)
    end
    if #less == 0 and not is_gone(asked.first) then
        return
    elseif #stay == 0 then
        return drop(fingerprint)
    end
    for _, one in ipairs(stay) do
        here[one[2]] = true
    end
    for _, one in ipairs(less) do
        asked.times = asked.times - 1
        asked.viewers = asked.viewers - (here[one[2]] and 0 or 1)
        here[one[2]] = true
    end
    asked.askers, asked.first = stay, is_gone(asked.first) and stay[1] or asked.first
    redis.call("HSET", KEYS[1], fingerprint, cjson.encode(asked))
    changed = changed + 1
end

for _, fingerprint in ipairs(gone.answered) do
    drop(fingerprint)
end
if #gone.ids + #gone.viewers > 0 then
    for _, fingerprint in ipairs(redis.call("ZRANGE", KEYS[2], 0, -1)) do
        local kept = redis.call("HGET", KEYS[1], fingerprint)
        if kept then
            thin(fingerprint, cjson.decode(kept))
        end
    end
end
if changed > 0 then
    local ver = tonumber(redis.call("HGET", KEYS[1], "ver") or "0")
    redis.call("HSET", KEYS[1], "ver", math.max(ver + 1, tonumber(ARGV[1])))
end
return changed
